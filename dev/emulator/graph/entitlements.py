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
    """A delegated permission; one that users may consent to needs texts for users."""
    stored = _SCOPE_RECORD(value, name)
    assert isinstance(stored, dict)
    defaults = {"type": "User", "isEnabled": True, "userConsentDisplayName": None, "userConsentDescription": None}
    stored = {**defaults, **stored}
    if stored["type"] == "User" and not (stored["userConsentDisplayName"] and stored["userConsentDescription"]):
        raise invalid_value(name, why="A scope of type User needs the texts for the user's consent.")
    return stored


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


def entitlements(body: Json) -> list[Json]:
    """All that the application exposes."""
    return [*body["api"]["oauth2PermissionScopes"], *body["appRoles"]]


def check_distinct(body: Json) -> None:
    """Ids and values are unique in the application, over scopes and roles."""
    for name in ("id", "value"):
        values = [item[name] for item in entitlements(body)]
        if len(set(values)) != len(values):
            message = f"Request contains duplicate values of '{name}' in its scopes and roles."
            raise bad_request(message, detail="DuplicateValue", target=name)


def check_disabled_first(before: Json, after: Json) -> None:
    """An enabled scope or role can only be disabled, in a write of its own; then it may be changed or removed."""
    remaining = {item["id"]: item for item in entitlements(after)}
    for item in entitlements(before):
        if item["isEnabled"] and remaining.get(item["id"]) not in (item, {**item, "isEnabled": False}):
            raise bad_request(
                "Permission (scope or role) cannot be deleted or updated unless disabled first.",
                code="CannotDeleteOrUpdateEnabledEntitlement",
                detail="CannotDeleteOrUpdateEnabledEntitlement",
                target=str(item["id"]),
            )


def check_preauthorized(before: Json | None, after: Json) -> None:
    """A scope must be stored before an application can be pre-authorized for it."""
    known = {item["id"] for item in before["api"]["oauth2PermissionScopes"]} if before else set()
    for client in after["api"]["preAuthorizedApplications"]:
        for permission in client["delegatedPermissionIds"]:
            if permission not in known:
                message = (
                    f"Property PreAuthorizedApplication references Permission Id {permission} that cannot be found"
                )
                raise bad_request(message, code="InvalidValue", target="preAuthorizedApplications")
