"""The planner: what is due now and what has stalled; and what becomes of a message that was given up.

Every registration with anything left to do has a due entry, inserted before the row that needs it. An entry may be
stale, never missing; whoever acts on it checks the row.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.messages import Message, ReconcilePage, check_message
from provisioning.ports import DueEntry, SecretPolicy, Services
from provisioning.registration import Failure, OperationStatus, OperationType, Registration, Status
from provisioning.rotate import rotates_at

logger = logging.getLogger(__name__)

ROTATED_AGAIN_AFTER: Final = timedelta(days=1)
STALLED_AFTER: Final = timedelta(minutes=2)
DUE_AGAIN_AFTER: Final = timedelta(minutes=30)
GIVEN_UP_AFTER: Final = timedelta(hours=24)
# A removal asks for more than the overlap, and Key Vault tells times to the second.
A_MOMENT: Final = timedelta(seconds=2)
# An answer to HTTP takes at most 230 s; until long after that the row of a new entry may still be on its way.
ENTRY_OUTLIVES_ITS_ROW: Final = timedelta(minutes=10)
MOST_PER_TURN: Final = 1000


def due_messages(services: Services) -> Iterator[str]:
    """Yield one message for each entry due now, oldest first. Nothing is written, so a second planner does no harm."""
    for entry in services.registry.due(services.clock.now(), MOST_PER_TURN):
        yield check_message(entry)


def next_due(registration: Registration, policy: SecretPolicy, now: datetime) -> datetime | None:
    """Return when a registration at rest has to be looked at next; None where nothing will ever be due by itself.

    After a publication that is the end of the overlap, to remove what was replaced; then the next rotation. What is
    overdue is due now, but a rotation that failed only in a day.
    """
    secret = registration.secret
    if registration.status is not Status.ACTIVE or secret is None:
        return None
    operation = registration.operation
    failed = operation.type is OperationType.ROTATE and operation.status is OperationStatus.FAILED
    soonest = now + ROTATED_AGAIN_AFTER if failed else now
    times = []
    rotation = rotates_at(registration, policy)
    if rotation is not None:
        times.append(max(rotation, soonest))
    asked_for = (registration.replace_before, registration.revoke_before)
    if any(bound and secret.minted_at and secret.minted_at < bound for bound in asked_for):
        times.append(soonest)
    if secret.published_at is not None and now <= secret.published_at + policy.overlap:
        times.append(secret.published_at + policy.overlap + A_MOMENT)
    return min(times, default=None)


def forget_due(
    services: Services, message: Message, registration: Registration | None, keep: datetime | None = None
) -> None:
    """Remove, last of all, the entries that brought a run here: the one it was sent for, the one on the row it read."""
    for due_at in {message.due_at, registration.due_at if registration else None} - {keep}:
        row_may_follow = registration is None and services.clock.now() - (due_at or _NEVER) < ENTRY_OUTLIVES_ITS_ROW
        if due_at is not None and not row_may_follow:
            services.registry.remove_due(DueEntry(message.registration_id, due_at))


def give_up(services: Services, message: Message | ReconcilePage) -> None:
    """Decide about a message that failed as often as the queue allows.

    Afterwards the registration waits half an hour for its next turn, if its last error passes with time or is not
    known and the operation was requested less than a day ago; else its operation has failed with that error. A
    deletion is never given up. A page of a reconciliation is: the next one comes tomorrow.
    """
    if isinstance(message, ReconcilePage):
        logger.error("reconciliation %s: stopped at %s", message.run, message.part)
        return
    registration = services.registry.get(message.registration_id)
    if registration is None or not registration.pending or not message.concerns(registration):
        return
    now = services.clock.now()
    error = registration.last_error
    young = now - registration.operation.requested_at < GIVEN_UP_AFTER
    if registration.operation.type is OperationType.DELETE or (young and (error is None or error.passing)):
        decided = replace(registration, due_at=now + DUE_AGAIN_AFTER, updated_at=now)
        logger.warning("registration %s: waits, after %s", registration.id, error.failure.code if error else "no error")
    else:
        failure = error.failure if error else _NO_REASON
        failed = registration.failed(failure, now)
        decided = replace(failed, due_at=next_due(failed, services.secrets, now))
        logger.error("registration %s: failed with %s", registration.id, failure.code)
    put_due(services, decided)
    services.registry.replace(decided)
    forget_due(services, message, registration, keep=decided.due_at)


def put_due(services: Services, registration: Registration) -> None:
    """Have the entry exist that a row is about to name."""
    if registration.due_at is not None:
        services.registry.put_due(DueEntry(registration.id, registration.due_at))


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_NO_REASON: Final = Failure(
    "provisioning-interrupted",
    "Every run was stopped before it could say why.",
    "Look for restarts and time-outs of the function app in its log, then retry the registration.",
)
