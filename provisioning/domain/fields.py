"""The field types of a request: what a value may be, and everything that is wrong with one that may not.

Sources: lengths by "Validation differences by supported account types" (supported-accounts-validation), scope and role
names by the Graph resources permissionScope and appRole, SMART scopes by the FHIR server's own parser.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, JsonValue

from provisioning.domain import patterns
from provisioning.domain.azure_roles import DATA_ROLES
from provisioning.domain.callbacks import LONGEST_CALLBACK_URL, callback_url_faults
from provisioning.domain.certificates import LARGEST, certificate_faults, normalise_certificate
from provisioning.domain.durations import format_duration, parse_duration
from provisioning.domain.errors import Fault
from provisioning.domain.hosts import length
from provisioning.domain.names import LONGEST_SERVER_URL, normalise_server_url, server_url_faults
from provisioning.domain.openid import OPENID_SCOPES
from provisioning.domain.rules import Basis, FindFaults, Lifetimes, Rule, rule
from provisioning.domain.texts import has_invisible_character
from provisioning.domain.uris import (
    LONGEST_ISSUER,
    LONGEST_LOGOUT_URL,
    LONGEST_REDIRECT_URI,
    MOST_REDIRECT_URIS,
    issuer_faults,
    logout_url_faults,
    normalise_redirect_uri,
    redirect_uri_faults,
    redirect_uri_list_faults,
)

MOST_PERMISSIONS: Final = 400
MOST_SUBJECTS: Final = 20
LONGEST_CLAIM: Final = 600

_GUID: Final = re.compile(patterns.GUID)
_EMAIL: Final = re.compile(patterns.EMAIL)
_LONGEST_EMAIL: Final = 254
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PERMISSION_NAME: Final = re.compile(r"[A-Za-z0-9:!#$%&'()*+,\-./;<=>?@\[\]^_`{|}~]+", re.ASCII)
_LONGEST_PERMISSION_NAME: Final = 120
_SMART_SLASH: Final = re.compile(r"(?:patient|user|system)/|launch/")
_SMART_DOTTED: Final = re.compile(r"(?:patient|user|system)\.")
_SMART_SCOPE: Final = re.compile(
    r"(?:patient|user|system)\.(?:all|\*|[A-Z][A-Za-z]{1,63})\.(?:read|write|all|\*|(?=[cruds])c?r?u?d?s?)(?:\?[^?\s]+)?"
)


# --- rules ----------------------------------------------------------------------------------------------------------


def text(longest: int) -> Rule:
    """Make the rule for a text of one to `longest` characters, as Entra counts them."""
    return rule(_text(longest), minLength=1, maxLength=longest, pattern=patterns.TEXT)


def _text(longest: int) -> FindFaults:
    def find(value: str, _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
        if not 1 <= length(value) <= longest:
            yield Fault("", "wrong-length", f"Write 1 to {longest} characters (an emoji counts as two).")
        if _CONTROL.search(value):
            yield Fault("", "control-character", "Line breaks and control characters are not allowed. Remove them.")
        elif has_invisible_character(value):
            yield Fault(
                "",
                "invisible-character",
                "A character is invisible, changes the direction of writing, or is not assigned. Remove it; joiners "
                "inside of words and emoji may stay.",
            )
        if value != value.strip():
            yield Fault("", "outer-whitespace", "White space at the beginning or end is not allowed. Remove it.")

    return find


def _guid(value: str, _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
    if not _GUID.fullmatch(value):
        yield Fault("", "not-a-guid", "Give an Entra object id: 8-4-4-4-12 hexadecimal digits.")


def _email(value: str, _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
    if length(value) > _LONGEST_EMAIL or not _EMAIL.fullmatch(value):
        yield Fault("", "not-an-email-address", "Give one e-mail address, such as team@contoso.com: notices go there.")


def _permission_name(name: str) -> Iterable[Fault]:
    """What Entra takes as the value of a scope or an app role; a URI that ends in one is none."""
    if "://" in name:
        message = "This is the URI of a scope or an app role. Write its name alone: what stands after the last slash."
        yield Fault("", "name-is-uri", message)
    elif not 1 <= length(name) <= _LONGEST_PERMISSION_NAME:
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
        message = "Entra has SMART scopes by their dotted names: patient.Patient.rs, launch.patient."
        yield Fault("", "smart-scope-slash", message)
    elif _SMART_DOTTED.match(name) and not _SMART_SCOPE.fullmatch(name):
        yield Fault(
            "",
            "smart-scope-name",
            "Write {patient|user|system}.{all|a FHIR resource type}.{read|write|all|letters of cruds in this order}, "
            "such as patient.Observation.rs.",
        )


def _defined_scope_name(name: str) -> Iterable[Fault]:
    """What Entra takes for a scope of our own: it refuses the slash that its documents allow."""
    faults = list(_scope_name(name))
    yield from faults
    if not faults and "/" in name:
        yield Fault("", "name-character", "Entra refuses a slash in the name of a scope. Write a dot.")
    if name.lower() in OPENID_SCOPES:
        message = "This scope belongs to Microsoft Graph in every tenant. Leave it to the clients to ask for it."
        yield Fault("", "openid-scope", message)


def _names(one: Callable[[str], Iterable[Fault]]) -> FindFaults:
    def find(names: tuple[str, ...], _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
        if len(names) > MOST_PERMISSIONS:
            yield Fault("", "too-many-items", "At most 400 names are allowed. Leave some out.")
            return
        seen: set[str] = set()
        for index, name in enumerate(names):
            yield from (replace(fault, pointer=f"/{index}") for fault in one(name))
            if name.lower() in seen:
                yield Fault(f"/{index}", "name-duplicate", "The same name stands earlier in the list. Remove one.")
            seen.add(name.lower())

    return find


def _defined_roles(names: tuple[str, ...], fields: Mapping[str, Any], basis: Basis) -> Iterable[Fault]:
    """What app roles of a resource may be called: one that is a scope too has the scope's very name."""
    yield from _names(_permission_name)(names, fields, basis)
    scopes = {name.lower(): name for name in fields.get("scopes", ())}
    for index, name in enumerate(names):
        if scopes.get(name.lower(), name) != name:
            message = "A scope has this name, but for the case of a letter. Spell both alike, or rename one of the two."
            yield Fault(f"/{index}", "role-named-as-scope", message)


