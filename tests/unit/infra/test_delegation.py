"""What is deployed lets the registrar give and take back the roles of its condition, and no other."""

import re
from pathlib import Path

from dev.emulator.arm.conditions import Attempt, is_fulfilled
from dev.infra.templates import read
from provisioning.domain.azure_roles import DATA_ROLES, DELEGATE, SECRETS_USER, data_delegation, delegation

ROOT = Path(__file__).parents[3]
REGISTRAR = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a12"
OTHER = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a13"
PROVIDER = "Microsoft.Authorization/roleAssignments"


def variables_of(module: str) -> dict[str, object]:
    return dict(read(ROOT / "infra")[f"modules/{module}.bicep"].variables)


def deployed(variables: dict[str, object], name: str) -> str:
    known = {**variables, "registrarPrincipalId": REGISTRAR}
    text = str(variables[name]).replace("\\'", "'")
    return re.sub(r"\$\{(\w+)\}", lambda found: str(known[found[1]]), text)


def test_the_condition_that_is_deployed_is_the_one_that_is_tried() -> None:
    variables = variables_of("vault")
    assert deployed(variables, "readersOnly") == delegation([SECRETS_USER], REGISTRAR)
    assert variables["keyVaultSecretsUser"] == SECRETS_USER.id
    assert variables["roleBasedAccessControlAdministrator"] == DELEGATE.id


def test_that_of_data_roles_is_too() -> None:
    variables = variables_of("fhir")
    assert deployed(variables, "dataRolesOnly") == data_delegation(REGISTRAR)
    assert variables["roleBasedAccessControlAdministrator"] == DELEGATE.id


def test_a_delegate_gives_data_roles_to_service_principals_alone_and_never_to_itself() -> None:
    condition = data_delegation(REGISTRAR)

    def allows(action: str, role_id: str, principal_id: str, kind: str) -> bool:
        asked = {f"{PROVIDER}:RoleDefinitionId": role_id, f"{PROVIDER}:PrincipalId": principal_id}
        asked |= {f"{PROVIDER}:PrincipalType": kind} if kind else {}
        side = {"request": asked} if action == "write" else {"resource": asked}
        return is_fulfilled(condition, Attempt(f"{PROVIDER}/{action}", **side))

    for action in ("write", "delete"):
        for role in DATA_ROLES.values():
            assert allows(action, role.id, OTHER, "ServicePrincipal")
            assert not allows(action, role.id, REGISTRAR, "ServicePrincipal")
            assert not any(allows(action, role.id, OTHER, kind) for kind in ("User", "Group", ""))
        assert not allows(action, SECRETS_USER.id, OTHER, "ServicePrincipal")
        assert not allows(action, DELEGATE.id, OTHER, "ServicePrincipal")


def test_a_delegate_gives_and_takes_this_one_role_and_never_to_or_from_itself() -> None:
    condition = delegation([SECRETS_USER], REGISTRAR)

    def allows(action: str, role_id: str, principal_id: str) -> bool:
        asked = {f"{PROVIDER}:RoleDefinitionId": role_id, f"{PROVIDER}:PrincipalId": principal_id}
        side = {"request": asked} if action == "write" else {"resource": asked}
        return is_fulfilled(condition, Attempt(f"{PROVIDER}/{action}", **side))

    for action in ("write", "delete"):
        assert allows(action, SECRETS_USER.id, OTHER)
        assert not allows(action, SECRETS_USER.id, REGISTRAR)
        assert not allows(action, SECRETS_USER.id, REGISTRAR.upper())
        assert not allows(action, DELEGATE.id, OTHER)
    assert not is_fulfilled(condition, Attempt(f"{PROVIDER}/write"))
