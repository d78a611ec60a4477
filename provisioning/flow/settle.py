"""What becomes of a request or a change while it waits for an approval: told once, and ended if it gets none.

Who decides it is in `api/alter.py`. What is approved is carried out like anything else.
"""

from dataclasses import replace
from typing import Final

from provisioning import trail
from provisioning.domain.approval import Approval, Outcome
from provisioning.domain.errors import NeedsOperator
from provisioning.domain.messages import Message, Outgoing
from provisioning.domain.notices import of_requested_approval
from provisioning.domain.operation import Failure, OperationType
from provisioning.domain.registration import Registration
from provisioning.flow.conclude import conclude
from provisioning.flow.notify import announce
from provisioning.flow.plan import forget_due, next_due, put_due
from provisioning.flow.run import Run

logger = trail.logger(__name__)

_DENIED: Final = Failure(
    "approval-denied", "It was denied, or taken back.", "See approval.reason, and ask again for what can be agreed to."
)
_LAPSED: Final = Failure(
    "approval-lapsed", "Nobody decided about it within 14 days.", "Speak with whoever decides, and ask for it again."
)


def settle(run: Run, message: Message) -> Outgoing | None:
    """End what was denied, or nobody decided in time; else have those who decide be told. Return what is to be sent.

    None is returned where it waits, and that is told: then whatever else is left to do has its turn.
    """
    row, now = run.registration, run.services.clock.now()
    approval = row.approval
    if approval is None:
        return None
    if approval.is_over(now):
        ended = row.not_approved(_DENIED if approval.outcome is Outcome.DENIED else _LAPSED, now)
        return conclude(run, message, row, ended)
    return None if approval.told else _told(run, message, row, approval)


def _told(run: Run, message: Message, row: Registration, approval: Approval) -> Outgoing:
    """Put the notice, and note that: a run that dies in between puts the same one again."""
    services = run.services
    logger.info("registration %s: waits for an approval", row.id)
    notices = announce(services, of_requested_approval(row, approval), row)
    told = replace(row, approval=replace(approval, told=True), last_error=None)
    told = replace(told, due_at=next_due(told, services.secrets, services.clock.now()))
    put_due(services, told)
    run.write(told)
    forget_due(services, message, row, keep=told.due_at)
    return Outgoing(notices=tuple(notices))


def ensure_approved(run: Run) -> None:
    """Afterwards it is certain that what is about to be sent is what was approved, where that was asked for.

    Safe to repeat because it only compares: the request with what the decision was bound to.
    """
    row = run.registration
    approval = row.approval
    changes = row.operation.type is OperationType.CHANGE
    if approval is None or (changes and approval.operation_id != row.operation.id):
        return
    if approval.outcome is not Outcome.APPROVED or approval.digest != row.asked_digest:
        raise NeedsOperator(
            "not-approved",
            "What the registration asks for is not what was approved.",
            remedy="Find out how the row was changed. Delete the registration, or send the change again.",
        )
