"""How a request that waits for an approval ends without one, denied or lapsed; who decides it is in `api/alter.py`."""

from datetime import datetime
from typing import Final

from provisioning.domain.approval import Outcome
from provisioning.domain.errors import NeedsOperator
from provisioning.domain.messages import Message, Outgoing
from provisioning.domain.operation import Failure
from provisioning.domain.registration import Registration
from provisioning.flow.conclude import conclude
from provisioning.flow.plan import forget_due
from provisioning.flow.run import Run

_DENIED: Final = Failure(
    "approval-denied", "Whoever decides about it denied it.", "See approval.reason, and send a new request."
)
_LAPSED: Final = Failure(
    "approval-lapsed", "Nobody decided about it within 14 days.", "Ask whoever decides, and retry the registration."
)


def settle(run: Run, message: Message) -> Outgoing:
    """End the registration's request if it was denied, or nobody decided in time; return the messages to send."""
    ended = _ended(run.registration, run.services.clock.now())
    if ended is not None:
        return conclude(run, message, run.registration, ended)
    forget_due(run.services, message, run.registration, keep=run.registration.due_at)
    return Outgoing()


def _ended(row: Registration, now: datetime) -> Registration | None:
    if row.approval is None or (now < row.approval.lapses_at and row.approval.outcome is None):
        return None
    return row.failed(_DENIED if row.approval.outcome is Outcome.DENIED else _LAPSED, now)


def ensure_approved(run: Run) -> None:
    """Afterwards it is certain that what is about to be created is what was approved, where that was asked for.

    Safe to repeat because it only compares: the request with what the decision was bound to.
    """
    row = run.registration
    if row.approval is None:
        return
    if row.approval.outcome is not Outcome.APPROVED or row.approval.digest != row.asked_digest:
        raise NeedsOperator(
            "not-approved",
            "What the registration asks for is not what was approved.",
            remedy="Find out how the row was changed, delete the registration, and send a new request.",
        )
