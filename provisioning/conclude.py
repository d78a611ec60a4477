"""How a run ends: what it did is saved once, what it could not do is remembered, and nothing due is forgotten."""

import logging
from dataclasses import replace

from provisioning.errors import ProvisioningError, StaleRegistration, TryAgain
from provisioning.messages import Message, check_message, operation_message
from provisioning.mint import belongs_to, current_secret, shown
from provisioning.plan import DUE_AGAIN_AFTER, forget_due, next_due, put_due
from provisioning.ports import DueEntry, Services
from provisioning.registration import Failure, LastError, Registration, Status
from provisioning.run import Run

logger = logging.getLogger(__name__)


def conclude(services: Services, message: Message, before: Registration, ended: Registration) -> list[str]:
    """Save how the operation ended, with what is due next; return the messages to send.

    Where another run ended it first, the row shows what the vault calls current after both.
    """
    if before.status is Status.DELETED:
        return []  # carried out once more, for a run that came too late
    ended = replace(ended, due_at=next_due(ended, services.secrets, services.clock.now()))
    try:
        put_due(services, ended)
        services.registry.replace(ended)
    except StaleRegistration:
        row = services.registry.get(ended.id)
        if row is not None and row.ending:
            return [operation_message(row)]  # what this run made has to go as well
        if ended.secret is None:
            raise
        _show_current_secret(services, ended.id)
    else:
        failure = ended.operation.failure
        level = logging.ERROR if failure else logging.INFO
        what = f"failed with {failure.code}" if failure else "succeeded"
        logger.log(level, "registration %s: %s %s", ended.id, ended.operation.type, what)
    forget_due(services, message, before, keep=ended.due_at)
    if ended.due_at is not None and ended.due_at <= services.clock.now():
        return [check_message(DueEntry(ended.id, ended.due_at))]  # what was asked for meanwhile does not wait
    return []


def _show_current_secret(services: Services, registration_id: str) -> None:
    """Have the row of a registration that another run ended show what the vault calls current after both published."""
    while True:
        row = services.registry.get(registration_id)
        if row is None or row.pending:
            raise StaleRegistration
        current = current_secret(services, row)
        if current is None or not belongs_to(current, row) or shown(current) == row.secret:
            return
        try:
            services.registry.replace(replace(row, secret=shown(current)))
        except StaleRegistration:
            continue  # by a third run: look again
        return


def remember(run: Run, message: Message, error: Exception) -> list[str]:
    """Save what the run learned, and why it stopped, before the queue delivers again; poison copies lose the reason.

    An entry that is due is put off: or the planner would enqueue it at every turn while this message comes back.
    Return the messages to send instead of a repeat: the deletion, where the registration is being deleted.
    """
    services, known, now = run.services, run.registration, run.services.clock.now()
    failure = failure_of(error)
    due_at = known.due_at if known.due_at is not None and known.due_at > now else now + DUE_AGAIN_AFTER
    last_error = LastError(failure, passing=isinstance(error, TryAgain))
    remembered = replace(known, last_error=last_error, due_at=due_at, updated_at=now)
    put_due(services, remembered)
    try:
        services.registry.replace(remembered)
    except StaleRegistration:
        row = services.registry.get(known.id)
        if row is not None and row.operation.id != known.operation.id and row.ending:
            return [operation_message(row)]
        logger.info("registration %s: another run was faster to save", known.id)
    else:
        forget_due(services, message, known, keep=due_at)
    return []


def failure_of(error: Exception) -> Failure:
    """Return the error as it is remembered and answered.

    Of an error that nobody foresaw only the type: its text could hold anything.
    """
    if isinstance(error, ProvisioningError):
        return Failure(error.code, error.message, error.remedy, error.graph_request_id)
    return Failure(
        "unexpected-error",
        f"The run stopped on an error of the type {type(error).__name__}.",
        "Read its traceback in the log of the function, and report it.",
    )
