"""Entra's rules for what an application exposes: permission scopes and application roles, not who has them."""

from __future__ import annotations

import re

from dev.emulator.errors import Json, bad_request, invalid_value
from dev.emulator.shapes import Check, distinct, flag, guid, nullable, one_of, record, text, utf16_length

LONGEST_VALUE = 120
_VALUE = re.compile(r"""[A-Za-z0-9:!#$%&'()*+,\-./;<=>?@\[\]^_`{|}~]+""")


def permission_value(value: object, name: str) -> object:
    """The name that stands in a token."""
    well_formed = isinstance(value, str) and _VALUE.fullmatch(value) and utf16_length(value) <= LONGEST_VALUE
    if not well_formed or str(value).startswith("."):
        raise invalid_value(name)
    return value


def _scope_value(value: object, name: str) -> object:
    """Graph's documents allow a slash, FHIR samples say that Entra refuses it: the stricter holds."""
    if "/" in str(value):
        raise invalid_value(name)
    return permission_value(value, name)


SCOPE = {
    "id": guid,
    "value": _scope_value,
    "type": one_of("Admin", "User"),
    "isEnabled": flag,
    "adminConsentDisplayName": text(256, 1),
    "adminConsentDescription": text(1024, 1),
    "userConsentDisplayName": nullable(text(256)),
    "userConsentDescription": nullable(text(1024)),
}
_SCOPE_RECORD = record(SCOPE, ("id", "value", "adminConsentDisplayName", "adminConsentDescription"))


def scope(value: object, name: str) -> object:
    """A delegated permission; where it has no texts for users, they are shown those for admins."""
    stored = _SCOPE_RECORD(value, name)
    assert isinstance(stored, dict)
    defaults = {"type": "User", "isEnabled": True, "userConsentDisplayName": None, "userConsentDescription": None}
    return {**defaults, **stored}


def member_types(value: object, name: str) -> object:
    """Who may be given the role."""
    stored = distinct(one_of("User", "Application"))(value, name)
    if not stored:
        raise invalid_value(name)
    return stored


ROLE: dict[str, Check] = {
    "id": guid,
    "value": permission_value,
    "displayName": text(256, 1),
    "description": text(1024, 1),
    "allowedMemberTypes": member_types,
    "isEnabled": flag,
}
_ROLE_RECORD = record(ROLE, ("id", "value", "displayName", "description", "allowedMemberTypes"))


def role(value: object, name: str) -> object:
    """An application role."""
    stored = _ROLE_RECORD(value, name)
    assert isinstance(stored, dict)
    return {"isEnabled": True, **stored}


# What a scope and a role of one id have in common, each under its name at the one and at the other.
_SHARED = (
    ("adminConsentDescription", "description"),
    ("adminConsentDisplayName", "displayName"),
    ("isEnabled", "isEnabled"),
    ("value", "value"),
)


def check_distinct(body: Json) -> None:
    """Ids and values are unique among the scopes, among the roles, and over both: but for one that is both.

    A scope and a role may have one id, if they agree in value, texts and state; with two ids they may not have one
    value (MicrosoftDocs/azure-docs #81899, which has Entra's words for both).
    """
    scopes, roles = body["api"]["oauth2PermissionScopes"], body["appRoles"]
    by_id = {item["id"]: item for item in scopes}
    apart = [item for item in roles if item["id"] not in by_id]
    for name, items in (("id", scopes), ("id", roles), ("value", [*scopes, *apart]), ("value", roles)):
        values = [item[name] for item in items]
        if len(set(values)) != len(values):
            raise bad_request("It contains duplicate value", detail="DuplicateValue", target=name)
    for item in roles:
        shared = by_id.get(item["id"])
        if shared is not None and any(shared[ours] != item[theirs] for ours, theirs in _SHARED):
            pairs = ",".join(f"({theirs}, {ours})" for ours, theirs in _SHARED)
            raise bad_request(
                "The following values must match for the 'oauth2Permissions' and 'appRoles' properties with identifier "
                f"'{item['id']}': {pairs}.",
                detail="InvalidValue",
                target="appRoles",
            )


def check_disabled_first(before: Json, after: Json) -> None:
    """An enabled scope or role can only be disabled, in a write of its own; then it may be changed or removed."""
    _check_disabled_first(before["api"]["oauth2PermissionScopes"], after["api"]["oauth2PermissionScopes"])
    _check_disabled_first(before["appRoles"], after["appRoles"])


def _check_disabled_first(before: list[Json], after: list[Json]) -> None:
    remaining = {item["id"]: item for item in after}
    for item in before:
        if item["isEnabled"] and remaining.get(item["id"]) not in (item, {**item, "isEnabled": False}):
            raise bad_request(
                "Permission (scope or role) cannot be deleted or updated unless disabled first.",
                code="CannotDeleteOrUpdateEnabledEntitlement",
                detail="CannotDeleteOrUpdateEnabledEntitlement",
                target=str(item["id"]),
            )


def check_preauthorized(before: Json | None, after: Json) -> None:
    """A scope must be stored before an application can be pre-authorized for it, and stays while one is.

    One entry for each application: Entra's manifest has a set of permissions for each appId.
    """
    known = {item["id"] for item in before["api"]["oauth2PermissionScopes"]} if before else set()
    known &= {item["id"] for item in after["api"]["oauth2PermissionScopes"]}
    clients = [client["appId"] for client in after["api"]["preAuthorizedApplications"]]
    if len(set(clients)) != len(clients):
        raise bad_request("It contains duplicate value", detail="DuplicateValue", target="preAuthorizedApplications")
    for client in after["api"]["preAuthorizedApplications"]:
        for permission in client["delegatedPermissionIds"]:
            if permission not in known:
                message = (
                    f"Property PreAuthorizedApplication references Permission Id {permission} that cannot be found"
                )
                raise bad_request(message, code="InvalidValue", target="preAuthorizedApplications")
