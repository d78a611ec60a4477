"""What is deployed lets the registrar give and take back the roles of its condition, and no other."""

import re
from pathlib import Path

from dev.emulator.arm.conditions import Attempt, is_fulfilled
from dev.infra.templates import read
from provisioning.domain.azure_roles import DELEGATE, SECRETS_USER, delegation

ROOT = Path(__file__).parents[3]
REGISTRAR = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a12"
OTHER = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a13"
PROVIDER = "Microsoft.Authorization/roleAssignments"


def test_the_condition_that_is_deployed_is_the_one_that_is_tried() -> None:
    variables = dict(read(ROOT / "infra")["modules/vault.bicep"].variables)
    known = {**variables, "registrarPrincipalId": REGISTRAR}
    text = str(variables["readersOnly"]).replace("\\'", "'")
    deployed = re.sub(r"\$\{(\w+)\}", lambda found: str(known[found[1]]), text)
    assert deployed == delegation([SECRETS_USER], REGISTRAR)
    assert variables["keyVaultSecretsUser"] == SECRETS_USER.id
    assert variables["roleBasedAccessControlAdministrator"] == DELEGATE.id


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
