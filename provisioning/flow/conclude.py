"""How a run ends: saved once, told, nothing due forgotten; what a run does is in `provision.py` and `check.py`.

And what becomes of a message that was given up.
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from provisioning import telemetry, trail
from provisioning.domain.errors import StaleRegistration, TryAgain, UnreadableRow
from provisioning.domain.messages import (
    DROPPED,
    Message,
    Outgoing,
    ReconcilePage,
    check_message,
    operation_message,
)
from provisioning.domain.notices import are_same, of_drift, of_ended_operation
from provisioning.domain.operation import DueEntry, Failure, LastError, OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.flow.mint import belongs_to, current_secret, shown
from provisioning.flow.notify import announce
from provisioning.flow.plan import DUE_AGAIN_AFTER, STALLED_AFTER, forget_due, next_due, put_due, put_off
from provisioning.flow.rotate import clean_up_time
from provisioning.flow.run import Run, briefly, failure_of, on_its_trail, understood, write
from provisioning.ports import Services

logger = trail.logger(__name__)

GIVEN_UP_AFTER: Final = timedelta(hours=24)


def conclude(run: Run, message: Message, before: Registration, ended: Registration) -> Outgoing:
    """Save how the operation ended, with what is due next, and tell of it; return the messages to send.

    Where another run ended it first, the row shows what the vault calls current after both; and what another run calls
    failed although this one has done it is opened again.
    """
    services = run.services
    if before.status is Status.DELETED:  # carried out once more, for a run that came too late
        _forget_failures(services, message, before)
        return Outgoing()
    now = services.clock.now()
    done = ended.status is Status.ACTIVE and ended.operation.status is OperationStatus.SUCCEEDED
    # What was found before may be mended by what was done: a check looks at once.
    ended = replace(ended, due_at=now if done and ended.findings else next_due(ended, services.secrets, now))
    try:
        put_due(services, ended)
        run.write(ended)
    except StaleRegistration:
        row = services.registry.get(ended.id)
        if row is not None and row.ending:
            return Outgoing((operation_message(row),))  # what this run made has to go as well
        opened = _open_again(run, ended)
        if opened is not None:
            return Outgoing((operation_message(opened),))
        if ended.secret is None:
            raise
        due_at, notices = _show_current_secret(services, ended.id), list[str]()
    else:
        due_at, notices = ended.due_at, announce(services, of_ended_operation(ended), ended)
        failure = ended.operation.failure
        level = logging.ERROR if failure else logging.INFO
        what = f"failed with {failure.code}" if failure else "succeeded"
        logger.log(level, "registration %s: %s %s", ended.id, ended.operation.type, what)
        _measure(ended, now)
    forget_due(services, message, before, keep=due_at)
    messages: tuple[str, ...] = ()
    if due_at is not None and due_at <= services.clock.now():
        messages = (check_message(DueEntry(ended.id, due_at)),)  # what was asked for meanwhile does not wait
    return Outgoing(messages, tuple(notices))


def _measure(ended: Registration, now: datetime) -> None:
    operation = ended.operation
    code = operation.failure.code if operation.failure is not None else "none"
    telemetry.measure("registrar.operations.ended", operation=operation.type, code=code)
    took = (now - operation.requested_at).total_seconds()
    telemetry.measure("registrar.operations.duration", took, operation=operation.type)


def _open_again(run: Run, ended: Registration) -> Registration | None:
    """Have the operation be pending again that another run calls failed and this one has done; return its row.

    The next run finds nothing left to do of it, or only what a caller asked for before it was called failed. None is
    returned where the row says anything else.
    """
    done = ended.operation.status is OperationStatus.SUCCEEDED
    while (row := run.services.registry.get(ended.id)) is not None and done:
        operation, now = row.operation, run.services.clock.now()
        if operation.id != ended.operation.id or operation.status is not OperationStatus.FAILED:
            break
        again = row.begun(operation.id, operation.type, now, now + STALLED_AFTER, operation.trace_id)
        opened = run.with_learned(again)
        put_due(run.services, opened)
        try:
            stored = write(run.services, row, opened)
        except StaleRegistration:
            continue  # by a third run, or a caller: look again
        logger.info("registration %s: %s is done, and opened again", row.id, operation.type)
        return stored
    return None


def _forget_failures(services: Services, message: Message, deleted: Registration) -> None:
    if deleted.last_error is not None:
        write(services, deleted, replace(deleted, last_error=None, due_at=None))
    forget_due(services, message, deleted)


def announce_again(services: Services, message: Message, row: Registration) -> list[str]:
    """Tell again how the latest operation ended, where the run that ended it died before it forgot its entry.

    It may have died before it told. A repeat has the same id. An entry that is due long after the operation was asked
    for cannot be its own.
    """
    ended = row.operation.type.known and row.operation.status in (OperationStatus.SUCCEEDED, OperationStatus.FAILED)
    if not ended or message.due_at in (None, row.due_at):
        return []
    its_own = message.due_at < row.operation.requested_at + GIVEN_UP_AFTER + 2 * DUE_AGAIN_AFTER
    return announce(services, of_ended_operation(row), row) if its_own and row.last_error is None else []


def _show_current_secret(services: Services, registration_id: str) -> datetime | None:
    """Have the row of a registration that another run ended show what the vault calls current after both published.

    Return when that has to be looked at next: it may have been asked to be replaced already.
    """
    while True:
        row = services.registry.get(registration_id)
        if row is None or row.pending:
            raise StaleRegistration
        current = current_secret(services, row)
        if current is None or not belongs_to(current, row) or shown(current) == row.secret:
            return row.due_at
        clean_up_at = clean_up_time([current.created_at], services.secrets)
        after = replace(row, secret=shown(current), clean_up_at=clean_up_at)
        after = replace(after, due_at=next_due(after, services.secrets, services.clock.now()))
        put_due(services, after)
        try:
            write(services, row, after)
        except StaleRegistration:
            continue  # by a third run: look again
        return after.due_at


def remember(run: Run, message: Message, error: Exception) -> Outgoing | None:
    """Save what the run learned, and why it stopped, before the queue delivers again; poison copies lose the reason.

    An entry that is due is put off: or the planner would enqueue it at every turn while this message comes back.
    Return the messages to send instead of a repeat: the deletion, where the registration is being deleted.
    """
    services, known, now = run.services, run.registration, run.services.clock.now()
    failure = failure_of(error)
    due_at = known.due_at if known.due_at is not None and known.due_at > now else now + DUE_AGAIN_AFTER
    last_error = LastError(failure, passing=isinstance(error, TryAgain))
    updated_at = now if known.pending else known.updated_at
    remembered = replace(known, last_error=last_error, due_at=due_at, updated_at=updated_at)
    put_due(services, remembered)
    try:
        run.write(remembered)
    except StaleRegistration:
        row = services.registry.get(known.id)
        if row is not None and row.operation.id != known.operation.id and row.ending:
            return Outgoing((operation_message(row),))
        logger.info("registration %s: another run was faster to save", known.id)
    else:
        forget_due(services, message, known, keep=due_at)
    return None


@briefly
@on_its_trail
def give_up(services: Services, message: Message | ReconcilePage | None) -> None:
    """Decide about a message that failed as often as the queue allows.

    Afterwards the registration waits half an hour for its next turn, if its last error passes with time or is not
    known and the operation was requested less than a day ago; else its operation has failed with that error. A
    deletion is never given up. A page of a reconciliation is: the next one comes tomorrow. None is dropped.
    """
    if message is None:
        logger.error(DROPPED)
        return
    if isinstance(message, ReconcilePage):
        logger.error("stopped at %s", message.part)
        return
    try:
        registration = understood(services.registry, message.registration_id)
        if registration is not None:
            _decide(services, message, registration)
    except UnreadableRow:
        put_off(services, message)
    except TryAgain as error:
        logger.warning("is given up later: %s", error.code)
        raise


def _decide(services: Services, message: Message, registration: Registration) -> None:
    telemetry.measure("registrar.messages.poisoned")
    if message.is_check and not registration.pending:
        _report_failing_checks(services, registration)
    if not registration.pending or not message.concerns(registration):
        return
    trail.known(trace_id=registration.operation.trace_id)
    now = services.clock.now()
    error = registration.last_error
    young = now - registration.operation.requested_at < GIVEN_UP_AFTER
    if registration.operation.type is OperationType.DELETE or (young and (error is None or error.passing)):
        decided = replace(registration, due_at=now + DUE_AGAIN_AFTER, updated_at=now)
        _report_delay(services, decided)
        logger.warning("registration %s: waits, after %s", registration.id, error.failure.code if error else "no error")
    else:
        failure = error.failure if error else _NO_REASON
        failed = registration.failed(failure, now)
        decided = replace(failed, due_at=next_due(failed, services.secrets, now))
        logger.error("registration %s: failed with %s", registration.id, failure.code)
    put_due(services, decided)
    write(services, registration, decided)
    if not decided.pending:
        announce(services, of_ended_operation(decided), decided)
    forget_due(services, message, registration, keep=decided.due_at)


def _report_failing_checks(services: Services, row: Registration) -> None:
    """Have a registration at rest, and a notice, say that nobody can look after it."""
    found = (row.last_error.failure,) if row.last_error is not None else ()
    if not are_same(found, row.findings):
        announce(services, of_drift(row, found, services.clock.now()), row)
        write(services, row, replace(row, findings=found))


def _report_delay(services: Services, waiting: Registration) -> None:
    """Tell of a deletion that a person has to help along."""
    error = waiting.last_error
    if waiting.operation.type is OperationType.DELETE and error is not None and not error.passing:
        announce(services, of_drift(waiting, [error.failure], waiting.updated_at), waiting)


_NO_REASON: Final = Failure(
    "provisioning-interrupted",
    "Every run was stopped before it could say why.",
    "Look for restarts and time-outs of the function app in its log, then retry the registration.",
)
