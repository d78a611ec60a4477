"""Azure roles that this service gives and takes back: which, on what and to whom, and by which delegation. Pure.

Sources: "Azure built-in roles"; "Assign Azure roles using the REST API"; "Authorization actions and attributes" and
"Examples to delegate Azure role assignment management with conditions".
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from provisioning.domain.directory import Permission
from provisioning.domain.grants import GrantState
from provisioning.domain.values import dataclass

_NAMES: Final = uuid.UUID("7b0f3a52-6f0d-5c1e-9a7f-3f4f2f9f6a31")
_PROVIDER: Final = "Microsoft.Authorization/roleAssignments"


@dataclass(frozen=True, slots=True)
class AzureRole:
    """A role that Azure has built in: its name, and the id of its definition."""

    name: str
    id: str


SECRETS_USER: Final = AzureRole("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6")
# Whoever has it assigns roles; on a condition, only those that the condition allows.
DELEGATE: Final = AzureRole("Role Based Access Control Administrator", "f58310d9-a9f6-439a-9e8d-f62e7b41a168")

# What opens the data of a managed FHIR service, by name.
DATA_ROLES: Final = {
    role.name: role
    for role in (
        AzureRole("FHIR Data Reader", "4c8d0bbc-75d3-4935-991f-5f3c56d81508"),
        AzureRole("FHIR Data Writer", "3f88fce4-5892-4214-ae73-ba5294559913"),
        AzureRole("FHIR Data Contributor", "5a1fc7df-4bf1-4951-a576-89034ee01acd"),
        AzureRole("FHIR Data Exporter", "3db33094-8700-4567-8da5-1501d4e7e843"),
        AzureRole("FHIR Data Importer", "4465e953-8ced-4406-a58e-0f6e3f3b530b"),
        AzureRole("FHIR Data Converter", "a1705bd2-3a8f-45a5-8683-466fcfd5cc24"),
        AzureRole("FHIR SMART User", "4ba50f17-9666-485c-a643-ff00808643f0"),
    )
}
DATA_ROLES_BY_ID: Final = {role.id: role for role in DATA_ROLES.values()}
SERVICE_PRINCIPAL: Final = "ServicePrincipal"


def data_permissions(names: Iterable[str]) -> tuple[Permission, ...]:
    """Return the data roles of these names as what a client asks of its resource, by the ids of their definitions."""
    return tuple(Permission(DATA_ROLES[name].id, name) for name in names)


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """Somebody, by object id, has a role on a scope, the id of a resource.

    Its `name` follows from the three, so that a repeat changes nothing and one that this service made is known by it.
    """

    role: AzureRole
    scope: str
    principal_id: str

    @property
    def name(self) -> str:
        """The GUID that it has in Azure."""
        return str(uuid.uuid5(_NAMES, f"{self.scope}|{self.role.id}|{self.principal_id}".lower()))


@dataclass(frozen=True, slots=True)
class AzureGrant:
    """What became of an assignment: by the name of its role, on what, to whom, and since when it is so."""

    role: str
    scope: str
    principal_id: str
    state: GrantState
    since: datetime
    waits_for: str | None = None


def secret_scope(vault_id: str, secret_name: str) -> str:
    """Return the scope of one secret of a vault, with all of its versions."""
    return f"{vault_id}/secrets/{secret_name}"


def delegation(roles: Iterable[AzureRole], delegate_id: str, holders: str | None = None) -> str:
    """Return the condition on which a delegate gives and takes back these roles, and never to or from itself.

    A write is judged by what is asked for, a deletion by what is there. `holders` is the one type of principal that may
    have them, where not every one may. What it may be on no condition can say: that is the scope of the delegation.
    """
    allowed = ", ".join(sorted(role.id for role in roles))
    parts = [
        f"((!(ActionMatches{{'{_PROVIDER}/{action}'}})) OR "
        f"({source}[{_PROVIDER}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{allowed}}} AND "
        f"{source}[{_PROVIDER}:PrincipalId] ForAnyOfAllValues:GuidNotEquals {{{delegate_id}}}"
        f"{_held_by(source, holders)}))"
        for action, source in (("write", "@Request"), ("delete", "@Resource"))
    ]
    return " AND ".join(parts)


def _held_by(source: str, holders: str | None) -> str:
    if holders is None:
        return ""
    return f" AND {source}[{_PROVIDER}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'{holders}'}}"


def data_delegation(delegate_id: str) -> str:
    """Return the condition on which a delegate gives clients the data roles of a managed FHIR service."""
    return delegation(DATA_ROLES.values(), delegate_id, SERVICE_PRINCIPAL)
