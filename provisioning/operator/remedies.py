"""For each lack the very command that mends it, for the installation that was looked at.

What only whoever deployed it knows is a variable of the shell, as in the documents: GROUP, APP, STORAGE,
FHIR_SERVICE_ID. Source of the commands: the references of `az rest`, `az role assignment` and
`az functionapp config appsettings`.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from provisioning.domain.azure_roles import DELEGATE, SECRETS_USER, data_delegation, delegation
from provisioning.domain.openid import GRAPH_CLIENT_ID
from provisioning.domain.readiness import Check, Dependency
from provisioning.domain.tenant import Tenant
from provisioning.flow.ready import DATA_ROLES_OF

# Of Application.ReadWrite.OwnedBy: the same in every tenant and every cloud ("Microsoft Graph permissions reference").
_OWNED_BY: Final = "18a4783c-866b-4cc7-a460-3d5e5662c884"
# Of AuditLog.Read.All, likewise.
_SIGN_INS: Final = "b0afded3-3588-46d8-8b3d-9842eff778da"
_API: Final = f"<graph>/v1.0/servicePrincipals(appId='{GRAPH_CLIENT_ID}')"
_HELD: Final = "<graph>/v1.0/servicePrincipals/<identity>/appRoleAssignments"
_GRANTERS: Final = "<graph>/v1.0/servicePrincipals(appId='$GRANTER_CLIENT_ID')/appRoleAssignments"
_APP: Final = '--resource-group "$GROUP" --name "$APP"'
_SET: Final = f"az functionapp config appsettings set {_APP} --settings"
_ASSIGN: Final = (
    'az role assignment create --assignee-object-id "<identity>" --assignee-principal-type ServicePrincipal'
)
_ACCOUNT: Final = '"$(az storage account show --name "$STORAGE" --query id --output tsv)"'
_VAULT: Final = '"$(az keyvault show --name <vault> --query id --output tsv)"'
_ENDPOINTS: Final = (
    'az storage account show --name "$STORAGE" --query "[primaryEndpoints, publicNetworkAccess, networkRuleSet]"'
)

_DELEGATES: Final = f'set +H\n{_ASSIGN} --role "{DELEGATE.name}" --condition-version 2.0'
_TO_DATA: Final = f'{_DELEGATES} --scope "$FHIR_SERVICE_ID" \\\n  --condition "{data_delegation("<identity>")}"'


def _grant(role: str) -> str:
    """Return the command that gives the identity a permission of Graph."""
    return (
        f'az rest --method POST --url "{_HELD}" --body "{{\\"principalId\\": \\"<identity>\\", '
        f'\\"resourceId\\": \\"$(az rest --url "{_API}" --query id --output tsv)\\", '
        f'\\"appRoleId\\": \\"{role}\\"}}"'
    )


# By dependency and code; by the dependency alone for every other code of it.
_COMMANDS: Final[Mapping[tuple[Dependency, str] | Dependency, str]] = {
    (Dependency.GRAPH, "permission-missing"): _grant(_OWNED_BY),
    (Dependency.GRAPH, "sign-in-activity-denied"): _grant(_SIGN_INS),
    (Dependency.GRAPH, "sign-in-activity-not-offered"): f"{_SET} SIGN_IN_ACTIVITY=off",
    (Dependency.GRAPH, "entra-premium-missing"): f"{_SET} SIGN_IN_ACTIVITY=off",
    (Dependency.GRAPH, "permission-too-wide"): (
        f'ROLE=$(az rest --url "{_API}" --query "appRoles[?value==\'<what>\'].id" --output tsv)\n'
        f'HELD=$(az rest --url "{_HELD}" --query "value[?appRoleId==\'$ROLE\'].id" --output tsv)\n'
        f'az rest --method DELETE --url "{_HELD}/$HELD"'
    ),
    (Dependency.GRAPH, "granter-too-powerful"): (
        f'ROLE=$(az rest --url "{_API}" --query "appRoles[?value==\'<what>\'].id" --output tsv)\n'
        f'HELD=$(az rest --url "{_GRANTERS}" --query "value[?appRoleId==\'$ROLE\'].id" --output tsv)\n'
        f'az rest --method DELETE --url "{_GRANTERS}/$HELD"'
    ),
    (Dependency.GRAPH, "registrar-unknown"): f'{_SET} REGISTRAR_OBJECT_ID="<signed in>"',
    (Dependency.GRAPH, "registrar-differs"): f'{_SET} REGISTRAR_OBJECT_ID="<signed in>"',
    (Dependency.GRAPH, "not-the-app"): 'curl -s -H "x-functions-key: $KEY" "$API/ready"',
    (Dependency.GRAPH, "no-identity-token"): f"az functionapp identity show {_APP}",
    Dependency.GRAPH: "curl -sS -o /dev/null -w '%{http_code}\\n' '<graph>/v1.0/$metadata'",
    (Dependency.VAULT, "vault-denied"): f'{_ASSIGN} --role "Key Vault Secrets Officer" --scope {_VAULT}',
    (Dependency.VAULT, "no-identity-token"): f"az functionapp identity show {_APP}",
    Dependency.VAULT: "az keyvault show --name <vault> --query properties",
    Dependency.RESOURCE_MANAGER: (
        f'{_DELEGATES} --scope {_VAULT} \\\n  --condition "{delegation([SECRETS_USER], "<identity>")}"'
    ),
    (Dependency.TABLES, "denied"): f'{_ASSIGN} --role "Storage Table Data Contributor" --scope {_ACCOUNT}',
    Dependency.TABLES: _ENDPOINTS,
    (Dependency.QUEUES, "denied"): f'{_ASSIGN} --role "Storage Queue Data Contributor" --scope {_ACCOUNT}',
    Dependency.QUEUES: _ENDPOINTS,
    (Dependency.TOKEN_ENDPOINT, "authority-refused"): (
        f'{_SET} AZURE_TENANT_ID="$(az account show --query tenantId --output tsv)"'
    ),
    Dependency.TOKEN_ENDPOINT: "curl -sS <authority>/v2.0/.well-known/openid-configuration",
    Dependency.POLICY: (
        f"az functionapp config appsettings list {_APP} --query \"[?name=='POLICY'].value\" --output tsv"
    ),
    Dependency.CALLERS: f"az webapp auth show {_APP}",
}


def command_for(check: Check, tenant: Tenant, identity: str, signed_in: str) -> str:
    """Return the command that mends what a check found.

    `identity` is to be given permissions, and `signed_in` is whom Graph knows this process as.
    """
    code = "denied" if "answered 403" in check.message else check.code or ""
    command = _COMMANDS.get((check.dependency, code)) or _COMMANDS[check.dependency]
    command = _TO_DATA if check.what.startswith(DATA_ROLES_OF) else command
    names = {
        "<graph>": tenant.graph_endpoint,
        "<authority>": tenant.authority,
        "<vault>": (urlsplit(tenant.key_vault_url).hostname or "").partition(".")[0],
        "<identity>": identity,
        "<signed in>": signed_in,
        "<what>": check.what,
    }
    for name, value in names.items():
        command = command.replace(name, value)
    return command


def command_for_setting(name: str) -> str:
    """Return the command that sets an app setting."""
    return f"{_SET} {name}=…"
