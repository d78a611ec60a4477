"""What this project asks of its own infrastructure, beyond that Azure would take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dev.infra.templates import functions, is_expression, resolved
from dev.infra.wiring import ROLE_ASSIGNMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dev.infra.templates import Resource, Template

# Of each type of resource: the properties that have to be written out just so.
FIXED: Final[Mapping[str, Mapping[str, Any]]] = {
    "Microsoft.Storage/storageAccounts": {
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.allowCrossTenantReplication": False,
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.supportsHttpsTrafficOnly": True,
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.KeyVault/vaults": {
        "properties.enableRbacAuthorization": True,
        "properties.enableSoftDelete": True,
        "properties.enablePurgeProtection": True,
        "properties.softDeleteRetentionInDays": 90,
    },
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": True},
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": True},
    "Microsoft.Web/sites": {
        "properties.httpsOnly": True,
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.siteConfig.scmMinTlsVersion": "1.2",
        "properties.siteConfig.ftpsState": "Disabled",
        "properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": False},
}
# Roles that may assign roles: only with a condition that says which.
_ASSIGNING: Final = frozenset(
    {
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",  # Owner
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",  # User Access Administrator
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",  # Role Based Access Control Administrator
        "8b54135c-b56d-4d72-a534-26097cfdc8d8",  # Key Vault Data Access Administrator
        "b24988ac-6180-42a0-ab88-20f7382dd24c",  # Contributor
    }
)


def faults(template: Template) -> Iterator[str]:
    """What a template has that it must not have, and lacks that it must have."""
    for resource in template.resources:
        where = f"{template.name}: {resource.symbol}"
        for path, value in FIXED.get(resource.type, {}).items():
            if _at(template, resource, path) != value or isinstance(
                _at(template, resource, path), int
            ) is not isinstance(value, int):
                yield f"{where}.{path}: must be {str(value).lower() if isinstance(value, bool) else value}"
        if resource.type == ROLE_ASSIGNMENT:
            yield from _assignment(template, resource)
    for name in functions(template.content):
        if name.lower().startswith("list") or name == "getSecret":
            # What is read so stands in the history of deployments.
            yield f"{template.name}: {name}(): reads a key; identities need none"


def _at(template: Template, resource: Resource, path: str) -> Any:  # noqa: ANN401 -- JSON
    value: Any = resource.properties
    for name in path.split("."):
        value = resolved(template, value.get(name)) if isinstance(value, dict) and not is_expression(value) else None
    return value


def _assignment(template: Template, resource: Resource) -> Iterator[str]:
    """A role is for one resource of this template, whatever is beside it."""
    where, own = f"{template.name}: {resource.symbol}", {each.symbol for each in template.resources}
    if template.scope != "resourceGroup":
        yield f"{where}: assigns a role to a whole {template.scope}"
    elif resource.properties.get("scope") not in own:
        yield f"{where}: assigns a role to more than one resource; scope must be the one that it is for"
    if _at(template, resource, "properties.principalType") is None:
        yield f"{where}.properties.principalType: is missing; a new identity is not found without it"
    definition = _at(template, resource, "properties.roleDefinitionId")
    roles = {resolved(template, each) for each in _written(definition)}
    condition = _at(template, resource, "properties.condition")
    if roles & _ASSIGNING and not (condition and _at(template, resource, "properties.conditionVersion") == "2.0"):
        yield f"{where}: may assign any role; a condition has to say which"


def _written(value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _written(each)
