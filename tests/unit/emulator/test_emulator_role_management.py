"""Custom directory roles: who may make them, and what Graph refuses of them."""

from typing import Any

import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client
from dev.emulator.constants import GRANTER_OBJECT_ID, GRAPH_PRINCIPAL_ID, MANAGE_ROLES, REGISTRAR_OBJECT_ID

ROLES, ASSIGNMENTS = (f"/roleManagement/directory/role{each}" for each in ("Definitions", "Assignments"))
ROLE = {
    "displayName": "Creator",
    "isEnabled": True,
    "rolePermissions": [{"allowedResourceActions": ["microsoft.directory/applications/create"]}],
}


@pytest.fixture
def administrator() -> Client:
    emulator = Emulator()
    emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, MANAGE_ROLES)
    return Client(emulator)


def assignment(client: Client, **changes: Any) -> dict[str, Any]:
    made = client.graph("POST", ROLES, ROLE).json()
    return {
        "principalId": GRANTER_OBJECT_ID,
        "roleDefinitionId": made["id"],
        "directoryScopeId": "/",
        **changes,
    }


def test_without_the_permission_nothing_is_read_or_written() -> None:
    client = Client(Emulator())
    for path in (ROLES, ASSIGNMENTS):
        assert client.graph("GET", path).status_code == 403
    assert client.graph("POST", ROLES, ROLE).status_code == 403


def test_a_role_is_found_by_its_name_and_made_once(administrator: Client) -> None:
    assert administrator.graph("POST", ROLES, ROLE).status_code == 201
    assert administrator.graph("POST", ROLES, ROLE).status_code == 400
    found = administrator.graph("GET", f"{ROLES}?$filter=displayName eq 'Creator'").json()["value"]
    assert [each["displayName"] for each in found] == ["Creator"]
    assert administrator.graph("GET", f"{ROLES}?$filter=displayName eq 'Other'").json()["value"] == []


def test_the_same_assignment_twice_is_refused(administrator: Client) -> None:
    body = assignment(administrator)
    assert administrator.graph("POST", ASSIGNMENTS, body).status_code == 201
    assert administrator.graph("POST", ASSIGNMENTS, body).status_code == 409


@pytest.mark.parametrize("name", ["principalId", "roleDefinitionId", "directoryScopeId"])
def test_an_assignment_to_what_there_is_not_is_refused(administrator: Client, name: str) -> None:
    nothing = "99999999-0000-4000-8000-000000000009"
    body = assignment(administrator, **{name: f"/{nothing}" if name == "directoryScopeId" else nothing})
    assert administrator.graph("POST", ASSIGNMENTS, body).status_code == 404


def test_a_role_that_somebody_has_is_not_deleted(administrator: Client) -> None:
    body = assignment(administrator)
    made = administrator.graph("POST", ASSIGNMENTS, body).json()
    role = f"{ROLES}/{body['roleDefinitionId']}"
    assert administrator.graph("DELETE", role).status_code == 400
    assert administrator.graph("DELETE", f"{ASSIGNMENTS}/{made['id']}").status_code == 204
    assert administrator.graph("DELETE", role).status_code == 204
    assert administrator.graph("DELETE", role).status_code == 404


def test_what_is_not_understood_is_refused(administrator: Client) -> None:
    assert administrator.graph("POST", ROLES, {**ROLE, "isBuiltIn": True}).status_code == 400
    assert administrator.graph("POST", ROLES, {"displayName": "x"}).status_code == 400
    assert administrator.graph("POST", ASSIGNMENTS, assignment(administrator, appScopeId="/")).status_code == 400
