"""An approval: what has to be agreed to before anything is sent to Entra, by whom, until when, and what was decided.

It is bound to a digest of the normalised request and the version of the policy that asked for it: what was approved is
what is created. Who may decide is the owner of the resource for what its clients ask of it, and whoever has the app
role for it otherwise; never the requester.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.errors import RequestRejected
from provisioning.domain.operation import Kept

LAPSES_AFTER: Final = timedelta(days=14)


class Outcome(Kept):
    """What became of it."""

    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Approval:
    """`rules` are those of the policy that ask for it. `resource_owner` may decide alone where that is the owner's.

    `decided_by` and `decided_via` are the object ids of who decided, and of the application that spoke for this person.
    """

    digest: str
    rules: tuple[str, ...]
    lapses_at: datetime
    resource_owner: str | None = None
    outcome: Outcome | None = None
    decided_by: str | None = None
    decided_via: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None

    def decided(self, outcome: Outcome, caller: Caller, now: datetime, reason: str | None) -> "Approval":
        """Return it as this caller decides it."""
        return replace(
            self,
            outcome=outcome,
            decided_by=caller.object_id,
            decided_via=caller.via,
            decided_at=now,
            reason=reason,
        )

    def asked_again(self, now: datetime) -> "Approval":
        """Return it as nobody has decided it yet."""
        return Approval(self.digest, self.rules, now + LAPSES_AFTER, self.resource_owner)

    def may_be_read_by(self, caller: Caller) -> bool:
        """Whether whoever decides has to be able to read what it is about."""
        return Role.APPROVE in caller.roles or self.resource_owner in caller.identities


def digest_of(fingerprint: str, policy_version: str) -> str:
    """Return what an approval is bound to: the normalised request, by its fingerprint, and the policy's version."""
    return hashlib.sha256(f"{fingerprint}\n{policy_version}".encode()).hexdigest()


def check_decider(approval: Approval, caller: Caller, requester: str, requester_via: str | None) -> None:
    """Raise RequestRejected (403) where the caller may not decide.

    With function keys nobody knows who approves. Whoever asked does not approve, in person or through an application,
    nor does the application through which it was asked.
    """
    if caller.kind is CallerKind.KEY:
        raise RequestRejected(
            403, "approver-unknown", "Whoever holds a function key cannot be told apart. Decide signed in with Entra."
        )
    if {caller.object_id, caller.via} & {requester, requester_via} - {None}:
        raise RequestRejected(403, "own-request", "Whoever asked for it does not decide about it. Ask somebody else.")
    if not approval.may_be_read_by(caller):
        raise RequestRejected(
            403,
            "not-an-approver",
            f"The owner of the resource decides, or a caller with the app role {Role.APPROVE}.",
        )
