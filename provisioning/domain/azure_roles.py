"""Azure roles that this service gives and takes back: which, on what and to whom, and by which delegation. Pure.

Sources: "Azure built-in roles"; "Assign Azure roles using the REST API"; "Authorization actions and attributes" and
"Examples to delegate Azure role assignment management with conditions".
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final

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


def delegation(roles: Iterable[AzureRole], delegate_id: str) -> str:
    """Return the condition on which a delegate gives and takes back these roles, and never to or from itself.

    A write is judged by what is asked for, a deletion by what is there. What it may be on no condition can say: that is
    the scope of the delegation.
    """
    allowed = ", ".join(sorted(role.id for role in roles))
    parts = [
        f"((!(ActionMatches{{'{_PROVIDER}/{action}'}})) OR "
        f"({source}[{_PROVIDER}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{allowed}}} AND "
        f"{source}[{_PROVIDER}:PrincipalId] ForAnyOfAllValues:GuidNotEquals {{{delegate_id}}}))"
        for action, source in (("write", "@Request"), ("delete", "@Resource"))
    ]
    return " AND ".join(parts)
