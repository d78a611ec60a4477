"""What a caller may ask for: one request type per client type, joined by `clientType`.

A field that a client type does not have cannot be sent. `parse` names every fault of a request at once, each with a
pointer, a stable code and a message that says rule and remedy, and never repeats what was sent.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic.alias_generators import to_camel

from provisioning.domain.certificates import validity_faults
from provisioning.domain.client_types import ClientType
from provisioning.domain.durations import parse_duration
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.faults import (
    CREDENTIAL_TYPES,
    broken_rules,
    fault_of,
    not_changeable,
    refuse_private_keys,
    unknown_client_type,
)
from provisioning.domain.fields import (
    AppRoleNames,
    Audience,
    CallbackUrl,
    Certificate,
    DataRoleNames,
    DefinedAppRoles,
    DefinedScopes,
    Description,
    DisplayName,
    Email,
    GrantedNames,
    Guid,
    Issuer,
    Lifetime,
    LogoutUrl,
    MappedClaims,
    PublicRedirectUris,
    RedirectUris,
    Reference,
    ResourceName,
    ScopeNames,
    SecretLifetime,
    ServerUrl,
    Subject,
    Subjects,
    TokenVersion,
    lifetime_rule,
    text,
)
from provisioning.domain.rules import NEW, STORED, Basis, Lifetimes

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

_CLIENT_TYPE: Final = Field(description="Which kind of application it is; it decides which other fields there are.")
_SCOPES: Final = Field(
    default=None,
    description="Which scopes of the resource it asks users for, by their names there; by default user_impersonation, "
    "where the resource has it.",
)
_SECRET_LIFETIME: Final = Field(
    default=None,
    description="How long each secret is valid, in days and time as ISO 8601 has it, such as P90D; by default, and at "
    "most, SECRET_LIFETIME of this service.",
)

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
        validate_by_alias=True,
    )

    display_name: DisplayName = Field(
        description="The name of the application in Entra, as people see it when they consent: 1 to 120 characters."
    )
    owner: Guid = Field(description="Entra object id of the user, group or service principal that decides access.")
    contact: Email = Field(description="One e-mail address, where notices go; it decides nothing.")
    description: Description | None = Field(
        default=None, description="What the application is for, as its administrators read it in Entra."
    )
    service_management_reference: Reference | None = Field(
        default=None, description="Reference into your service inventory; some tenants require one."
    )
    callback_url: CallbackUrl | None = Field(
        default=None,
        description="Where notices about it are posted by https, signed, on a host that the operator of this service "
        "allows.",
    )

    HINTS: ClassVar[Mapping[str, str]] = {}


class ResourceApplicationRequest(_Request):
    """The API itself: a FHIR server secured by Entra. It never holds a credential."""

    client_type: Literal["resource"] = _CLIENT_TYPE
    fhir_server_url: ServerUrl = Field(
        description="The server's base URL, by https and without query. The identifier URI is derived from it, and one "
        "live registration has it."
    )
    scopes: DefinedScopes = Field(
        default=(DEFAULT_SCOPE,),
        description="What signed-in users can let clients do, by names of up to 120 characters; SMART scopes by their "
        "dotted names, such as patient.Observation.rs. No two differ by case alone.",
    )
    app_roles: DefinedAppRoles = Field(
        default=SERVER_ROLES,
        description="What administrators can grant to service clients; by default the roles of the FHIR server. One "
        "that is a scope too has its very name, and no two differ by case alone.",
    )
    access_token_version: TokenVersion = Field(
        default=1, description="1: the audience of tokens is the identifier URI. 2: it is the client id."
    )
    accept_mapped_claims: MappedClaims = Field(
        default=None,
        description="Whether its access tokens may carry claims of a claims mapping policy, such as fhirUser.",
    )

    HINTS = {
        "redirectUris": "Nobody signs in to the API itself. Register a confidential or public client for that.",
        "credential": "An API checks tokens and needs no credential. Register a service client for outgoing calls.",
        "secretLifetime": "An API checks tokens and needs no credential. Register a service client for outgoing calls.",
        "dataRoles": "They are roles of a client on a managed FHIR service. Ask for them with the client.",
        "identifierUri": "It is derived from fhirServerUrl, because Entra trusts only URIs that nobody can choose.",
        "identifierUris": "They are derived from fhirServerUrl, because Entra trusts only URIs that nobody can choose.",
    }


class _ClientRequest(_Request):
    resource: ResourceName = Field(
        description="What the client calls: a registration id of ours, a client id, an identifier URI, the URL of a "
        "registered FHIR server, or the URL of a managed FHIR service."
    )


_DATA_ROLES_OF_USERS: Final = "Its users open the data, each with a role of their own: nextSteps say how to assign it."


class ConfidentialClientRequest(_ClientRequest):
    """A web application: authorization code flow, with a secret that its server keeps."""

    client_type: Literal["confidential"] = _CLIENT_TYPE
    redirect_uris: RedirectUris = Field(
        description="Where users are sent back with a code, each named in full: https, or http on localhost and "
        "127.0.0.1; without fragment, wildcard and user name."
    )
    scopes: ScopeNames | None = _SCOPES
    logout_url: LogoutUrl | None = Field(
        default=None, description="What Entra calls by https when a user signs out elsewhere (front channel)."
    )
    accept_mapped_claims: MappedClaims = Field(
        default=None, description="Whether its ID tokens may carry claims of a claims mapping policy, such as fhirUser."
    )
    secret_lifetime: Lifetime | None = _SECRET_LIFETIME
    auto_rotate: bool = Field(
        default=False,
        description="Whether the secret is replaced in time by itself; the web application then has to read the new "
        "one from Key Vault.",
    )

    HINTS = {
        "platform": "A confidential client is always a web application. Leave it out, or register a public client.",
        "appRoles": "App roles are for service clients; a web application acts for its user through scopes.",
        "dataRoles": _DATA_ROLES_OF_USERS,
        "credential": "A confidential client always holds a secret. Leave it out.",
    }


class PublicClientRequest(_ClientRequest):
    """A mobile, desktop or single-page application: authorization code flow with PKCE, never a credential."""

    client_type: Literal["public"] = _CLIENT_TYPE
    platform: Literal["spa", "native"] = Field(description="spa runs in a browser, native on a device.")
    redirect_uris: PublicRedirectUris = Field(
        description="Where users are sent back with a code, each named in full: https, or http on localhost and "
        "127.0.0.1. native also takes a scheme of the app's own, such as com.example.app:/auth, and the forms of MSAL; "
        "spa also brk-multihub://host."
    )
    scopes: ScopeNames | None = _SCOPES
    accept_mapped_claims: MappedClaims = Field(
        default=None, description="Whether its ID tokens may carry claims of a claims mapping policy, such as fhirUser."
    )

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
        "dataRoles": _DATA_ROLES_OF_USERS,
    }


class _Credential(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class SecretCredential(_Credential):
    """The service mints a secret, proves it, and stores it in Key Vault."""

    type: Literal["secret"] = Field(default="secret", description="It holds a secret, which only Key Vault has.")


class FederatedCredential(_Credential):
    """The client shows a token of an issuer that it has anyway; there is no secret, and nothing to rotate."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [name], "properties": {name: {"type": kind, "description": "One of the two is sent."}}}
                for name, kind in (("subject", "string"), ("subjects", "array"))
            ]
        }
    )

    type: Literal["federated"] = Field(description="It shows a token of another issuer.")
    issuer: Issuer = Field(
        description="The claim iss of that token, letter by letter: an https URL that Entra reaches."
    )
    subjects: Subjects | None = Field(
        default=None, description="Up to 20 claims sub, each of which is trusted; in place of subject."
    )
    audience: Audience | None = Field(
        default=None, description="The claim aud, where it is not the one that Microsoft recommends in this cloud."
    )
    subject: Subject = Field(default=None, description="The claim sub of that token, letter by letter; or subjects.")

    @property
    def trusted(self) -> tuple[str, ...]:
        """Every subject whose tokens are trusted."""
        return self.subjects or ((self.subject,) if self.subject is not None else ())


