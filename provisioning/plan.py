"""The planner: what is due now and what has stalled; and what becomes of a message that was given up.

Every registration with anything left to do has a due entry, inserted before the row that needs it. An entry may be
stale, never missing; whoever acts on it checks the row.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.messages import Message, check_message, notice_message
from provisioning.ports import DueEntry, Services
from provisioning.registration import Failure, Registration

logger = logging.getLogger(__name__)

STALLED_AFTER: Final = timedelta(minutes=2)
DUE_AGAIN_AFTER: Final = timedelta(minutes=30)
GIVEN_UP_AFTER: Final = timedelta(hours=24)
# An answer to HTTP takes at most 230 s; until long after that the row of a new entry may still be on its way.
ENTRY_OUTLIVES_ITS_ROW: Final = timedelta(minutes=10)
MOST_PER_TURN: Final = 1000


def due_messages(services: Services) -> Iterator[str]:
    """Yield one message for each entry due now, oldest first. Nothing is written, so a second planner does no harm."""
    for entry in services.registry.due(services.clock.now(), MOST_PER_TURN):
        yield check_message(entry)


def waiting_notices(services: Services) -> Iterator[str]:
    """Yield one message for each subject whose oldest notice has waited for two minutes, or as long as it was put off.

    A run that fails puts it off for longer than its message comes back, so that at most one is under way.
    """
    if services.notifier is not None:
        for subject in services.registry.subjects_of_notices(services.clock.now()):
            yield notice_message(subject)


def forget_due(
    services: Services, message: Message, registration: Registration | None, keep: datetime | None = None
) -> None:
    """Remove, last of all, the entries that brought a run here: the one it was sent for, the one on the row it read."""
    for due_at in {message.due_at, registration.due_at if registration else None} - {keep}:
        row_may_follow = registration is None and services.clock.now() - (due_at or _NEVER) < ENTRY_OUTLIVES_ITS_ROW
        if due_at is not None and not row_may_follow:
            services.registry.remove_due(DueEntry(message.registration_id, due_at))


def give_up(services: Services, message: Message) -> None:
    """Decide about a message that failed as often as the queue allows.

    Afterwards the registration waits half an hour for its next turn, if its last error passes with time or is not
    known and the operation was requested less than a day ago; else it is `failed` with that error.
    """
    registration = services.registry.get(message.registration_id)
    if registration is None or not message.concerns(registration):
        return
    now = services.clock.now()
    error = registration.last_error
    young = now - registration.operation.requested_at < GIVEN_UP_AFTER
    if young and (error is None or error.passing):
        entry = DueEntry(registration.id, now + DUE_AGAIN_AFTER)
        services.registry.put_due(entry)
        services.registry.replace(replace(registration, due_at=entry.due_at, updated_at=now))
        logger.warning("registration %s: waits, after %s", registration.id, error.failure.code if error else "no error")
    else:
        failure = error.failure if error else _NO_REASON
        services.registry.replace(registration.failed(failure, now))
        logger.error("registration %s: failed with %s", registration.id, failure.code)
    forget_due(services, message, registration)


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_NO_REASON: Final = Failure(
    "provisioning-interrupted",
    "Every run was stopped before it could say why.",
    "Look for restarts and time-outs of the function app in its log, then retry the registration.",
)
