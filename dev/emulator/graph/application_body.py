"""What an application may look like: a body is checked and made what is stored; `applications.py` acts on it."""

from __future__ import annotations

import copy

from dev.emulator.errors import Json, bad_request, denied, invalid_value, too_large
from dev.emulator.graph import key_credentials, uris
from dev.emulator.graph.entitlements import check_disabled_first, check_distinct, check_preauthorized, role, scope
from dev.emulator.shapes import (
    Check,
    distinct,
    flag,
    guid,
    many,
    nullable,
    one_of,
    read,
    record,
    text,
    utf16_length,
)

MOST_RESOURCES = 50
MOST_PERMISSIONS = 400
MOST_ITEMS = 1000  # over all collections of one application
LONGEST_NAME = 120
LONGEST_NAME_FOR_PERSONAL = 90
ORGANIZATION = "AzureADMyOrg"
PERSONAL = frozenset({"AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"})
ONLY_FOR_PERSONAL = 2  # the version of access tokens that personal accounts force
AUDIENCES = (ORGANIZATION, "AzureADMultipleOrgs", *sorted(PERSONAL))

READ_ONLY = frozenset(
    {
        "id",
        "appId",
        "applicationTemplateId",
        "certification",
        "createdByAppId",
        "createdDateTime",
        "deletedDateTime",
        "disabledByMicrosoftStatus",
        "publisherDomain",
        "verifiedPublisher",
    }
)


def _tag(value: object, name: str) -> object:
    stored = text(256, 1)(value, name)
    if any(character.isspace() for character in str(stored)):
        raise invalid_value(name)
    return stored


def _url(value: object, name: str) -> object:
    stored = str(text(255, 1)(value, name))
    if not stored.lower().startswith("https://"):
        raise invalid_value(name)
    return stored


def _required_access(value: object, name: str) -> object:
    item = record({"resourceAppId": guid, "resourceAccess": many(_ACCESS)}, ("resourceAppId", "resourceAccess"))
    stored = many(item)(value, name)
    assert isinstance(stored, list)
    resources = [entry["resourceAppId"] for entry in stored]
    permissions = [access["id"] for entry in stored for access in entry["resourceAccess"]]
    if len(resources) > MOST_RESOURCES or len(permissions) > MOST_PERMISSIONS:
        raise bad_request("The application requires too many permissions.", detail="TooManyValues", target=name)
    if len(set(resources)) != len(resources):
        raise bad_request(f"Request contains a property with duplicate values. Property: {name}.")
    return stored


_ACCESS = record({"id": guid, "type": one_of("Scope", "Role")}, ("id", "type"))
_CLAIM = record(
    {
        "name": text(256, 1),
        "source": nullable(one_of("user")),
        "essential": flag,
        "additionalProperties": many(text(256, 1)),
    },
    ("name",),
)
_URIS = {"redirectUris": many(text(100_000))}

_API: dict[str, Check] = {
    "acceptMappedClaims": nullable(flag),
    "knownClientApplications": distinct(guid),
    "oauth2PermissionScopes": many(scope),
    "preAuthorizedApplications": many(
        record({"appId": guid, "delegatedPermissionIds": distinct(guid)}, ("appId", "delegatedPermissionIds"))
    ),
    "requestedAccessTokenVersion": nullable(one_of(1, 2)),
}
_WEB: dict[str, Check] = {
    **_URIS,
    "homePageUrl": nullable(_url),
    "logoutUrl": nullable(_url),
    "implicitGrantSettings": record({"enableAccessTokenIssuance": flag, "enableIdTokenIssuance": flag}),
}
_INFO: dict[str, Check] = {
    name: nullable(_url) for name in ("marketingUrl", "privacyStatementUrl", "supportUrl", "termsOfServiceUrl")
}
WRITABLE: dict[str, Check] = {
    "displayName": text(LONGEST_NAME, 1),
    "description": nullable(text(1024)),
    "notes": nullable(text(1024)),
    "serviceManagementReference": nullable(text(256)),
    "signInAudience": one_of(*AUDIENCES),
    "tags": distinct(_tag),
    "uniqueName": nullable(text(256, 1)),
    "identifierUris": distinct(text(100_000), str.lower),
    "api": record(_API),
    "appRoles": many(role),
    "web": record(_WEB),
    "spa": record(_URIS),
    "publicClient": record(_URIS),
    "info": record(_INFO),
    "requiredResourceAccess": _required_access,
    "isFallbackPublicClient": nullable(flag),
    "isDeviceOnlyAuthSupported": nullable(flag),
    "groupMembershipClaims": nullable(
        one_of("None", "SecurityGroup", "ApplicationGroup", "DirectoryRole", "All", "SecurityGroup,ApplicationGroup")
    ),
    "optionalClaims": nullable(
        record({"accessToken": many(_CLAIM), "idToken": many(_CLAIM), "saml2Token": many(_CLAIM)})
    ),
    "keyCredentials": key_credentials.key_credentials,
}

