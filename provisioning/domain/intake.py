"""What a caller may ask for: one request type per client type, joined by `clientType`.

A field that a client type does not have cannot be sent. `parse` names every fault of a request at once, each with a
pointer, a stable code and a message that says rule and remedy, and never repeats what was sent.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic.alias_generators import to_camel

from provisioning.domain.certificates import validity_faults
from provisioning.domain.client_types import ClientType
from provisioning.domain.durations import format_duration, parse_duration
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.fields import (
    STORED,
    AppRoleNames,
    Certificate,
    DefinedAppRoles,
    DefinedScopes,
    Email,
    Guid,
    Issuer,
    Lifetime,
    LogoutUrl,
    RedirectUris,
    ScopeNames,
    SecretLifetime,
    ServerUrl,
    Subject,
    TokenVersion,
    text,
)

SERVER_ROLES: Final = (
    "globalReader",
    "globalExporter",
    "globalConverter",
    "globalImporter",
    "globalWriter",
    "globalAdmin",
    "smartUser",
)
DEFAULT_SCOPE: Final = "user_impersonation"

# --- the four requests ----------------------------------------------------------------------------------------------


class _Request(BaseModel):
    """What every registration has."""

    model_config = ConfigDict(
        strict=True,
        defer_build=True,  # a POST is of one type, and its caller does not wait for the others
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
        serialize_by_alias=True,
        validate_by_alias=True,
    )

    display_name: Annotated[str, text(120)] = Field(description="Shown in Entra; 1 to 120 characters.")
    owner: Guid = Field(description="Entra object id of the user, group or service principal that decides access.")
    contact: Email = Field(description="Where notices go; it decides nothing.")
    description: Annotated[str, text(1024)] | None = None
    service_management_reference: Annotated[str, text(256)] | None = Field(
        default=None, description="Reference into your service inventory; some tenants require one."
    )

    HINTS: ClassVar[Mapping[str, str]] = {}


class ResourceApplicationRequest(_Request):
    """The API itself: a FHIR server secured by Entra. It never holds a credential."""

    client_type: Literal["resource"]
    fhir_server_url: ServerUrl = Field(description="The server's base URL; the identifier URI is derived from it.")
    scopes: DefinedScopes = (DEFAULT_SCOPE,)
    app_roles: DefinedAppRoles = SERVER_ROLES
    access_token_version: TokenVersion = 1

    HINTS = {
        "redirectUris": "Nobody signs in to the API itself. Register a confidential or public client for that.",
        "credential": "An API checks tokens and needs no credential. Register a service client for outgoing calls.",
        "secretLifetime": "An API checks tokens and needs no credential. Register a service client for outgoing calls.",
        "identifierUri": "It is derived from fhirServerUrl, because Entra trusts only URIs that nobody can choose.",
        "identifierUris": "They are derived from fhirServerUrl, because Entra trusts only URIs that nobody can choose.",
    }


class _ClientRequest(_Request):
    resource: Annotated[str, text(255)] = Field(
        description="What the client calls: a registration id of ours, a client id, an identifier URI, the URL of a "
        "registered FHIR server, or the URL of a managed FHIR service."
    )


class ConfidentialClientRequest(_ClientRequest):
    """A web application: authorization code flow, with a secret that its server keeps."""

    client_type: Literal["confidential"]
    redirect_uris: RedirectUris
    scopes: ScopeNames | None = None
    logout_url: LogoutUrl | None = None
    secret_lifetime: Lifetime | None = None
    auto_rotate: bool = False

    HINTS = {
        "platform": "A confidential client is always a web application. Leave it out, or register a public client.",
        "appRoles": "App roles are for service clients; a web application acts for its user through scopes.",
        "credential": "A confidential client always holds a secret. Leave it out.",
    }


class PublicClientRequest(_ClientRequest):
    """A mobile, desktop or single-page application: authorization code flow with PKCE, never a credential."""

    client_type: Literal["public"]
    platform: Literal["spa", "native"] = Field(description="spa in a browser, native on a device.")
    redirect_uris: RedirectUris
    scopes: ScopeNames | None = None

    _KEEPS_NONE: ClassVar = (
        "A public client cannot keep a secret: whoever has the app has it too. It uses PKCE instead."
    )
    _NO_IMPLICIT: ClassVar = "The implicit grant shows tokens in URLs. Use the authorization code flow with PKCE."
    HINTS = {
        "credential": _KEEPS_NONE,
        "secretLifetime": _KEEPS_NONE,
        "autoRotate": _KEEPS_NONE,
        "implicitGrant": _NO_IMPLICIT,
        "implicitGrantSettings": _NO_IMPLICIT,
        "isFallbackPublicClient": "It would allow the device code flow, which is used for phishing. It stays false.",
        "appRoles": "App roles are for service clients; a public client acts for its user through scopes.",
    }


class _Credential(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class SecretCredential(_Credential):
    """The service mints a secret, proves it, and stores it in Key Vault."""

    type: Literal["secret"] = "secret"


class FederatedCredential(_Credential):
    """The client shows a token of an issuer that it has anyway; there is no secret, and nothing to rotate."""

    type: Literal["federated"]
    issuer: Issuer = Field(description="The claim iss of that token, letter by letter.")
    subject: Subject = Field(description="The claim sub of that token, letter by letter.")


class CertificateCredential(_Credential):
    """The client signs with a private key that only it has; this is the certificate of that key."""

    type: Literal["certificate"]
    certificate: Certificate = Field(description="One X.509 certificate in PEM: RSA, 2048 bits or more. Never a key.")


def _kind_of_credential(value: object) -> str | None:
    """Return which of the three it is meant to be; None for what is no object."""
    if isinstance(value, Mapping):
        kind = value.get("type", "secret")
        return kind if isinstance(kind, str) and kind in _CREDENTIAL_TYPES else "unknown"
    return getattr(value, "type", None)


_CREDENTIAL_TYPES: Final = ("secret", "federated", "certificate")
Credential = Annotated[
    Annotated[SecretCredential, Tag("secret")]
    | Annotated[FederatedCredential, Tag("federated")]
    | Annotated[CertificateCredential, Tag("certificate")],
    Discriminator(_kind_of_credential),
]


class ServiceClientRequest(_ClientRequest):
    """A daemon: client credentials flow, straight to the token endpoint."""

    client_type: Literal["service"]
    app_roles: AppRoleNames = ()
    credential: Credential = SecretCredential.model_construct()
    secret_lifetime: SecretLifetime | None = None

    HINTS = {
        "redirectUris": "A service client has no user to send back. Register a confidential or public client for that.",
        "logoutUrl": "A service client has no user to log out.",
        "scopes": "Scopes are granted by a signed-in user. A service client has app roles: use appRoles.",
        "autoRotate": "The secret of a service client always rotates. Leave it out.",
    }


RegistrationRequest = (
    ResourceApplicationRequest | ConfidentialClientRequest | PublicClientRequest | ServiceClientRequest
)
REQUEST_TYPES: Final[Mapping[ClientType, type[RegistrationRequest]]] = {
    ClientType.RESOURCE: ResourceApplicationRequest,
    ClientType.CONFIDENTIAL: ConfidentialClientRequest,
    ClientType.PUBLIC: PublicClientRequest,
    ClientType.SERVICE: ServiceClientRequest,
}

_CHANGEABLE: Final = ("displayName", "owner", "contact", "description")
CHANGEABLE: Final[Mapping[type[RegistrationRequest], tuple[str, ...]]] = {
    ResourceApplicationRequest: _CHANGEABLE,
    ConfidentialClientRequest: (*_CHANGEABLE, "redirectUris", "logoutUrl"),
    PublicClientRequest: (*_CHANGEABLE, "redirectUris"),
    ServiceClientRequest: _CHANGEABLE,
}


# --- reading a request ----------------------------------------------------------------------------------------------


def parse(body: object) -> RegistrationRequest:
    """Return the normalised request; raise RequestRejected (400) that names every fault of it at once."""
    if not isinstance(body, dict):
        raise RequestRejected(
            400, "invalid-request", "The body must be a JSON object.", [Fault("#", "wrong-type", "Send an object.")]
        )
    try:
        request_type = REQUEST_TYPES[ClientType(str(body.get("clientType")))]
    except ValueError:
        raise RequestRejected(
            400, "invalid-request", "The client type is missing or unknown.", [_client_type(body)]
        ) from None
    try:
        return request_type.model_validate(body)
    except ValidationError as error:
        faults = [_fault(dict(each), request_type) for each in error.errors(include_url=False, include_input=False)]
        raise _broken_rules(faults) from None


def parse_change(request: RegistrationRequest, body: object) -> RegistrationRequest:
    """Return the request as `body` changes it: a field of null is taken out, and those it leaves out stay.

    Raises RequestRejected (400) that names every fault at once. What is not changed is not judged by today's rules.
    """
    if not isinstance(body, dict) or not body:
        rule = f"Send an object with one or more of {', '.join(CHANGEABLE[type(request)])}."
        raise RequestRejected(400, "invalid-request", "There is nothing to change.", [Fault("#", "required", rule)])
    faults = [_not_changeable(name, type(request)) for name in body if name not in CHANGEABLE[type(request)]]
    wanted = {name: value for name, value in body.items() if name in CHANGEABLE[type(request)]}
    merged = {name: value for name, value in (dump(request) | wanted).items() if value is not None}
    try:
        type(request).model_validate(merged)
    except ValidationError as error:
        found = [_fault(dict(each), type(request)) for each in error.errors(include_url=False, include_input=False)]
        faults += [each for each in found if each.pointer.split("/")[1:2] and each.pointer.split("/")[1] in wanted]
    if faults:
        raise _broken_rules(faults)
    return type(request).model_validate(merged, context=STORED)


def restore(body: Mapping[str, Any]) -> RegistrationRequest:
    """Return the request that `dump` wrote; it was checked when it came in, and is not judged by today's rules.

    Fields that this version does not know are left out. Raises ValueError or KeyError for what it cannot read.
    """
    return REQUEST_TYPES[ClientType(body["clientType"])].model_validate(body, context=STORED, extra="ignore")


def dump(request: RegistrationRequest) -> dict[str, Any]:
    """Return the normalised request as JSON values, without what was neither sent nor has a default."""
    return request.model_dump(mode="json", by_alias=True, exclude_none=True)


def fingerprint(request: RegistrationRequest) -> str:
    """Return a hash that is equal for two requests exactly when their normalised forms are."""
    canonical = json.dumps(dump(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def secret_lifetime_faults(request: RegistrationRequest, shortest: timedelta, longest: timedelta) -> list[Fault]:
    """Return the fault of a `secretLifetime` that is not longer than `shortest`, or longer than `longest`."""
    lifetime = getattr(request, "secret_lifetime", None)
    if lifetime is None or shortest < parse_duration(lifetime) <= longest:
        return []
    rule = f"Choose more than {format_duration(shortest)}, at most {format_duration(longest)}, or leave it out."
    return [Fault("#/secretLifetime", "secret-lifetime-out-of-range", rule)]


def _broken_rules(faults: list[Fault]) -> RequestRejected:
    message = f"The request breaks {len(faults)} rule{'s' if len(faults) > 1 else ''}; see errors."
    return RequestRejected(400, "invalid-request", message, faults)


def _not_changeable(name: str, request_type: type[RegistrationRequest]) -> Fault:
    # A name that no field could have is not repeated: it could be anything, a pasted secret included.
    pointer = f"#/{name}" if _FIELD_NAME.fullmatch(name) else "#"
    rule = f"Only {', '.join(CHANGEABLE[request_type])} can be changed. Register anew for anything else."
    return Fault(pointer, "field-not-changeable", rule)


def certificate_validity_faults(request: RegistrationRequest, now: datetime) -> list[Fault]:
    """Return what is wrong with the certificate of a service client at this time."""
    credential = getattr(request, "credential", None)
    if not isinstance(credential, CertificateCredential):
        return []
    return [replace(each, pointer="#/credential/certificate") for each in validity_faults(credential.certificate, now)]


_WRONG_TYPE: Final = {
    "string_type": "Send a string.",
    "bool_type": "Send true or false, without quotes.",
    "int_type": "Send a whole number, without quotes.",
    "tuple_type": "Send an array.",
    "model_type": "Send an object.",
    "model_attributes_type": "Send an object.",
    "union_tag_not_found": "Send an object.",
}
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


def _client_type(body: Mapping[str, Any]) -> Fault:
    code = "client-type-unknown" if "clientType" in body else "required"
    return Fault("#/clientType", code, f"Send one of {', '.join(ClientType)}.")


def _fault(error: Mapping[str, Any], request_type: type[RegistrationRequest]) -> Fault:
    """Turn one of pydantic's errors into ours; custom rules bring their own code and message in their context."""
    kind, steps, context = str(error["type"]), list(error["loc"]), error.get("ctx", {})
    if steps[:1] == ["credential"]:
        del steps[1:2]  # pydantic's name of the kind of credential, which no JSON has
    if kind == "union_tag_invalid":
        rule = f"Send one of {', '.join(_CREDENTIAL_TYPES)}, or leave it out for a secret."
        return Fault(_pointer([*steps, "type"]), "credential-type-unknown", rule)
    if kind == "extra_forbidden":
        return _refused_field(steps, request_type)
    if kind in _WRONG_TYPE:
        return Fault(_pointer(steps), "wrong-type", _WRONG_TYPE[kind])
    code, message = {
        "missing": ("required", "This field is required. Add it."),
        "literal_error": ("not-one-of", f"Send one of {context.get('expected')}."),
        "string_unicode": ("control-character", "Half of a surrogate pair is no character. Send whole ones."),
        "string_sub_type": ("wrong-type", "Send a string."),
    }.get(kind, (kind, str(context.get("rule", "Send a value that the description of the API allows."))))
    return Fault(_pointer(steps), code, message)


def _refused_field(steps: list[int | str], request_type: type[RegistrationRequest]) -> Fault:
    name = str(steps[-1])
    hint = request_type.HINTS.get(name) if len(steps) == 1 else None
    message = hint or "This field does not exist for this client type. Remove it."
    # A name that no field could have is not repeated: it could be anything, a pasted secret included.
    return Fault(_pointer(steps if _FIELD_NAME.fullmatch(name) else steps[:-1]), "field-not-allowed", message)


def _pointer(steps: Iterable[int | str]) -> str:
    """Return a JSON pointer in fragment form, as RFC 9457 shows it.

    pydantic names a field that has its default by its Python name.
    """
    return "#" + "".join(f"/{to_camel(str(step)) if '_' in str(step) else step}" for step in steps)
