"""What a caller may ask for: one request type per client type, joined by `clientType`.

A field that a client type does not have cannot be sent. `parse` names every fault of a request at once, each with a
pointer, a stable code and a message that says rule and remedy, and never repeats what was sent.

Sources: limits by "Validation differences by supported account types" (supported-accounts-validation), scope and role
names by the Graph resources permissionScope and appRole, SMART scopes by the FHIR server's own parser.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from provisioning.durations import format_duration, parse_duration
from provisioning.errors import Fault, RequestRejected
from provisioning.registration import ClientType
from provisioning.uris import (
    length,
    normalise_redirect_uri,
    normalise_server_url,
    redirect_uri_faults,
    redirect_uri_list_faults,
    server_url_faults,
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
MOST_PERMISSIONS: Final = 400

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+", re.ASCII
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PERMISSION_NAME: Final = re.compile(r"[A-Za-z0-9:!#$%&'()*+,\-./;<=>?@\[\]^_`{|}~]+", re.ASCII)
_SMART_SLASH: Final = re.compile(r"(?:patient|user|system)/|launch/")
_SMART_DOTTED: Final = re.compile(r"(?:patient|user|system)\.")
_SMART_SCOPE: Final = re.compile(
    r"(?:patient|user|system)\.(?:all|\*|[A-Z][A-Za-z]{1,63})\.(?:read|write|all|\*|(?=[cruds])c?r?u?d?s?)(?:\?[^?\s]+)?"
)
_LONGEST_PERMISSION_NAME: Final = 120


# --- faults ---------------------------------------------------------------------------------------------------------


def _raise_all(faults: Iterable[Fault]) -> None:
    """Raise all faults as one validation error, each at its own place below the value that is being validated."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(fault.code, "{rule}", {"rule": fault.message}),
            loc=tuple(int(step) if step.isdigit() else step for step in fault.pointer.split("/")[1:]),
            input=None,
        )
        for fault in faults
    ]
    if details:
        raise ValidationError.from_exception_data("request", details)


def _rule(find: Callable[[Any], Iterable[Fault]]) -> AfterValidator:
    """Make a validator that refuses a value with every fault that `find` names."""

    def check(value: Any) -> Any:  # noqa: ANN401 -- any field's value passes through unchanged
        _raise_all(find(value))
        return value

    return AfterValidator(check)


def _text(longest: int, shortest: int = 1) -> AfterValidator:
    def find(text: str) -> Iterable[Fault]:
        if not shortest <= length(text) <= longest:
            yield Fault("", "wrong-length", f"Write {shortest} to {longest} characters (an emoji counts as two).")
        if _CONTROL.search(text):
            yield Fault(
                "", "control-character", "Line breaks and other control characters are not allowed. Remove them."
            )
        if text != text.strip():
            yield Fault("", "outer-whitespace", "White space at the beginning or the end is not allowed. Remove it.")

    return _rule(find)


def _guid(text: str) -> Iterable[Fault]:
    if not _GUID.fullmatch(text):
        yield Fault("", "not-a-guid", "Give an Entra object id: 8-4-4-4-12 hexadecimal digits.")


def _email(text: str) -> Iterable[Fault]:
    if not _EMAIL.fullmatch(text):
        yield Fault("", "not-an-email-address", "Give one e-mail address, such as team@contoso.com: notices go there.")


def _permission_name(name: str) -> Iterable[Fault]:
    """What Entra takes as the value of a scope or an app role."""
    if not 1 <= length(name) <= _LONGEST_PERMISSION_NAME:
        yield Fault("", "wrong-length", "Write 1 to 120 characters.")
    elif not _PERMISSION_NAME.fullmatch(name):
        yield Fault("", "name-character", "Use letters, digits and punctuation; no space, quote or backslash.")
    elif name.startswith("."):
        yield Fault("", "name-leading-dot", "The name of a scope or role must not begin with a dot.")


