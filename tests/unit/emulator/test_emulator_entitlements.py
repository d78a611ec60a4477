"""What an application exposes: scopes and roles, each for itself, and one that is both."""

from __future__ import annotations

from typing import Any

import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client

ID = "0a0a0a0a-0000-4000-8000-00000000000"


@pytest.fixture
def client() -> Client:
    return Client(Emulator())


def scope(**changes: Any) -> dict[str, Any]:
    texts = ("adminConsentDisplayName", "adminConsentDescription", "userConsentDisplayName", "userConsentDescription")
    return {"id": ID + "1", "value": "read", "type": "User", "isEnabled": True, **dict.fromkeys(texts, "x"), **changes}


def role(**changes: Any) -> dict[str, Any]:
    members = ["User", "Application"]
    basics = {"id": ID + "2", "value": "reader", "displayName": "r", "description": "r", "isEnabled": True}
    return {**basics, "allowedMemberTypes": members, **changes}


def refused(client: Client, **properties: Any) -> dict[str, Any]:
    response = client.graph("POST", "/applications", {"displayName": "x", **properties})
    assert response.status_code == 400, response.text
    assert not client.emulator.directory.records
    error: dict[str, Any] = response.json()["error"]
    return error


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "1"},
        {"value": None},
        {"value": "a b"},
        {"value": "é"},
        {"value": ".read"},
        {"value": "patient/Patient.read"},
        {"value": "x" * 121},
        {"type": "Anyone"},
        {"adminConsentDescription": None},
        {"userConsentDisplayName": "x" * 257},
        {"origin": "Application"},
    ],
)
def test_a_scope_keeps_to_its_rules(client: Client, changes: dict[str, Any]) -> None:
    refused(client, api={"oauth2PermissionScopes": [scope(**changes)]})


@pytest.mark.parametrize("kind", ["Admin", "User"])
def test_a_scope_needs_no_texts_for_users(client: Client, kind: str) -> None:
    bare = scope(type=kind, userConsentDisplayName=None, userConsentDescription=None, value="patient.all.read")
    client.create(api={"oauth2PermissionScopes": [bare]})


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"value": "a\tb"},
        {"value": "x" * 121},
        {"displayName": ""},
        {"description": None},
        {"allowedMemberTypes": []},
        {"allowedMemberTypes": ["Group"]},
        {"allowedMemberTypes": ["User", "User"]},
    ],
)
def test_an_application_role_keeps_to_its_rules(client: Client, changes: dict[str, Any]) -> None:
    refused(client, appRoles=[role(**changes)])


def test_ids_and_values_are_unique_over_scopes_and_roles(client: Client) -> None:
    refused(client, appRoles=[role(), role(id=ID + "3")])
    refused(client, appRoles=[role(), role(value="other")])
    refused(client, appRoles=[role(value="read")], api={"oauth2PermissionScopes": [scope()]})
    client.create(appRoles=[role()], api={"oauth2PermissionScopes": [scope()]})


@pytest.mark.parametrize(
    "change",
    [
        {"appRoles": []},
        {"appRoles": [role(description="other")]},
        {"appRoles": [role(isEnabled=False, value="other")]},
        {"api": {"oauth2PermissionScopes": []}},
        {"api": {"oauth2PermissionScopes": [scope(type="Admin")]}},
    ],
)
def test_an_enabled_scope_or_role_cannot_be_changed_or_removed(client: Client, change: dict[str, Any]) -> None:
    path = f"/applications/{client.create(appRoles=[role()], api={'oauth2PermissionScopes': [scope()]})['id']}"
    response = client.graph("PATCH", path, change)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "CannotDeleteOrUpdateEnabledEntitlement"


def test_a_role_can_be_removed_after_it_was_disabled_and_another_added_at_any_time(client: Client) -> None:
    path = f"/applications/{client.create(appRoles=[role()])['id']}"
    for roles in ([role(isEnabled=False), role(id=ID + "3", value="new")], [role(id=ID + "3", value="new")]):
        assert client.graph("PATCH", path, {"appRoles": roles}).status_code == 204


def test_a_scope_must_be_stored_before_a_client_is_pre_authorized_for_it(client: Client) -> None:
    pre_authorized = {"preAuthorizedApplications": [{"appId": ID + "9", "delegatedPermissionIds": [ID + "1"]}]}
    error = refused(client, api={"oauth2PermissionScopes": [scope()], **pre_authorized})
    assert error["code"] == "InvalidValue"
    created = client.create(api={"oauth2PermissionScopes": [scope()]})
    assert client.graph("PATCH", f"/applications/{created['id']}", {"api": pre_authorized}).status_code == 204


def both(**changes: Any) -> dict[str, Any]:
    """A scope and a role of one id, value and text; `changes` are made to the role."""
    entry = role(id=ID + "1", value="user.all.read", displayName="x", description="x", **changes)
    return {"appRoles": [entry], "api": {"oauth2PermissionScopes": [scope(value="user.all.read")]}}


def test_a_scope_and_a_role_of_one_id_are_one_permission(client: Client) -> None:
    created = client.create(**both())
    path = f"/applications/{created['id']}"
    assert client.graph("PATCH", path, both()).status_code == 204
    response = client.graph("PATCH", path, {"appRoles": [role()]})
    assert response.json()["error"]["code"] == "CannotDeleteOrUpdateEnabledEntitlement"


@pytest.mark.parametrize(
    "changes", [{"value": "other"}, {"displayName": "other"}, {"description": "other"}, {"isEnabled": False}]
)
def test_a_scope_and_a_role_of_one_id_agree_in_all_that_they_share(client: Client, changes: dict[str, Any]) -> None:
    body = both()
    body["appRoles"] = [{**body["appRoles"][0], **changes}]
    error = refused(client, **body)
    assert "must match" in error["message"]
    assert ID + "1" in error["message"]


def test_one_that_is_both_is_disabled_as_both_in_one_write(client: Client) -> None:
    path = f"/applications/{client.create(**both())['id']}"
    off = both(isEnabled=False)
    assert client.graph("PATCH", path, {"appRoles": off["appRoles"]}).status_code == 400
    off["api"]["oauth2PermissionScopes"][0]["isEnabled"] = False
    assert client.graph("PATCH", path, off).status_code == 204
    assert client.graph("PATCH", path, {"appRoles": [], "api": {"oauth2PermissionScopes": []}}).status_code == 204