def _granted_name(name: str) -> Iterable[Fault]:
    """What a client may be granted: a scope or an app role by its name, or a data role."""
    return () if name in DATA_ROLES else _permission_name(name)


def _data_role(name: str) -> Iterable[Fault]:
    if name not in DATA_ROLES:
        yield Fault("", "not-one-of", f"Send names of {', '.join(DATA_ROLES)}.")


def _redirect_uris(uris: tuple[str, ...], fields: Mapping[str, Any], basis: Basis) -> Iterable[Fault]:
    # Where the platform itself is refused, the rules that every platform shares are still told.
    platform = fields.get("platform", "native" if fields.get("client_type") == "public" else "web")
    if len(uris) <= MOST_REDIRECT_URIS:
        for index, uri in enumerate(uris):
            if not basis.redirect_uris & {uri, normalise_redirect_uri(uri)}:
                yield from redirect_uri_faults(uri, platform, f"/{index}", basis.client_id)
    yield from redirect_uri_list_faults(uris)


def lifetime_rule(lifetimes: Lifetimes | None) -> str:
    """Return all that there is to say of the life of a secret: form, example, limits."""
    form = "Write days and time as ISO 8601 has it, such as P90D"
    if lifetimes is None:
        return f"{form}; or leave it out."
    shortest, longest = map(format_duration, lifetimes)
    return f"{form}: more than {shortest}, at most {longest}; or leave it out."


def _lifetime(value: str, _: Mapping[str, Any], basis: Basis) -> Iterable[Fault]:
    try:
        parse_duration(value)
    except ValueError:
        yield Fault("", "not-a-duration", lifetime_rule(basis.lifetimes))