def _scope_name(name: str) -> Iterable[Fault]:
    """What Entra takes, and for SMART scopes the dotted name that the FHIR server reads back."""
    faults = list(_permission_name(name))
    yield from faults
    if faults:
        return
    if _SMART_SLASH.match(name):
        yield Fault(
            "", "smart-scope-slash", "Entra has SMART scopes by their dotted names: patient.Patient.rs, launch.patient."
        )
    elif _SMART_DOTTED.match(name) and not _SMART_SCOPE.fullmatch(name):
        yield Fault(
            "",
            "smart-scope-name",
            "Write {patient|user|system}.{all|a FHIR resource type}.{read|write|all|letters of cruds in this order}, "
            "such as patient.Observation.rs.",
        )


def _permission_names(rule: Callable[[str], Iterable[Fault]]) -> AfterValidator:
    def find(names: tuple[str, ...]) -> Iterable[Fault]:
        if len(names) > MOST_PERMISSIONS:
            yield Fault("", "too-many-items", "At most 400 names are allowed. Leave some out.")
        seen: set[str] = set()
        for index, name in enumerate(names):
            yield from (replace(fault, pointer=f"/{index}") for fault in rule(name))
            if name.lower() in seen:
                yield Fault(f"/{index}", "name-duplicate", "The same name stands earlier in the list. Remove one.")
            seen.add(name.lower())

    return _rule(find)


def _duration(text: str) -> str:
    try:
        lifetime = parse_duration(text)
    except ValueError:
        _raise_all([Fault("", "not-a-duration", "Give an ISO 8601 duration of days and time, such as P90D.")])
        raise
    return format_duration(lifetime)


def _token_version(version: int) -> Iterable[Fault]:
    if version not in (1, 2):
        yield Fault("", "not-one-of", "Send 1 (the audience is the identifier URI) or 2 (it is the client id).")


def _credential_type(value: str) -> Iterable[Fault]:
    if value in ("federated", "certificate"):
        yield Fault(
            "", "credential-type-unavailable", "This version issues secrets only. Send secret, or leave it out."
        )
    elif value != "secret":
        yield Fault("", "credential-type-unknown", 'The type of a credential is "secret".')


# --- field types ----------------------------------------------------------------------------------------------------

Guid = Annotated[str, _rule(_guid), AfterValidator(str.lower), Field(json_schema_extra={"format": "uuid"})]
Email = Annotated[str, StringConstraints(max_length=254), _rule(_email), Field(json_schema_extra={"format": "email"})]
PermissionNames = Annotated[tuple[str, ...], Field(strict=False), _permission_names(_permission_name)]
ScopeNames = Annotated[tuple[str, ...], Field(strict=False), _permission_names(_scope_name)]
Lifetime = Annotated[str, AfterValidator(_duration), Field(json_schema_extra={"format": "duration"})]
ServerUrl = Annotated[
    str,
    _rule(server_url_faults),
    AfterValidator(normalise_server_url),
    Field(json_schema_extra={"format": "uri"}),
]


def _web_uri(uri: str) -> str:
    _raise_all(redirect_uri_faults(uri, "web"))
    return normalise_redirect_uri(uri)


