"""When something is due: now, next, or as stalled; what is then done is in `check.py` and `provision.py`.

Every registration with anything left to do has a due entry, inserted before the row that needs it. An entry may be
stale, never missing; whoever acts on it checks the row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning import telemetry, trail
from provisioning.domain.credentials import credential_expires_at
from provisioning.domain.events import Actor, ActorKind, Trail
from provisioning.domain.messages import Message, check_message, notice_message
from provisioning.domain.notices import next_expiry_notice
from provisioning.domain.operation import DueEntry, OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import SecretPolicy
from provisioning.flow.rotate import rotates_at
from provisioning.flow.run import briefly
from provisioning.ports import Services

logger = trail.logger(__name__)

STALLED_AFTER: Final = timedelta(minutes=2)
DUE_AGAIN_AFTER: Final = timedelta(minutes=30)
# An answer to HTTP takes at most 230 s; until long after that the row of a new entry may still be on its way.
ENTRY_OUTLIVES_ITS_ROW: Final = timedelta(minutes=10)
MOST_PER_TURN: Final = 1000


@briefly
def due_messages(services: Services) -> list[str]:
    """Return one message for each entry due now, oldest first. Nothing is written, so a second planner does no harm."""
    with _turn("due_messages") as turn:
        entries = services.registry.due(services.clock.now(), MOST_PER_TURN)
        oldest = (services.clock.now() - entries[0].due_at).total_seconds() if entries else 0.0
        telemetry.measure("registrar.due.entries", len(entries))
        telemetry.measure("registrar.due.age", oldest)
        return [check_message(entry, turn.trace_id) for entry in entries]


def next_due(registration: Registration, policy: SecretPolicy, now: datetime) -> datetime | None:
    """Return when a registration at rest has to be looked at next; None where nothing will ever be due by itself.

    After a publication that is the end of the overlap, to remove what was replaced; then the next rotation, or, where
    there is none, the next notice of an expiry. What is overdue is due now, but a rotation that failed only later. A
    change that waits for an approval holds up none of that.
    """
    if registration.status is not Status.ACTIVE:
        return _lapses_at(registration, now)
    rotation, expires_at = rotates_at(registration, policy), credential_expires_at(registration)
    soonest = _soonest(registration, policy, now)
    times: list[datetime | None] = []
    if rotation is not None:
        times.append(max(rotation, soonest))
    elif expires_at is not None:
        times.append(next_expiry_notice(expires_at, now))
    secret = registration.secret
    if secret is not None and registration.wants_younger(secret.minted_at or NEVER):
        times.append(soonest)
    if registration.clean_up_at is not None:
        times.append(max(registration.clean_up_at, soonest))
    times.append(_lapses_at(registration, now))
    times += [registration.grants_due_at, registration.azure_grants_due_at]
    return min((time for time in times if time is not None), default=None)


def _lapses_at(registration: Registration, now: datetime) -> datetime | None:
    """Return when what waits for an approval lapses; now where nobody was told that it waits."""
    approval = registration.approval
    if approval is None or not registration.awaits_approval:
        return None
    return approval.lapses_at if approval.told else now


def _soonest(registration: Registration, policy: SecretPolicy, now: datetime) -> datetime:
    """Return from when on there is anything to do; whatever is done first, a rotation that failed would be tried again.

    A rotation begins with the clean-up, so that this is not missed meanwhile.
    """
    operation = registration.operation
    failed = operation.type is OperationType.ROTATE and operation.status is OperationStatus.FAILED
    return now + tried_again_after(policy) if failed else now


def tried_again_after(policy: SecretPolicy) -> timedelta:
    """Return how long what a person must mend is left alone: a day, or less where secrets rotate close to their end."""
    return min(timedelta(days=1), policy.rotate_before / 10)


@briefly
def waiting_notices(services: Services) -> list[str]:
    """Return one message for each mailbox whose oldest notice has waited for two minutes, or as long as it was put off.

    A run that fails puts it off for longer than its message comes back, so that at most one is under way.
    """
    has_chat = services.bot is not None or services.workspace is not None
    if services.notifier is None and services.callbacks is None and not has_chat:
        return []
    with _turn("waiting_notices"):
        return [notice_message(mailbox) for mailbox in services.registry.mailboxes(services.clock.now())]


@contextmanager
def _turn(name: str) -> Iterator[Trail]:
    """Have what the planner does be the root of a trace of its own, which its messages go on with."""
    with trail.following(None, Actor(ActorKind.PLANNER)) as turn, telemetry.span(name, begins_trace=True):
        yield turn


def forget_due(
    services: Services, message: Message, registration: Registration | None, keep: datetime | None = None
) -> None:
    """Remove, last of all, the entries that brought a run here: the one it was sent for, the one on the row it read."""
    for due_at in {message.due_at, registration.due_at if registration else None} - {keep}:
        row_may_follow = registration is None and services.clock.now() - (due_at or NEVER) < ENTRY_OUTLIVES_ITS_ROW
        if due_at is not None and not row_may_follow:
            services.registry.remove_due(DueEntry(message.registration_id, due_at))


def put_off(services: Services, message: Message) -> None:
    """Have a registration that this version does not understand looked at again in half an hour, and its row left."""
    logger.error("%s: another version wrote what this one does not understand", message)
    if message.due_at is not None:
        services.registry.put_due(DueEntry(message.registration_id, services.clock.now() + DUE_AGAIN_AFTER))
        services.registry.remove_due(DueEntry(message.registration_id, message.due_at))


def put_due(services: Services, registration: Registration) -> None:
    """Have the entry exist that a row is about to name."""
    if registration.due_at is not None:
        services.registry.put_due(DueEntry(registration.id, registration.due_at))


NEVER: Final = datetime.min.replace(tzinfo=UTC)
