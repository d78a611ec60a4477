"""Who signs in to the registrar's own API: users of the tenant with their groups, and applications, by short names.

The sign-in itself, pages and passwords, is not played; what Entra puts into a token for the API is. Sources: "Access
token claims reference" (oid, roles, scp, azp, idtyp; at most 200 groups, and then `_claim_names`), "Configure group
claims and app roles" (groups are told of users only).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.emulator.constants import API_CLIENT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dev.emulator.errors import Json

MOST_GROUPS = 200
TEAM = "7ea11111-0000-4000-8000-000000000001"
OTHER_TEAM = "7ea22222-0000-4000-8000-000000000002"


@dataclass(frozen=True)
class Account:
    """A user, or an application where it has a client id, as an administrator has set it up."""

    name: str
    object_id: str
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    client_id: str | None = None

    def claims(self, tenant_id: str) -> Json:
        """What a token of version 2 for the API says of it; whoever signs it adds the times."""
        who: Json = {"oid": self.object_id, "tid": tenant_id, "sub": self.object_id, "ver": "2.0"}
        if self.roles:
            who["roles"] = list(self.roles)
        if self.client_id is not None:
            return who | {"azp": self.client_id, "azpacr": "2", "idtyp": "app"}
        who |= {"azp": API_CLIENT_ID, "azpacr": "1", "scp": "user_impersonation", "name": self.name}
        who["preferred_username"] = f"{self.name.lower()}@contoso.example"
        if len(self.groups) > MOST_GROUPS:
            # The address may still be one of the service that Microsoft Graph has replaced.
            endpoint = f"https://graph.windows.net/{tenant_id}/users/{self.object_id}/getMemberObjects"
            return who | {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": endpoint}}}
        return who | ({"groups": list(self.groups)} if self.groups else {})


def _many(count: int) -> Iterable[str]:
    return (f"7ea33333-0000-4000-8000-{number:012d}" for number in range(count))


ACCOUNTS = {
    account.name.lower(): account
    for account in (
        Account("Alice", "a11ce000-0000-4000-8000-000000000001", ("Registrations.Create",), (TEAM,)),
        Account("Mallory", "3a110000-0000-4000-8000-000000000002", ("Registrations.Create",), (OTHER_TEAM,)),
        Account(
            "Bot",
            "b0700000-0000-4000-8000-000000000003",
            ("Registrations.Create", "Registrations.OnBehalf"),
            client_id="b0700000-0000-4000-8000-00000000c11e",
        ),
        Account("Approver", "a9900000-0000-4000-8000-000000000004", ("Registrations.Approve",)),
        Account("Carol", "ca201000-0000-4000-8000-000000000005", ("Registrations.Create",), tuple(_many(201))),
    )
}
