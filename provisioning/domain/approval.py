"""An approval: what has to be agreed to before anything is sent to Entra, by whom, until when, and what was decided.

It is bound to a digest of the normalised request and the version of the policy that asked for it: what was approved is
what is created, or what a registration is changed to. Who may decide is the owner of the resource for what its clients
ask of it, and whoever has the app role for it otherwise; never the requester, who can only take it back.
"""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import RegistrationRequest
from provisioning.domain.operation import Kept, Operation, OperationStatus, OperationType
from provisioning.domain.values import dataclass

LAPSES_AFTER: Final = timedelta(days=14)
# The service's own rule, beside those of the policy, whose ids have no capital letter.
DATA_ROLES: Final = "dataRoles"


class Outcome(Kept):
    """What became of it."""

    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Approval:
    """`rules` are those of the policy that ask for it. `resource_owner` may decide alone where that is the owner's.

    `operation_id` is what is to be approved. `asked_by` and `asked_via` are the object ids of who asked last, and of
    the application that spoke for this person; `decided_by` and `decided_via` of who decided. `told` is whether those
    who decide were told that it waits.
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
    operation_id: str | None = None
    asked_by: str | None = None
    asked_via: str | None = None
    told: bool = False

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

    def asked_again(self, digest: str, operation_id: str, caller: Caller, now: datetime) -> "Approval":
        """Return it as this caller asks for it once more, and nobody has decided it yet."""
        return Approval(
            digest,
            self.rules,
            now + LAPSES_AFTER,
            self.resource_owner,
            operation_id=operation_id,
            asked_by=caller.object_id,
            asked_via=caller.via,
        )

    def is_over(self, now: datetime) -> bool:
        """Whether it ended without consent: it was denied, or nobody decided in time."""
        return self.outcome is Outcome.DENIED or (self.outcome is None and now >= self.lapses_at)

    @property
    def who(self) -> str:
        """Who may decide, in words: whose resource it is may be another team's business."""
        return "the owner of the resource, or an approver" if self.resource_owner else "an approver"

    def may_be_read_by(self, caller: Caller) -> bool:
        """Whether whoever decides has to be able to read what it is about."""
        return Role.APPROVE in caller.roles or self.resource_owner in caller.identities


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that waits for an approval: what the registration would ask for then, and what it is until then.

    It waits beside the registration, so that whatever else is to be done goes on meanwhile.
    """

    operation_id: str
    requested_at: datetime
    request: RegistrationRequest
    policy_version: str
    trace_id: str | None = None

    @property
    def operation(self) -> Operation:
        """The change, as it waits."""
        awaiting = OperationStatus.AWAITING_APPROVAL
        return Operation(self.operation_id, OperationType.CHANGE, awaiting, self.requested_at, trace_id=self.trace_id)


def digest_of(fingerprint: str, policy_version: str) -> str:
    """Return what an approval is bound to: the normalised request, by its fingerprint, and the policy's version."""
    return hashlib.sha256(f"{fingerprint}\n{policy_version}".encode()).hexdigest()


def check_decider(approval: Approval, outcome: Outcome, caller: Caller, asked_by: frozenset[str], owner: str) -> None:
    """Raise RequestRejected (403) where the caller may not decide so.

    Whoever may delete the registration may deny, which takes back what was asked. Otherwise: with function keys nobody
    knows who approves; whoever asked does not approve, in person or through an application, nor does the application
    through which it was asked; and an application that names somebody shows nobody's consent.
    """
    if outcome is Outcome.DENIED and caller.may_change(owner):
        return
    if caller.kind is CallerKind.KEY:
        raise _unknown()
    if {caller.object_id, caller.via} & asked_by:
        raise _own()
    if not approval.may_be_read_by(caller):
        raise not_an_approver()
    check_in_person(caller)


def check_in_person(caller: Caller) -> None:
    """Raise RequestRejected (403) where an application speaks for whoever consents: it may name anybody."""
    if caller.via is not None:
        raise RequestRejected(
            403, "not-in-person", "Consent is given in person: sign in, and send it without On-Behalf-Of."
        )


def check_other_person(caller: Caller, asked_by: frozenset[str]) -> None:
    """Raise RequestRejected (403) for whoever may not agree to data roles: they open the records of patients.

    Somebody else than whoever asked agrees to them, and a person: no key, and no application.
    """
    if caller.kind is CallerKind.KEY:
        raise _unknown()
    if {caller.object_id, caller.via} & asked_by:
        raise _own()
    if caller.kind is not CallerKind.USER:
        raise RequestRejected(403, "not-in-person", "A person agrees to data roles, and no application.")
    check_in_person(caller)


def _unknown() -> RequestRejected:
    return RequestRejected(
        403, "approver-unknown", "Whoever holds a function key cannot be told apart. Decide signed in with Entra."
    )


def _own() -> RequestRejected:
    return RequestRejected(403, "own-request", "Whoever asked for it does not approve it. Ask somebody else.")


def not_an_approver() -> RequestRejected:
    """Return the refusal of whoever may know of what waits, and not decide about it."""
    rule = f"The owner of the resource decides, or a caller with the app role {Role.APPROVE}."
    return RequestRejected(403, "not-an-approver", rule)
