"""`plan`: what the planner and the reconciliation would do now, found by their own code, with nothing written."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any, Final

from provisioning import telemetry, trail
from provisioning.domain.errors import ProvisioningError, UnreadableRow
from provisioning.domain.events import Actor, ActorKind
from provisioning.domain.messages import Message, ReconcilePage, read_message
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.flow.check import check
from provisioning.flow.plan import MOST_PER_TURN
from provisioning.flow.reconcile import first_page, reconcile
from provisioning.flow.run import Run, understood
from provisioning.operator.desk import Desk
from provisioning.operator.rehearsal import rehearsed
from provisioning.operator.shown import time_text

_COLUMNS: Final = {"by": "BY", "registrationId": "ID", "would": "WOULD"}


def plan(desk: Desk, typed: Namespace) -> int:
    """Say what would be done; 1 where a person is needed for any of it."""
    with telemetry.unmeasured():
        outlook = list(_planned(desk))
        if not typed.due_only:
            outlook += _reconciled(desk)
    told = [each for each in outlook if each["would"]]
    desk.show(told, _COLUMNS, "Nothing would be done.")
    return 1 if any("cannot be looked at" in what for each in told for what in each["would"]) else 0


def _planned(desk: Desk) -> Iterator[dict[str, Any]]:
    """Yield what each due entry leads to."""
    due = desk.services.registry.due(desk.services.clock.now(), MOST_PER_TURN)
    entries = {each.registration_id: each for each in due}.values()  # the latest: another one of it is stale
    for count, entry in enumerate(entries):
        desk.progress(count, f"of {len(entries)} due entries looked at")
        message = Message(entry.registration_id, "check", due_at=entry.due_at)
        yield _about("planner", message, _would(desk, message))


def _reconciled(desk: Desk) -> Iterator[dict[str, Any]]:
    """Yield what the reconciliation leads to, page after page."""
    services, _ = rehearsed(desk.services)
    ahead, looked_at = [first_page(services)], 0
    while ahead:
        message = read_message(ahead.pop().encode())
        if isinstance(message, ReconcilePage):
            with trail.following(message.trace_id, Actor(ActorKind.RECONCILIATION)):
                ahead += reversed(reconcile(services, message).registrations)
        elif message is not None:
            desk.progress(looked_at, "registrations looked at")
            looked_at += 1
            left = message.operation == OperationType.DELETE
            would = ["delete what a late run left of it"] if left else _would(desk, message)
            yield _about("reconciliation", message, would)


def _about(by: str, message: Message, would: list[str]) -> dict[str, Any]:
    return {"by": by, "registrationId": message.registration_id, "would": would}


def _would(desk: Desk, message: Message) -> list[str]:
    """Return what a run for the message would do; nothing where it would find nothing to do."""
    try:
        row = understood(desk.services.registry, message.registration_id)
    except UnreadableRow:
        return ["leave it to the version that wrote it"]
    if row is not None and row.pending:
        return [f"go on with {row.operation.type}, asked for at {time_text(row.operation.requested_at)}"]
    if row is not None and row.awaits_approval:
        return _settled(desk, row)
    if row is None or row.status is not Status.ACTIVE:
        return ["forget the entry, which is stale"] if message.due_at is not None else []
    return _checked(desk, row, message)


def _settled(desk: Desk, row: Registration) -> list[str]:
    approval = row.approval
    lapsed = approval is not None and (approval.outcome is not None or approval.lapses_at <= desk.services.clock.now())
    return ["end the request, which was denied or has lapsed"] if lapsed else []


def _checked(desk: Desk, row: Registration, message: Message) -> list[str]:
    """Return what a check of an active registration would do: it is made, with nothing written."""
    services, noted = rehearsed(desk.services)
    run = Run(services, row)
    try:
        with trail.following(None, Actor(ActorKind.PLANNER), f"registration {row.id}"):
            check(run, message)
    except ProvisioningError as error:
        return [f"cannot be looked at now: {error.code}"]
    after = run.registration
    would = ["replace its secret"] if after.pending and after.operation.type is OperationType.ROTATE else []
    would += [f"remove credential {key_id}" for key_id in noted.removed]
    would += ["send a change that Entra lacks"] if noted.updated else []
    known = {each.code for each in row.findings}
    would += [f"find {each.code}" for each in after.findings if each.code not in known]
    would += [f"find no more {code}" for code in sorted(known - {each.code for each in after.findings})]
    would += [f"tell {kind}" for kind in noted.notices]
    return would