def _token_version(version: int, _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
    if version not in (1, 2):
        yield Fault("", "not-one-of", "Send 1 (the audience is the identifier URI) or 2 (it is the client id).")


def _subjects(subjects: tuple[str, ...], fields: Mapping[str, Any], basis: Basis) -> Iterable[Fault]:
    if not subjects:
        yield Fault("", "too-few-items", "At least one subject is required: the claim sub of the workload's token.")
    if len(subjects) > MOST_SUBJECTS:
        yield Fault("", "too-many-items", "Entra keeps at most 20 federated credentials. Register another client.")
        return
    for index, subject in enumerate(subjects):
        yield from (replace(each, pointer=f"/{index}") for each in _claim_text(subject, fields, basis))
        if subject in subjects[:index]:
            yield Fault(f"/{index}", "subject-duplicate", "The same subject stands earlier in the list. Remove one.")


def _claim_text(value: str, fields: Mapping[str, Any], basis: Basis) -> Iterable[Fault]:
    yield from _text(LONGEST_CLAIM)(value, fields, basis)
    if "*" in value:
        yield Fault("", "claim-wildcard", "Entra compares the claim whole. Write it as it stands in the token.")


def _one_or_many(subject: str | None, fields: Mapping[str, Any], basis: Basis) -> Iterable[Fault]:
    many = fields.get("subjects", ())
    if subject is None and many is None:
        yield Fault("", "required", "Send the claim sub of the workload's token; several of them in subjects.")
    elif subject is not None:
        if many:
            yield Fault("", "subject-twice", "Send subject or subjects, not both: put all of them into subjects.")
        yield from _claim_text(subject, fields, basis)


def _with_a_secret(_: str, fields: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
    credential = fields.get("credential")
    if credential is not None and credential.type != "secret":
        yield Fault(
            "", "secret-lifetime-without-secret", "This credential is no secret, so none has a life. Remove it."
        )


# --- types ----------------------------------------------------------------------------------------------------------


def _each(**keywords: JsonValue) -> Any:  # noqa: ANN401 -- as pydantic's Field
    """Say of each entry of a list what JSON Schema can; the rule of the list judges it."""
    return Field(json_schema_extra=lambda schema: schema.update(keywords))


_A_NAME: Final[Mapping[str, Any]] = {"minLength": 1, "maxLength": _LONGEST_PERMISSION_NAME}
_NAMES: Final[Mapping[str, Any]] = {"maxItems": MOST_PERMISSIONS, "uniqueItems": True}
_A_CLAIM: Final[Mapping[str, Any]] = {"minLength": 1, "maxLength": LONGEST_CLAIM, "pattern": patterns.CLAIM}
_A_URI: Final[Mapping[str, Any]] = {"format": "uri", "maxLength": LONGEST_REDIRECT_URI}
_URIS: Final[Mapping[str, Any]] = {"minItems": 1, "maxItems": MOST_REDIRECT_URIS, "uniqueItems": True}

DisplayName = Annotated[str, text(120)]
Description = Annotated[str, text(1024)]
Reference = Annotated[str, text(256)]
ResourceName = Annotated[str, text(255)]
Guid = Annotated[str, rule(_guid, str.lower, format="uuid", pattern=patterns.GUID)]
Email = Annotated[str, rule(_email, format="email", maxLength=_LONGEST_EMAIL, pattern=patterns.EMAIL)]
Lifetime = Annotated[
    str,
    rule(_lifetime, lambda value: format_duration(parse_duration(value)), format="duration", pattern=patterns.DURATION),
]
# Absent rather than false, so that a request that says so is the same as one that says nothing.
MappedClaims = Annotated[bool | None, AfterValidator(lambda accepts: accepts or None)]
AppRoleNames = Annotated[
    tuple[Annotated[str, _each(**_A_NAME, pattern=patterns.PERMISSION_NAME)], ...],
    Field(strict=False),
    rule(_names(_permission_name), **_NAMES),
]
GrantedNames = Annotated[
    tuple[
        Annotated[str, _each(**_A_NAME, anyOf=[{"pattern": patterns.PERMISSION_NAME}, {"enum": [*DATA_ROLES]}])], ...
    ],
    Field(strict=False),
    rule(_names(_granted_name), **_NAMES),
]
# Absent rather than empty, so that a request that asks for none is the same as one that says nothing.
DataRoleNames = Annotated[
    Annotated[
        tuple[Annotated[str, _each(enum=[*DATA_ROLES])], ...],
        Field(strict=False),
        rule(_names(_data_role), lambda names: tuple(sorted(names)), uniqueItems=True),
    ]
    | None,
    AfterValidator(lambda names: names or None),
]
DefinedAppRoles = Annotated[
    tuple[Annotated[str, _each(**_A_NAME, pattern=patterns.PERMISSION_NAME)], ...],
    Field(strict=False, validate_default=True),
    rule(_defined_roles, **_NAMES),
]
DefinedScopes = Annotated[
    tuple[Annotated[str, _each(**_A_NAME, pattern=patterns.DEFINED_SCOPE_NAME)], ...],
    Field(strict=False),
    rule(_names(_defined_scope_name), **_NAMES),
]
ScopeNames = Annotated[
    tuple[Annotated[str, _each(**_A_NAME, pattern=patterns.SCOPE_NAME)], ...],
    Field(strict=False),
    rule(_names(_scope_name), **_NAMES),
]
TokenVersion = Annotated[int, rule(_token_version, enum=[1, 2])]
SecretLifetime = Annotated[Lifetime, rule(_with_a_secret)]
Issuer = Annotated[
    str,
    rule(lambda url, *_: issuer_faults(url), format="uri", maxLength=LONGEST_ISSUER, pattern=patterns.ISSUER),
]
Audience = Annotated[str, rule(_claim_text, **_A_CLAIM)]
Subjects = Annotated[
    tuple[Annotated[str, _each(**_A_CLAIM)], ...],
    Field(strict=False),
    rule(_subjects, minItems=1, maxItems=MOST_SUBJECTS, uniqueItems=True),
]
# Of `subject` and `subjects` one is sent: judged here, even if this one is not.
Subject = Annotated[Annotated[str, _each(**_A_CLAIM)] | None, Field(validate_default=True), rule(_one_or_many)]
Certificate = Annotated[
    str,
    rule(
        lambda pem, *_: certificate_faults(pem), normalise_certificate, maxLength=LARGEST, pattern=patterns.CERTIFICATE
    ),
]
CallbackUrl = Annotated[
    str,
    rule(
        lambda url, *_: callback_url_faults(url),
        normalise_redirect_uri,
        format="uri",
        maxLength=LONGEST_CALLBACK_URL,
        pattern=patterns.CALLBACK_URL,
    ),
]
ServerUrl = Annotated[
    str,
    rule(
        lambda url, *_: server_url_faults(url),
        normalise_server_url,
        format="uri",
        maxLength=LONGEST_SERVER_URL,
        pattern=patterns.SERVER_URL,
    ),
]
LogoutUrl = Annotated[
    str,
    rule(
        lambda url, *_: logout_url_faults(url),
        normalise_redirect_uri,
        format="uri",
        maxLength=LONGEST_LOGOUT_URL,
        pattern=patterns.LOGOUT_URL,
    ),
]
_redirect_rule: Final = rule(_redirect_uris, lambda uris: tuple(map(normalise_redirect_uri, uris)), **_URIS)
RedirectUris = Annotated[
    tuple[Annotated[str, _each(**_A_URI, pattern=patterns.WEB_REDIRECT_URI)], ...], Field(strict=False), _redirect_rule
]
PublicRedirectUris = Annotated[
    tuple[Annotated[str, _each(**_A_URI, pattern=patterns.PUBLIC_REDIRECT_URI)], ...],
    Field(strict=False),
    _redirect_rule,
]
