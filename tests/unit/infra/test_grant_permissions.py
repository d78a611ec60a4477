"""What the administrator's script shows, does, verifies and takes back, in the emulated tenant."""

from collections.abc import Sequence

import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client
from dev.emulator.constants import (
    APPLICATION_READ_ALL,
    ASSIGN_ROLES,
    AUDIT_LOG_READ_ALL,
    GRANTER_OBJECT_ID,
    GRAPH_PRINCIPAL_ID,
    MANAGE_ROLES,
    OWNED_BY,
    READ_WRITE_ALL,
    REGISTRAR_OBJECT_ID,
)
from infra.grant_permissions import carry_out, read_arguments, wishes
from infra.wishes import API_NAME, QUOTA, ROLES, Graph, GraphRefused
from provisioning.domain.callers import Role

ADMINISTRATOR = (READ_WRITE_ALL, ASSIGN_ROLES, APPLICATION_READ_ALL, MANAGE_ROLES)


class Tenant:
    """A tenant, and its administrator, who is played by an application that holds what a person's role allows."""

    def __init__(self, roles: Sequence[str] = ADMINISTRATOR) -> None:
        self.emulator = Emulator()
        self.emulator.directory.revoke(REGISTRAR_OBJECT_ID)
        for role in roles:
            self.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, role)
        self.client = Client(self.emulator)
        self.writes: list[str] = []
        self.graph = Graph(self.emulator.origin, self.client.token(self.emulator.origin), self._send)

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
        if method != "GET":
            self.writes.append(method)
        answer = self.client.session.request(method, url, data=body, headers=headers, timeout=10)
        return answer.status_code, answer.content

    def run(self, command: str, *, agrees: bool = True) -> int:
        arguments = read_arguments(command.split())
        arguments.tenant = self.emulator.tenant_id
        return carry_out(self.graph, wishes(arguments), remove=arguments.remove, agree=lambda: agrees)

    def held(self, principal: str) -> set[str]:
        known = {each["id"]: each["value"] for each in self._graph_roles()}
        found = self.graph.find(f"/servicePrincipals/{principal}/appRoleAssignments")
        return {known[each["appRoleId"]] for each in found}

    def _graph_roles(self) -> list[dict[str, str]]:
        found = self.graph.call("GET", f"/servicePrincipals/{GRAPH_PRINCIPAL_ID}")
        assert found is not None
        roles: list[dict[str, str]] = found["appRoles"]
        return roles


EVERYTHING = (
    f"--api --host func-x.azurewebsites.net --sign-in {GRANTER_OBJECT_ID} --registrar {GRANTER_OBJECT_ID} "
    f"--quota --sign-ins --granter {GRANTER_OBJECT_ID} --resource {GRAPH_PRINCIPAL_ID}"
)


def test_it_does_what_it_shows_and_then_finds_it_done(capsys: pytest.CaptureFixture[str]) -> None:
    tenant = Tenant()
    assert tenant.run(EVERYTHING) == 0
    told = capsys.readouterr().out
    assert told.count("make it so:") == told.count("verified:") == 5
    done = list(tenant.writes)
    assert tenant.run(EVERYTHING, agrees=False) == 0, "nothing is left to agree to"
    assert capsys.readouterr().out.count("there already:") == 5
    assert tenant.writes == done


def test_without_consent_nothing_is_written() -> None:
    tenant = Tenant()
    assert tenant.run(EVERYTHING, agrees=False) == 2
    assert tenant.writes == []


def test_what_it_did_is_taken_back_and_nothing_else() -> None:
    tenant = Tenant()
    tenant.emulator.directory.grant(GRANTER_OBJECT_ID, GRAPH_PRINCIPAL_ID, APPLICATION_READ_ALL)
    before = tenant.held(GRANTER_OBJECT_ID)
    assert OWNED_BY not in before
    assert tenant.run(EVERYTHING) == 0
    assert tenant.held(GRANTER_OBJECT_ID) == before | {OWNED_BY, AUDIT_LOG_READ_ALL}
    assert tenant.run(f"{EVERYTHING} --remove") == 0
    assert tenant.held(GRANTER_OBJECT_ID) == before
    assert tenant.emulator.directory.role_definitions == {}
    assert tenant.graph.call("GET", f"/applications(uniqueName='{API_NAME}')") is None
    assert tenant.run(f"{EVERYTHING} --remove", agrees=False) == 0, "it is gone already"


