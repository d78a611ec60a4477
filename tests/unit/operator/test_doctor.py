"""`doctor` has for each lack the command that mends it, for this installation."""

import subprocess
from dataclasses import replace

import pytest

from dev.emulator import Fault
from dev.emulator.constants import ASSIGN_ROLES, GRAPH_PRINCIPAL_ID, REGISTRAR_OBJECT_ID
from provisioning.domain.azure_roles import SECRETS_USER, data_delegation, delegation
from provisioning.domain.readiness import Check, Dependency, State
from provisioning.operator.remedies import _COMMANDS, command_for
from tests.unit.flow.test_ready import WITHHELD
from tests.worlds.command_line import typed
from tests.worlds.world import World

ANOTHER = "99999999-aaaa-4aaa-8aaa-000000000001"


def commands(world: World) -> dict[str, str]:
    """Return the command for each check that is not well."""
    found = typed(world, "doctor", "--json").json
    return {f"{each['dependency']}: {each['what']}": each["command"] for each in found if each["state"] != "ok"}


def test_nothing_is_lacking_and_that_is_0() -> None:
    ran = typed(World(), "doctor")
    assert (ran.code, "lacking" in ran.out, "#" in ran.out) == (0, False, False)
    told = typed(World(), "doctor", "--json").json
    assert {(each["state"], *each) for each in told} == {("ok", "state", "dependency", "what")}


@pytest.mark.parametrize("name", WITHHELD)
def test_what_is_withheld_is_1_and_has_its_command(name: str) -> None:
    world = World()
    withhold, lacking = WITHHELD[name]
    withhold(world)
    world.services = world.new_process()
    ran = typed(world, "doctor", "--json")
    assert ran.code == 1
    told = {f"{each['dependency']}: {each['what']}": each["command"] for each in ran.json if each["state"] == "lacking"}
    assert told.keys() == lacking.keys()
    for command in told.values():
        can_be_read(command)


def test_the_permission_of_graph_is_granted_to_the_identity_of_the_app() -> None:
    world = World()
    world.emulator.directory.revoke(REGISTRAR_OBJECT_ID)
    command = commands(world)["graph: Application.ReadWrite.OwnedBy"]
    assert f"{world.emulator.origin}/v1.0/servicePrincipals/{REGISTRAR_OBJECT_ID}/appRoleAssignments" in command
    assert "18a4783c-866b-4cc7-a460-3d5e5662c884" in command


def test_a_wider_permission_is_a_warning_with_the_command_that_takes_it_back() -> None:
    world = World()
    world.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, ASSIGN_ROLES)
    ran = typed(world, "doctor", "--json")
    assert ran.code == 0
    [warned] = [each for each in ran.json if each["state"] == "warning"]
    assert "--method DELETE" in warned["command"]
    assert f"value=='{ASSIGN_ROLES}'" in warned["command"]


def test_the_permission_to_read_sign_ins_is_granted_where_it_is_to_be_used() -> None:
    world = World(settings={"SIGN_IN_ACTIVITY": "on"})
    command = commands(world)["graph: AuditLog.Read.All"]
    assert f"servicePrincipals/{REGISTRAR_OBJECT_ID}/appRoleAssignments" in command
    assert "b0afded3-3588-46d8-8b3d-9842eff778da" in command
    world.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, "AuditLog.Read.All")
    world.emulator.faults.set(premium_missing=True)
    world.services = world.new_process()
    assert commands(world)["graph: AuditLog.Read.All"].endswith("SIGN_IN_ACTIVITY=off")


def test_an_identity_that_differs_is_set_to_the_one_that_calls() -> None:
    world = World(settings={"REGISTRAR_OBJECT_ID": ANOTHER})
    world.emulator.directory.revoke(REGISTRAR_OBJECT_ID)
    granted = commands(world)["graph: Application.ReadWrite.OwnedBy"]
    assert f"servicePrincipals/{ANOTHER}/appRoleAssignments" in granted
    assert commands(world)["graph: identity"].endswith(f'REGISTRAR_OBJECT_ID="{REGISTRAR_OBJECT_ID}"')


def test_the_role_on_the_vault_is_for_this_vault_alone() -> None:
    world = World(settings={"KEY_VAULT_URL": "https://my-vault.vault.azure.net"})
    check = Check(Dependency.VAULT, "set secrets", State.LACKING, "vault-denied")
    command = command_for(check, world.settings.tenant, REGISTRAR_OBJECT_ID, "")
    assert "az keyvault show --name my-vault " in command


def test_a_table_names_the_lack_the_remedy_and_the_command() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "vault.setSecret", status=403, times=None))
    out = typed(world, "doctor").out
    assert "# vault: set secrets (vault-denied). Give this app's identity the role Key Vault Secrets Officer" in out
    assert '\naz role assignment create --assignee-object-id "' in out


@pytest.mark.parametrize("command", _COMMANDS.values())
def test_a_shell_can_read_each_command(command: str) -> None:
    can_be_read(command.replace("<", "").replace(">", ""))


def can_be_read(command: str) -> None:
    subprocess.run(["bash", "-n"], input=command, text=True, check=True, capture_output=True)  # noqa: S607 -- the shell of whoever runs it


def test_the_command_that_makes_this_app_a_delegate_has_the_very_condition() -> None:
    world = World()
    check = Check(Dependency.RESOURCE_MANAGER, "assign", State.WARNING, "azure-role-denied")
    command = command_for(check, world.settings.tenant, REGISTRAR_OBJECT_ID, "")
    assert f'--condition "{delegation([SECRETS_USER], REGISTRAR_OBJECT_ID)}"' in command
    assert '"' not in delegation([SECRETS_USER], REGISTRAR_OBJECT_ID)
    of_data = replace(check, what="assign data roles of https://fhir.contoso.example")
    command = command_for(of_data, world.settings.tenant, REGISTRAR_OBJECT_ID, "")
    assert f'--condition "{data_delegation(REGISTRAR_OBJECT_ID)}"' in command
    assert '--scope "$FHIR_SERVICE_ID"' in command
