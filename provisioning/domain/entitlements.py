"""What a resource offers in Entra: scopes and app roles as its registration asks for them, and how they change. Pure.

Entra lets an enabled one neither be changed nor removed: it is disabled first, in a write of its own, and then changed
(the Graph resources appRole and permissionScope; error CannotDeleteOrUpdateEnabledEntitlement).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from provisioning.domain.directory import Application, Permission
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.permissions import app_roles_of, scopes_of
from provisioning.domain.registration import Registration

LONGEST_CONSENT_NAME: Final = 100
Entitlement = Mapping[str, Any]

# What may be sent of each; Graph shows more, which it does not take.
_TEXTS_OF_SCOPE: Final = (
    *("adminConsentDisplayName", "adminConsentDescription", "userConsentDisplayName", "userConsentDescription"),
)
_TEXTS_OF_ROLE: Final = ("displayName", "description")
_SCOPE: Final = ("id", "value", "type", "isEnabled", *_TEXTS_OF_SCOPE)
_ROLE: Final = ("id", "value", "allowedMemberTypes", "isEnabled", *_TEXTS_OF_ROLE)


def offered(registration: Registration, there: Application | None = None) -> dict[str, Any]:
    """Return the properties of an application by which it offers what its registration asks for; of a client none.

    `there` is the application as it is: what this service never set stays in it. Its texts stay too, unless the name of
    the registration is another one, which they hold.
    """
    request = registration.request
    if not isinstance(request, ResourceApplicationRequest):
        return {}
    scopes, app_roles = scopes_of(registration.id, request), app_roles_of(registration.id, request)
    has_scopes, has_roles = _there(there)
    ours = [_scope(each, request.display_name, both=each in app_roles) for each in scopes]
    roles = [_app_role(each, request.display_name, both=each in scopes) for each in app_roles]
    if "displayName" not in registration.changed_fields:
        anew = _ids_of_both(ours, roles) - _ids_of_both(has_scopes, has_roles)  # they are to have equal texts
        ours, roles = _kept(ours, has_scopes, _TEXTS_OF_SCOPE, anew), _kept(roles, has_roles, _TEXTS_OF_ROLE, anew)
    gone = registration.former_permissions
    return {
        "api": {"oauth2PermissionScopes": _joined(ours, has_scopes, gone)},
        "appRoles": _joined(roles, has_roles, gone),
    }


def disabled_first(registration: Registration, there: Application) -> dict[str, Any]:
    """Return the body of the `PATCH` that has to go before that of a change; empty where none has to."""
    wanted = offered(registration, there)
    if not wanted:
        return {}
    has_scopes, has_roles = _there(there)
    becomes = wanted["api"]["oauth2PermissionScopes"], wanted["appRoles"]
    ids = {each for has, wants in zip((has_scopes, has_roles), becomes, strict=True) for each in _blocked(has, wants)}
    if not ids:
        return {}
    scopes, roles = (
        [{**each, "isEnabled": each["isEnabled"] and each["id"] not in ids} for each in has]
        for has in (has_scopes, has_roles)
    )
    return {"api": {"oauth2PermissionScopes": scopes}, "appRoles": roles}


def removed_ids(registration: Registration, there: Application) -> frozenset[str]:
    """Return the ids of the scopes and app roles that the application has and a change takes away."""
    ids = {str(each["id"]) for has in _there(there) for each in has}
    return frozenset(ids & set(registration.former_permissions))


def offered_by_hand(registration: Registration, there: Application) -> list[str]:
    """Return the names of what the application offers and this service never set."""
    if not isinstance(registration.request, ResourceApplicationRequest):
        return []
    request = registration.request
    ours = {each.id for each in (*scopes_of(registration.id, request), *app_roles_of(registration.id, request))}
    known = ours | set(registration.former_permissions)
    return [str(each["value"]) for has in _there(there) for each in has if each["id"] not in known]


def _there(there: Application | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if there is None:
        return [], []
    scopes = (there.properties.get("api") or {}).get("oauth2PermissionScopes") or ()
    roles = there.properties.get("appRoles") or ()
    return [_only(_SCOPE, each) for each in scopes], [_only(_ROLE, each) for each in roles]


def _only(names: Iterable[str], found: Entitlement) -> dict[str, Any]:
    return {name: found.get(name) for name in names}


def _ids_of_both(scopes: Iterable[Entitlement], roles: Iterable[Entitlement]) -> set[str]:
    return {str(each["id"]) for each in scopes} & {str(each["id"]) for each in roles}


def _kept(
    ours: list[dict[str, Any]], has: list[dict[str, Any]], texts: Iterable[str], anew: set[str]
) -> list[dict[str, Any]]:
    """Return what is asked for with its texts as they are there, but for some."""
    known = {each["id"]: {name: each[name] for name in texts} for each in has if each["id"] not in anew}
    return [{**each, **known.get(each["id"], {})} for each in ours]


def _joined(ours: list[dict[str, Any]], has: list[dict[str, Any]], gone: Iterable[str]) -> list[dict[str, Any]]:
    """Return what is asked for, and behind it what others have put there.

    Where somebody has one of the same name under another id, that is the one.
    """
    ids = {each["id"] for each in ours}
    by_hand = [each for each in has if each["id"] not in ids and each["id"] not in gone]
    taken = {each["value"] for each in by_hand}
    return [*(each for each in ours if each["value"] not in taken), *by_hand]


def _blocked(has: Iterable[dict[str, Any]], becomes: Iterable[dict[str, Any]]) -> list[str]:
    """Return the ids of what is enabled and is to be another, or not there any more."""
    wanted = {each["id"]: each for each in becomes}
    return [each["id"] for each in has if each["isEnabled"] and not _same(each, wanted.get(each["id"]))]


def comparable(several: Iterable[Entitlement]) -> dict[str, Entitlement]:
    """Return scopes or app roles by their ids, each without its texts, which are people's to write."""
    return {
        str(each["id"]): {
            "value": each.get("value"),
            "isEnabled": each.get("isEnabled"),
            "of": each.get("type") or sorted(each.get("allowedMemberTypes") or ()),
        }
        for each in several
    }


def _same(one: Entitlement, other: Entitlement | None) -> bool:
    if other is None:
        return False
    members = [sorted(each.get("allowedMemberTypes") or ()) for each in (one, other)]
    return members[0] == members[1] and {**one, "allowedMemberTypes": ()} == {**other, "allowedMemberTypes": ()}


def _scope(scope: Permission, display_name: str, *, both: bool) -> dict[str, Any]:
    name = scope.value[:LONGEST_CONSENT_NAME]
    return {
        "id": scope.id,
        "value": scope.value,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": name,
        "adminConsentDescription": _of_both(scope, display_name)
        if both
        else f"Allow the application to use {display_name} with {scope.value} for the signed-in user.",
        "userConsentDisplayName": name,
        "userConsentDescription": f"Allow the application to use {display_name} with {scope.value} on your behalf.",
    }


def _app_role(role: Permission, display_name: str, *, both: bool) -> dict[str, Any]:
    """One that is a scope too has the scope's texts, or Entra refuses both."""
    return {
        "id": role.id,
        "value": role.value,
        "displayName": role.value[:LONGEST_CONSENT_NAME] if both else role.value,
        "description": _of_both(role, display_name) if both else f"{role.value} on {display_name}",
        "allowedMemberTypes": ["User", "Application"],
        "isEnabled": True,
    }


def _of_both(permission: Permission, display_name: str) -> str:
    return f"Allow the application to use {display_name} with {permission.value}, for the signed-in user or for itself."