class CertificateCredential(_Credential):
    """The client signs with a private key that only it has; this is the certificate of that key."""

    type: Literal["certificate"] = Field(description="It signs with the key of a certificate.")
    certificate: Certificate = Field(
        description="One X.509 certificate in PEM, valid for another week: RSA of 2048 bits or more. Never a key."
    )


CREDENTIALS: Final[Mapping[str, type[BaseModel]]] = {
    "secret": SecretCredential,
    "federated": FederatedCredential,
    "certificate": CertificateCredential,
}


def _kind_of_credential(value: object) -> str | None:
    """Return which of the three it is meant to be; None for what is no object."""
    if isinstance(value, Mapping):
        kind = value.get("type", "secret")
        return kind if kind in CREDENTIAL_TYPES else "unknown"
    return getattr(value, "type", None)


Credential = Annotated[
    Annotated[SecretCredential, Tag("secret")]
    | Annotated[FederatedCredential, Tag("federated")]
    | Annotated[CertificateCredential, Tag("certificate")],
    Discriminator(_kind_of_credential),
]


class ServiceClientRequest(_ClientRequest):
    """A daemon: client credentials flow, straight to the token endpoint."""

    client_type: Literal["service"] = _CLIENT_TYPE
    app_roles: AppRoleNames = Field(
        default=(),
        description="Which app roles of the resource it is to have, by their names there. A managed FHIR service has "
        "none: its data is opened by dataRoles.",
    )
    data_roles: DataRoleNames = Field(
        default=None,
        description="Which roles of Azure it is to have on the managed FHIR service that it calls. Somebody else "
        "agrees to them first.",
    )
    credential: Credential = Field(
        default=SecretCredential.model_construct(),
        description="How it proves who it is: by a secret, a token of another issuer, or a certificate.",
    )
    secret_lifetime: SecretLifetime | None = _SECRET_LIFETIME

    HINTS = {
        "redirectUris": "A service client has no user to send back. Register a confidential or public client for that.",
        "logoutUrl": "A service client has no user to log out.",
        "scopes": "Scopes are granted by a signed-in user. A service client has app roles: use appRoles.",
        "autoRotate": "The secret of a service client always rotates. Leave it out.",
        "acceptMappedClaims": "A service client signs in without a user, whose claims could be mapped. Leave it out.",
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

_CHANGEABLE: Final = ("displayName", "owner", "contact", "description", "serviceManagementReference", "callbackUrl")
CHANGEABLE: Final[Mapping[type[RegistrationRequest], tuple[str, ...]]] = {
    ResourceApplicationRequest: (*_CHANGEABLE, "scopes", "appRoles"),
    ConfidentialClientRequest: (
        *(*_CHANGEABLE, "redirectUris", "logoutUrl"),
        *("scopes", "secretLifetime", "autoRotate"),
    ),
    PublicClientRequest: (*_CHANGEABLE, "redirectUris", "scopes"),
    ServiceClientRequest: (*_CHANGEABLE, "appRoles", "dataRoles", "credential", "secretLifetime"),
}


_Body = TypeVar("_Body", bound=BaseModel)

# --- reading a request ----------------------------------------------------------------------------------------------


def parse(body: object, lifetimes: Lifetimes | None = None) -> RegistrationRequest:
    """Return the normalised request; raise RequestRejected (400) that names every fault of it at once.

    `lifetimes` is what a secret's life may be, for whoever has to be told; `secret_lifetime_faults` judges it.
    """
    refuse_private_keys(body)
    if not isinstance(body, dict):
        raise RequestRejected(
            400, "invalid-request", "The body must be a JSON object.", [Fault("#", "wrong-type", "Send an object.")]
        )
    try:
        request_type = REQUEST_TYPES[ClientType(str(body.get("clientType")))]
    except ValueError:
        raise RequestRejected(
            400, "invalid-request", "The client type is missing or unknown.", [unknown_client_type(body)]
        ) from None
    return _judged(body, request_type, replace(NEW, lifetimes=lifetimes))


def parse_change(request: RegistrationRequest, body: object, client_id: str | None) -> RegistrationRequest:
    """Return the request as `body` changes it: a field of null is taken out, and those it leaves out stay.

    Raises RequestRejected (400) that names every fault at once. What is not changed is not judged by today's rules,
    nor is a redirect URI that was there before.
    """
    refuse_private_keys(body)
    kind = type(request)
    if not isinstance(body, dict) or not body:
        rule = f"Send an object with one or more of {', '.join(CHANGEABLE[kind])}."
        raise RequestRejected(400, "invalid-request", "There is nothing to change.", [Fault("#", "required", rule)])
    faults = [not_changeable(name, CHANGEABLE[kind]) for name in body if name not in CHANGEABLE[kind]]
    wanted = {name: value for name, value in body.items() if name in CHANGEABLE[kind]}
    judged = {name for name, field in kind.model_fields.items() if field.alias in wanted}
    if kind is ResourceApplicationRequest and {"scopes", "appRoles"} & wanted.keys():
        judged |= {"scopes", "app_roles"}  # of which each has to suit the other
    if "credential" in wanted:
        wanted["credential"], fixed = _changed_credential(dump(request)["credential"], wanted["credential"])
        faults += fixed
        judged |= {"subject", "subjects", "certificate"}
    merged = {name: value for name, value in (dump(request) | wanted).items() if value is not None}
    basis = Basis(
        judged=frozenset(judged),
        client_id=client_id,
        redirect_uris=frozenset(getattr(request, "redirect_uris", ())),
    )
    return _judged(merged, kind, basis, faults)


def _changed_credential(before: Mapping[str, Any], change: object) -> tuple[object, list[Fault]]:
    """Return a credential as a change has it, and a fault for each part of it that stays what it is.

    Of subject and subjects one is sent: the one takes the place of the other.
    """
    if not isinstance(change, Mapping):
        kept = "Its type stays. Send an object with subjects, or with certificate." if change is None else None
        return before, [
            Fault("#/credential", "field-not-changeable" if kept else "wrong-type", kept or "Send an object.")
        ]
    changeable = {"federated": ["subject", "subjects"], "certificate": ["certificate"]}.get(before["type"], [])
    after = {**before, **change}
    if {"subject", "subjects"} & change.keys():
        after |= {name: change.get(name) for name in ("subject", "subjects")}
    rule = f"Of this credential {' and '.join(changeable) or 'nothing'} can be changed. Register anew for another one."
    fixed = [
        Fault(f"#/credential/{name}", "field-not-changeable", rule)
        for name in ("type", "issuer", "audience")
        if after.get(name) != before.get(name)
    ]
    after |= {name: before.get(name) for name in ("type", "issuer", "audience")}
    return {name: value for name, value in after.items() if value is not None}, fixed


def _judged(body: object, body_type: type[_Body], basis: Basis, faults: Sequence[Fault] = ()) -> _Body:
    """Return the body as it is read; raise RequestRejected with the faults, if any, and all that the basis finds."""
    found = list(faults)
    try:
        read = body_type.model_validate(body, context=basis)
    except ValidationError as error:
        hints = getattr(body_type, "HINTS", {})
        found += [
            fault_of(dict(each), _names_at(each["loc"], body_type), hints, basis.lifetimes)
            for each in error.errors(include_input=False)
        ]
    if found:
        raise broken_rules(found)
    return read


class Decision(BaseModel):
    """What somebody decides about a request that needs an approval: about what exactly, and why."""

    model_config = _Request.model_config

    digest: Annotated[str, text(64)] = Field(description="The digest of what is decided, as the registration shows it.")
    reason: Annotated[str, text(1024)] | None = Field(default=None, description="Why; the requester can read it.")


def parse_decision(body: object, *, reason_required: bool = False) -> Decision:
    """Return the decision; raise RequestRejected (400) that names every fault of it at once."""
    refuse_private_keys(body)
    decision = _judged(body, Decision, NEW)
    if reason_required and decision.reason is None:
        raise broken_rules([Fault("#/reason", "required", "Say why: the requester reads it, and can ask for less.")])
    return decision


class Permissions(BaseModel):
    """What the owner of a resource agrees to: exactly these permissions, by name."""

    model_config = _Request.model_config

    permissions: GrantedNames = Field(
        description="The names of all permissions that the client asks for, as its grants show them."
    )


def parse_permissions(body: object) -> tuple[str, ...]:
    """Return the names of permissions that somebody agrees to; raise RequestRejected (400) that names every fault."""
    refuse_private_keys(body)
    return _judged(body, Permissions, NEW).permissions


def _names_at(place: Sequence[int | str], body_type: type[BaseModel]) -> list[str]:
    """Return the names of the fields of that object, in a body of this type, of which a field is at this place."""
    match place:
        case ("credential", str(kind), *_):
            model = CREDENTIALS.get(kind, body_type)
        case _:
            model = body_type
    return [field.alias or name for name, field in model.model_fields.items()]


def restore(body: Mapping[str, Any]) -> RegistrationRequest:
    """Return the request that `dump` wrote; it was checked when it came in, and is not judged by today's rules.

    Fields that this version does not know are left out. Raises ValueError or KeyError for what it cannot read.
    """
    return REQUEST_TYPES[ClientType(body["clientType"])].model_validate(body, context=STORED, extra="ignore")


def dump(request: RegistrationRequest) -> dict[str, Any]:
    """Return the normalised request as JSON values, without what was neither sent nor has a default."""
    return request.model_dump(mode="json", by_alias=True, exclude_none=True)


def changed_names(before: RegistrationRequest, after: RegistrationRequest) -> tuple[str, ...]:
    """Return the names of the fields in which two requests differ."""
    old, new = dump(before), dump(after)
    return tuple(name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name))


def fingerprint(request: RegistrationRequest) -> str:
    """Return a hash that is equal for two requests exactly when their normalised forms are."""
    canonical = json.dumps(dump(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def secret_lifetime_faults(request: RegistrationRequest, lifetimes: Lifetimes) -> list[Fault]:
    """Return the fault of a `secretLifetime` that is not longer than the first, or longer than the second."""
    lifetime = getattr(request, "secret_lifetime", None)
    if lifetime is None or lifetimes[0] < parse_duration(lifetime) <= lifetimes[1]:
        return []
    return [Fault("#/secretLifetime", "secret-lifetime-out-of-range", lifetime_rule(lifetimes))]


def certificate_validity_faults(request: RegistrationRequest, now: datetime) -> list[Fault]:
    """Return what is wrong with the certificate of a service client at this time."""
    credential = getattr(request, "credential", None)
    if not isinstance(credential, CertificateCredential):
        return []
    return [replace(each, pointer="#/credential/certificate") for each in validity_faults(credential.certificate, now)]