def _redirect_uris(uris: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    # Where the platform itself is refused, the rules that every platform shares are still told.
    platform = info.data.get("platform", "web" if "platform" not in _fields(info) else "native")
    each = (fault for index, uri in enumerate(uris) for fault in redirect_uri_faults(uri, platform, f"/{index}"))
    _raise_all([*each, *redirect_uri_list_faults(uris)])
    return tuple(map(normalise_redirect_uri, uris))


def _fields(info: ValidationInfo) -> Iterable[str]:
    """Return the names of the fields of the request type that is being read."""
    return REQUEST_TYPES[ClientType(info.data["client_type"])].model_fields


WebUri = Annotated[str, AfterValidator(_web_uri), Field(json_schema_extra={"format": "uri"})]
RedirectUris = Annotated[
    tuple[Annotated[str, Field(json_schema_extra={"format": "uri"})], ...],
    Field(strict=False),
    AfterValidator(_redirect_uris),
]


# --- the four requests ----------------------------------------------------------------------------------------------


class _Request(BaseModel):
    """What every registration has."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
        serialize_by_alias=True,
        validate_by_alias=True,
    )

    display_name: Annotated[str, _text(120)] = Field(description="Shown in Entra; 1 to 120 characters.")
    owner: Guid = Field(description="Entra object id of the user, group or service principal that decides access.")
    contact: Email = Field(description="Where notices go; it decides nothing.")
    description: Annotated[str, _text(1024)] | None = None
    service_management_reference: Annotated[str, _text(256)] | None = Field(
        default=None, description="Reference into your service inventory; some tenants require one."
    )

    HINTS: ClassVar[Mapping[str, str]] = {}


class ResourceApplicationRequest(_Request):
    """The API itself: a FHIR server secured by Entra. It never holds a credential."""

    client_type: Literal["resource"]
    fhir_server_url: ServerUrl = Field(description="The server's base URL; the identifier URI is derived from it.")
    scopes: ScopeNames = (DEFAULT_SCOPE,)
    app_roles: PermissionNames = SERVER_ROLES
    access_token_version: Annotated[int, _rule(_token_version), Field(json_schema_extra={"enum": [1, 2]})] = 1

    HINTS = {
        "redirectUris": "Nobody signs in to the API itself. Register a confidential or public client for that.",
        "credential": "An API checks tokens and needs no credential. Register a service client for outgoing calls.",
        "secretLifetime": "An API checks tokens and needs no credential. Register a service client for outgoing calls.",
        "identifierUri": "It is derived from fhirServerUrl, because Entra trusts only URIs that nobody can choose.",
        "identifierUris": "They are derived from fhirServerUrl, because Entra trusts only URIs that nobody can choose.",
    }

    @field_validator("app_roles")
    @classmethod
    def _not_named_as_a_scope(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Entra refuses an app role and a scope of one application that share a value."""
        scopes = {name.lower() for name in info.data.get("scopes", ())}
        _raise_all(
            Fault(f"/{index}", "role-named-as-scope", "A scope has the same name. Rename one of the two.")
            for index, name in enumerate(names)
            if name.lower() in scopes
        )
        return names


class _ClientRequest(_Request):
    resource: Annotated[str, _text(255)] = Field(
        description="What the client calls: a registration id of ours, a client id, an identifier URI, the URL of a "
        "registered FHIR server, or the URL of a managed FHIR service."
    )


class ConfidentialClientRequest(_ClientRequest):
    """A web application: authorization code flow, with a secret that its server keeps."""

    client_type: Literal["confidential"]
    redirect_uris: RedirectUris
    scopes: ScopeNames | None = None
    logout_url: WebUri | None = None
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


class SecretCredential(BaseModel):
    """The service mints a secret, proves it, and stores it in Key Vault."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Annotated[str, _rule(_credential_type), Field(json_schema_extra={"const": "secret"})] = "secret"


class ServiceClientRequest(_ClientRequest):
    """A daemon: client credentials flow, straight to the token endpoint."""

    client_type: Literal["service"]
    app_roles: PermissionNames = ()
    credential: SecretCredential = SecretCredential()
    secret_lifetime: Lifetime | None = None

    HINTS = {
        "redirectUris": "A service client has no user to send back. Register a confidential or public client for that.",
        "logoutUrl": "A service client has no user to log out.",
        "scopes": "Scopes are granted by a signed-in user. A service client has app roles: use appRoles.",
        "autoRotate": "The secret of a service client always rotates. Leave it out.",
    }


RegistrationRequest = (
    ResourceApplicationRequest | ConfidentialClientRequest | PublicClientRequest | ServiceClientRequest
)
REQUEST_TYPES: Final[Mapping[ClientType, type[_Request]]] = {
    ClientType.RESOURCE: ResourceApplicationRequest,
    ClientType.CONFIDENTIAL: ConfidentialClientRequest,
    ClientType.PUBLIC: PublicClientRequest,
    ClientType.SERVICE: ServiceClientRequest,
}
_ADAPTER: Final[TypeAdapter[RegistrationRequest]] = TypeAdapter(
    Annotated[RegistrationRequest, Field(discriminator="client_type")]
)


# --- reading a request ----------------------------------------------------------------------------------------------


def parse(body: object) -> RegistrationRequest:
    """Return the normalised request; raise RequestRejected (400) that names every fault of it at once."""
    if not isinstance(body, dict):
        raise RequestRejected(
            400, "invalid-request", "The body must be a JSON object.", [Fault("#", "wrong-type", "Send an object.")]
        )
    try:
        return _ADAPTER.validate_python(body)
    except ValidationError as error:
        client_type = body.get("clientType")
        faults = [_fault(dict(each), client_type) for each in error.errors(include_url=False, include_input=False)]
        message = f"The request breaks {len(faults)} rule{'s' if len(faults) > 1 else ''}; see errors."
        raise RequestRejected(400, "invalid-request", message, faults) from None


def restore(body: object) -> RegistrationRequest:
    """Return the request that `dump` wrote; what the registry holds was checked when it came in."""
    return _ADAPTER.validate_python(body)


def dump(request: RegistrationRequest) -> dict[str, Any]:
    """Return the normalised request as JSON values, without what was neither sent nor has a default."""
    return request.model_dump(mode="json", by_alias=True, exclude_none=True)


def fingerprint(request: RegistrationRequest) -> str:
    """Return a hash that is equal for two requests exactly when their normalised forms are."""
    canonical = json.dumps(dump(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def secret_lifetime_faults(request: RegistrationRequest, shortest: timedelta, longest: timedelta) -> list[Fault]:
    """Return the fault of a `secretLifetime` outside of what the operator allows, both ends included."""
    lifetime = getattr(request, "secret_lifetime", None)
    if lifetime is None or shortest <= parse_duration(lifetime) <= longest:
        return []
    rule = f"Choose between {format_duration(shortest)} and {format_duration(longest)}, or leave it out."
    return [Fault("#/secretLifetime", "secret-lifetime-out-of-range", rule)]


_WRONG_TYPE: Final = {
    "string_type": "Send a string.",
    "bool_type": "Send true or false, without quotes.",
    "int_type": "Send a whole number, without quotes.",
    "tuple_type": "Send an array.",
    "model_type": "Send an object.",
    "model_attributes_type": "Send an object.",
}
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


def _fault(error: Mapping[str, Any], client_type: object) -> Fault:
    """Turn one of pydantic's errors into ours; custom rules bring their own code and message."""
    kind, steps, context = str(error["type"]), list(error["loc"]), error.get("ctx", {})
    if steps and steps[0] in REQUEST_TYPES:
        steps = steps[1:]
    if kind == "extra_forbidden":
        return _refused_field(steps, ClientType(str(client_type)))
    if kind in _WRONG_TYPE:
        return Fault(_pointer(steps), "wrong-type", _WRONG_TYPE[kind])
    if kind.startswith("union_tag"):
        steps, code = ["clientType"], "required" if kind == "union_tag_not_found" else "client-type-unknown"
        return Fault(_pointer(steps), code, "Send one of resource, confidential, public, service.")
    code, message = {
        "missing": ("required", "This field is required. Add it."),
        "literal_error": ("not-one-of", f"Send one of {context.get('expected')}."),
        "string_too_long": ("wrong-length", f"Write at most {context.get('max_length')} characters."),
    }.get(kind, (kind, str(error["msg"])))
    return Fault(_pointer(steps), code, message)


def _refused_field(steps: list[int | str], client_type: ClientType) -> Fault:
    name = str(steps[-1])
    hint = REQUEST_TYPES[client_type].HINTS.get(name) if len(steps) == 1 else None
    message = hint or "This field does not exist for this client type. Remove it."
    # A name that no field could have is not repeated: it could be anything, a pasted secret included.
    return Fault(_pointer(steps if _FIELD_NAME.fullmatch(name) else steps[:-1]), "field-not-allowed", message)


def _pointer(steps: Iterable[int | str]) -> str:
    """Return a JSON pointer in fragment form, as RFC 9457 shows it."""
    return "#" + "".join(f"/{step}" for step in steps)
