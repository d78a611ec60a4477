"""Who holds which app role, and who may say so; and which applications a resource pre-authorises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client, ManualClock, RegistrarCredential
from dev.emulator.constants import (
    APPLICATION_READ_ALL,
    ASSIGN_ROLES,
    GRANTER_CLIENT_ID,
    GRANTER_OBJECT_ID,
    GRAPH_PRINCIPAL_ID,
    OWNED_BY,
)
from tests.unit.emulator.test_emulator_entitlements import ID, role, scope

if TYPE_CHECKING:
    import requests

READER = ID + "2"
ANOTHER = "99999999-0000-4000-8000-000000000009"


class Pair:
    """A resource with an app role, and a client of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.emulator = Emulator(now=self.clock.now, sleep=self.clock.sleep)
        self.entra = Client(self.emulator)
        self.server = self.entra.create(
            identifierUris=[f"api://{self.emulator.tenant_id}/fhir"],
            appRoles=[role()],
            api={"oauth2PermissionScopes": [scope()]},
        )
        self.resource = self.principal(self.server)
        self.client_id, self.secret = self.entra.create_client()
        known = self.emulator.directory.principal_of(self.client_id)
        assert known is not None
        self.client = known.id

    def principal(self, application: dict[str, Any]) -> str:
        return str(self.entra.graph("POST", "/servicePrincipals", {"appId": application["appId"]}).json()["id"])

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"principalId": self.client, "resourceId": self.resource, "appRoleId": READER, **changes}

    def assign(self, body: dict[str, Any] | None = None) -> requests.Response:
        path = f"/servicePrincipals/{self.resource}/appRoleAssignedTo"
        return self.entra.graph("POST", path, body or self.body())

    def roles(self) -> list[str]:
        answer = self.entra.sign_in(self.client_id, self.secret, f"api://{self.emulator.tenant_id}/fhir/.default")
        claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
        return list(claims.get("roles", []))


@pytest.fixture
def pair() -> Pair:
    return Pair()


def refusal(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["error"]["message"])


def test_the_owner_of_a_service_principal_assigns_a_role_that_it_exposes_and_takes_it_back(pair: Pair) -> None:
    made = pair.assign()
    assert made.status_code == 201, made.text
    assert pair.roles() == ["reader"]
    for path in (f"{pair.resource}/appRoleAssignedTo", f"{pair.client}/appRoleAssignments"):
        [found] = pair.entra.graph("GET", f"/servicePrincipals/{path}").json()["value"]
        assert (found["id"], found["appRoleId"], found["principalId"]) == (made.json()["id"], READER, pair.client)
    path = f"/servicePrincipals/{pair.resource}/appRoleAssignedTo/{made.json()['id']}"
    assert pair.entra.graph("DELETE", path).status_code == 204
    assert pair.roles() == []
    assert pair.entra.graph("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"appRoleId": ANOTHER}, 400, "was not found on application"),
        ({"principalId": ANOTHER}, 404, "does not exist"),
        ({"resourceId": ANOTHER}, 400, "not that of the address"),
        ({"appRoleId": None}, 400, "Invalid value"),
        ({"id": ANOTHER}, 400, "Invalid property"),
    ],
)
def test_an_assignment_names_what_there_is_and_nothing_else(
    pair: Pair, changes: dict[str, Any], status: int, said: str
) -> None:
    found, message = refusal(pair.assign(pair.body(**changes)))
    assert found == status
    assert said in message


def test_a_role_is_assigned_once_and_only_while_it_is_enabled(pair: Pair) -> None:
    pair.assign()
    assert refusal(pair.assign()) == (400, "Permission being assigned already exists on the object")
    path = f"/applications/{pair.server['id']}"
    assert pair.entra.graph("PATCH", path, {"appRoles": [role(isEnabled=False)]}).status_code == 204
    assert refusal(pair.assign())[0] == 400


def test_ownership_does_not_suffice_where_the_tenant_says_so(pair: Pair) -> None:
    pair.emulator.faults.set(owner_may_not_assign=True)
    assert pair.assign().status_code == 403


def test_a_resource_of_somebody_else_is_not_ours_to_assign(pair: Pair) -> None:
    pair.emulator.directory.principals[pair.resource].owners.clear()
    assert pair.assign().status_code == 403


def as_granter(pair: Pair) -> requests.Response:
    credential = RegistrarCredential(pair.emulator, client_id=GRANTER_CLIENT_ID)
    token = credential.get_token(f"{pair.emulator.origin}/.default")
    url = f"{pair.emulator.origin}/v1.0/servicePrincipals/{pair.resource}/appRoleAssignedTo"
    return pair.entra.session.post(url, json=pair.body(), headers={"Authorization": f"Bearer {token.token}"})


def test_a_directory_role_for_one_service_principal_assigns_the_roles_of_that_one(pair: Pair) -> None:
    pair.emulator.directory.let_assign(GRANTER_OBJECT_ID, pair.client)
    assert as_granter(pair).status_code == 403
    pair.emulator.directory.let_assign(GRANTER_OBJECT_ID, pair.resource)
    assert as_granter(pair).status_code == 201