def test_a_custom_role_that_somebody_else_has_stays_for_them() -> None:
    tenant = Tenant()
    for principal in (GRANTER_OBJECT_ID, REGISTRAR_OBJECT_ID):
        assert tenant.run(f"--registrar {principal} --quota") == 0
    assert tenant.run(f"--registrar {GRANTER_OBJECT_ID} --quota --remove") == 0
    [left] = tenant.emulator.directory.role_assignments.values()
    assert left["principalId"] == REGISTRAR_OBJECT_ID


def test_a_custom_role_that_was_widened_is_made_narrow_again() -> None:
    tenant = Tenant()
    assert tenant.run(f"--registrar {GRANTER_OBJECT_ID} --quota") == 0
    [definition] = tenant.emulator.directory.role_definitions.values()
    definition["rolePermissions"][0]["allowedResourceActions"].append("microsoft.directory/applications/delete")
    assert tenant.run(f"--registrar {GRANTER_OBJECT_ID} --quota") == 0
    assert definition["rolePermissions"] == [{"allowedResourceActions": list(QUOTA[1])}]
    assert len(tenant.emulator.directory.role_assignments) == 1


def test_the_apis_application_has_the_roles_that_the_app_knows_and_trusts_no_secret() -> None:
    tenant = Tenant()
    assert tenant.run("--api") == 0
    assert tenant.run(f"--api --host func-x.azurewebsites.net --sign-in {GRANTER_OBJECT_ID}") == 0
    found = tenant.graph.call("GET", f"/applications(uniqueName='{API_NAME}')")
    assert found is not None
    assert {each["value"] for each in found["appRoles"]} == set(Role) == ROLES.keys()
    assert all(each["allowedMemberTypes"] == ["User", "Application"] for each in found["appRoles"])
    assert found["identifierUris"] == [f"api://{found['appId']}"]
    assert found["api"]["requestedAccessTokenVersion"] == 2
    assert found["groupMembershipClaims"] == "ApplicationGroup"
    assert found["web"]["redirectUris"] == ["https://func-x.azurewebsites.net/.auth/login/aad/callback"]
    assert found["passwordCredentials"] == []
    [trusted] = tenant.graph.find(f"/applications/{found['id']}/federatedIdentityCredentials")
    assert trusted["subject"] == GRANTER_OBJECT_ID
    assert trusted["issuer"] == f"https://login.microsoftonline.com/{tenant.emulator.tenant_id}/v2.0"
    principal = tenant.graph.call("GET", f"/servicePrincipals(appId='{found['appId']}')")
    assert principal is not None
    assert principal["appRoleAssignmentRequired"] is True


def test_what_others_added_to_the_apis_application_stays() -> None:
    tenant = Tenant()
    assert tenant.run("--api --host func-x.azurewebsites.net") == 0
    assert tenant.run("--api --host func-y.azurewebsites.net") == 0
    found = tenant.graph.call("GET", f"/applications(uniqueName='{API_NAME}')")
    assert found is not None
    assert {uri.split(".")[0] for uri in found["web"]["redirectUris"]} == {"https://func-x", "https://func-y"}


def test_a_granter_may_assign_the_roles_of_its_one_resource_and_of_no_other() -> None:
    tenant = Tenant()
    made = tenant.client.create(displayName="FHIR server")
    resource = tenant.graph.call("POST", "/servicePrincipals", {"appId": made["appId"]})
    assert resource is not None
    assert tenant.run(f"--granter {GRANTER_OBJECT_ID} --resource {resource['id']}") == 0
    assert tenant.emulator.directory.scoped_to == {(GRANTER_OBJECT_ID, resource["id"])}
    assert tenant.held(GRANTER_OBJECT_ID) == Tenant().held(GRANTER_OBJECT_ID), "it holds no permission of Graph more"
    assert tenant.run(f"--granter {GRANTER_OBJECT_ID} --resource {resource['id']} --remove") == 0
    assert tenant.emulator.directory.scoped_to == set()


def test_who_may_not_is_told_what_was_refused() -> None:
    with pytest.raises(GraphRefused, match=r"POST /servicePrincipals/.*403"):
        Tenant([APPLICATION_READ_ALL]).run(f"--registrar {GRANTER_OBJECT_ID}")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "--quota",
        "--sign-ins --api",
        "--host x --registrar y",
        "--granter x",
        "--resource x --api",
        "--api --graph http://graph",
    ],
)
def test_half_a_command_is_refused(command: str) -> None:
    with pytest.raises(SystemExit):
        read_arguments(command.split())