_DEFAULTS: Json = {
    "description": None,
    "notes": None,
    "serviceManagementReference": None,
    "signInAudience": ORGANIZATION,
    "tags": [],
    "uniqueName": None,
    "identifierUris": [],
    "api": {
        "acceptMappedClaims": None,
        "knownClientApplications": [],
        "oauth2PermissionScopes": [],
        "preAuthorizedApplications": [],
        "requestedAccessTokenVersion": None,
    },
    "appRoles": [],
    "web": {
        "homePageUrl": None,
        "logoutUrl": None,
        "redirectUris": [],
        "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
    },
    "spa": {"redirectUris": []},
    "publicClient": {"redirectUris": []},
    "info": dict.fromkeys(["logoUrl", *_INFO]),
    "requiredResourceAccess": [],
    "isFallbackPublicClient": None,
    "isDeviceOnlyAuthSupported": None,
    "groupMembershipClaims": None,
    "optionalClaims": None,
    "keyCredentials": [],
}


def created(body: Json, *, owned_by: bool) -> Json:
    """The stored form of a new application; passwords and owners have been taken out of the body before."""
    _refuse_read_only(body)
    sent = read(body, WRITABLE, ("displayName",))
    key_credentials.refuse_key_ids(body.get("keyCredentials", []))
    if owned_by and sent.get("api", {}).get("acceptMappedClaims") is not None:
        raise denied()  # under OwnedBy it can be set by a PATCH only
    after = _merged(copy.deepcopy(_DEFAULTS), sent)
    key_credentials.keep_stored_keys([], after["keyCredentials"])
    _check_whole(None, after)
    return after


def updated(before: Json, body: Json) -> Json:
    """The stored form after a PATCH: collections are replaced, the fields of complex values are merged.

    An application without `uniqueName` may be given one, once (Bicep templates for Graph, "reference existing
    resources").
    """
    _refuse_read_only(body)
    if "uniqueName" in body and before["uniqueName"] is not None:
        raise bad_request("Property 'uniqueName' is immutable.", detail="PropertyNotUpdatable", target="uniqueName")
    if "passwordCredentials" in body:
        raise bad_request("New password credentials must be generated with service actions.")
    sent = read(body, WRITABLE)
    if "displayName" in body and sent["displayName"] is None:
        raise invalid_value("displayName")
    after = _merged(copy.deepcopy(before), sent)
    key_credentials.keep_stored_keys(before["keyCredentials"], after["keyCredentials"])
    _check_whole(before, after)
    return after


def _refuse_read_only(body: Json) -> None:
    for name in body:
        if name in READ_ONLY:
            message = f"Property '{name}' is read-only and cannot be set."
            raise bad_request(message, detail="PropertyNotUpdatable", target=name)


def _merged(into: Json, sent: Json) -> Json:
    for name, value in sent.items():
        both = isinstance(value, dict) and isinstance(into.get(name), dict)
        into[name] = _merged(into[name], value) if both else value
    return into


def _check_whole(before: Json | None, after: Json) -> None:
    """The rules that look at more than one property."""
    personal = after["signInAudience"] in PERSONAL
    if personal and utf16_length(after["displayName"]) > LONGEST_NAME_FOR_PERSONAL:
        raise invalid_value("displayName")
    if personal and after["api"]["requestedAccessTokenVersion"] != ONLY_FOR_PERSONAL:
        raise invalid_value("requestedAccessTokenVersion")
    uris.redirect_uris(after, personal=personal)
    check_distinct(after)
    if before is not None:
        check_disabled_first(before, after)
    check_preauthorized(before, after)


def check_size(body: Json, credentials: int) -> None:
    """All collections of one application together have a limit."""
    lists = [
        body["identifierUris"],
        body["tags"],
        body["appRoles"],
        body["api"]["oauth2PermissionScopes"],
        body["api"]["knownClientApplications"],
        body["api"]["preAuthorizedApplications"],
        body["web"]["redirectUris"],
        body["spa"]["redirectUris"],
        body["publicClient"]["redirectUris"],
        body["keyCredentials"],
        *(entry["resourceAccess"] for entry in body["requiredResourceAccess"]),
        *(entry["delegatedPermissionIds"] for entry in body["api"]["preAuthorizedApplications"]),
    ]
    if sum(map(len, lists)) + credentials > MOST_ITEMS:
        raise too_large()


def token_version(body: Json) -> int:
    """The version of the access tokens for this resource; null means 1."""
    return int(body["api"]["requestedAccessTokenVersion"] or 1)