def test_the_permission_for_all_assignments_needs_the_one_to_read_beside_it(pair: Pair) -> None:
    directory, registrar = pair.emulator.directory, pair.emulator.registrar_object_id
    directory.revoke(registrar)
    directory.grant(registrar, GRAPH_PRINCIPAL_ID, ASSIGN_ROLES)
    assert pair.assign().status_code == 403
    directory.grant(registrar, GRAPH_PRINCIPAL_ID, APPLICATION_READ_ALL)
    assert pair.assign().status_code == 201
    assert OWNED_BY not in directory.roles_of(registrar, directory.principals[GRAPH_PRINCIPAL_ID])


def test_tokens_learn_of_a_role_that_is_given_or_taken_back_only_later(pair: Pair) -> None:
    pair.emulator.faults.set(role_propagation=30)
    made = pair.assign().json()
    assert pair.roles() == []
    pair.clock.sleep(30)
    assert pair.roles() == ["reader"]
    pair.entra.graph("DELETE", f"/servicePrincipals/{pair.client}/appRoleAssignments/{made['id']}")
    assert pair.roles() == ["reader"]
    pair.clock.sleep(30)
    assert pair.roles() == []


def test_a_principal_that_no_replica_knows_yet_is_no_valid_reference(pair: Pair) -> None:
    pair.emulator.faults.set(replication_lag=10)
    principal = pair.entra.graph("POST", "/servicePrincipals", {"appId": pair.entra.create()["appId"]})
    answers = {refusal(pair.assign(pair.body(principalId=principal.json().get("id", pair.client)))) for _ in range(2)}
    assert {status for status, _ in answers} <= {400, 404}


def test_an_application_that_is_deleted_holds_no_role_any_more(pair: Pair) -> None:
    pair.assign()
    pair.entra.graph("DELETE", f"/applications(appId='{pair.client_id}')")
    assert pair.entra.graph("GET", f"/servicePrincipals/{pair.resource}/appRoleAssignedTo").json()["value"] == []


# --- pre-authorised applications ------------------------------------------------------------------------------------


def preauthorise(pair: Pair, *entries: dict[str, Any]) -> requests.Response:
    path = f"/applications/{pair.server['id']}"
    return pair.entra.graph("PATCH", path, {"api": {"preAuthorizedApplications": list(entries)}})


def entry(client_id: str, *permissions: str) -> dict[str, Any]:
    return {"appId": client_id, "delegatedPermissionIds": list(permissions)}


def test_a_resource_pre_authorises_an_application_once_for_scopes_that_it_has(pair: Pair) -> None:
    assert preauthorise(pair, entry(pair.client_id, ID + "1")).status_code == 204
    twice = preauthorise(pair, entry(pair.client_id, ID + "1"), entry(pair.client_id, ID + "1"))
    assert twice.status_code == 400
    assert preauthorise(pair, entry(pair.client_id, READER)).status_code == 400


def test_a_scope_that_somebody_is_pre_authorised_for_cannot_be_taken_away(pair: Pair) -> None:
    preauthorise(pair, entry(pair.client_id, ID + "1"))
    path = f"/applications/{pair.server['id']}"
    disabled = {"api": {"oauth2PermissionScopes": [scope(isEnabled=False)]}}
    assert pair.entra.graph("PATCH", path, disabled).status_code == 204
    assert pair.entra.graph("PATCH", path, {"api": {"oauth2PermissionScopes": []}}).status_code == 400
    gone: dict[str, Any] = {"api": {"oauth2PermissionScopes": [], "preAuthorizedApplications": []}}
    assert pair.entra.graph("PATCH", path, gone).status_code == 204


def test_what_is_pre_authorised_counts_among_what_an_application_may_hold(pair: Pair) -> None:
    clients = [f"99999999-0000-4000-8000-{number:012d}" for number in range(500)]
    assert preauthorise(pair, *(entry(each, ID + "1") for each in clients[:490])).status_code == 204
    assert "exceeded its limit" in refusal(preauthorise(pair, *(entry(each, ID + "1") for each in clients)))[1]


def test_a_list_is_filtered_by_the_resources_id_without_quotes_and_by_nothing_else() -> None:
    pair = Pair()
    assert pair.assign().status_code == 201

    def listed(clause: str) -> requests.Response:
        return pair.entra.graph("GET", f"/servicePrincipals/{pair.client}/appRoleAssignments?$filter={clause}")

    assert [each["appRoleId"] for each in listed(f"resourceId eq {pair.resource}").json()["value"]] == [READER]
    assert listed(f"resourceId eq {ANOTHER}").json()["value"] == []
    for clause in (f"resourceId eq '{pair.resource}'", f"principalId eq {pair.client}", f"appRoleId eq {READER}"):
        assert listed(clause).status_code == 400, clause
