"""A grant: a permission that a client has asked for, and that it holds; who agreed to it, and what it waits for. Pure.

What a client asks of a resource of ours is granted by this service once the resource's owner agreed to exactly that.
"""

from datetime import datetime
from typing import Final

from provisioning.domain.operation import Kept
from provisioning.domain.values import dataclass

# What a grant waits for, beside the code of what Entra refused.
RESOURCE_OWNER: Final = "resource-owner"
APPROVER: Final = "approver"
PROPAGATION: Final = "propagation"
# Before every number that an entry has once anything of the client is known.
LISTED: Final = -1


class GrantState(Kept):
    """How far a permission is: declared alone, held, or on its way."""

    DECLARED = "declared"
    GRANTED = "granted"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the owner of a resource agreed to, by the names of permissions; nothing once that was withdrawn.

    Each one of a client has a higher `number` than the one before. `by` and `via` are the object ids of who agreed, and
    of the application that spoke for this person.
    """

    number: int
    permissions: tuple[str, ...]
    by: str
    at: datetime
    via: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission of a client: by its name and its id in Entra, and since when it is so.

    `proven_at` is when a token of the client was first seen to carry it; None where no token can be had for it.
    """

    permission: str
    id: str
    state: GrantState
    since: datetime
    waits_for: str | None = None
    proven_at: datetime | None = None

    @property
    def may_be_held(self) -> bool:
        """Whether Entra may have it as granted."""
        return self.state is GrantState.GRANTED or self.waits_for == PROPAGATION


@dataclass(frozen=True, slots=True)
class ClientOf:
    """A client in the list of its resource: the ids of the scopes that its users need not consent to.

    Of two such entries the one with the higher `number` holds. One that only says that it is a client has LISTED.
    `listed_at` is when a client was listed whose row was about to be written; `ended` is whether it is being deleted,
    or was: it never comes back.
    """

    resource_id: str
    registration_id: str
    client_id: str
    scopes: tuple[str, ...]
    number: int
    listed_at: datetime | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Cascaded:
    """A client that is deleted with its resource, as long as it has the owner for whom that was judged."""

    registration_id: str
    owner: str


@dataclass(frozen=True, slots=True)
class ClientPage:
    """A part of a resource's list of clients; `continuation_token` is None on the last one."""

    clients: tuple[ClientOf, ...]
    continuation_token: str | None
