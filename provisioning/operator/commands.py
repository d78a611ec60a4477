"""The commands, each a function of the desk and what was typed; it returns the exit code."""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from provisioning.domain.durations import parse_duration
from provisioning.domain.errors import UnreadableRow
from provisioning.domain.operation import DueEntry, OperationStatus
from provisioning.domain.registration import Registration, Status
from provisioning.operator.adopt import adopt
from provisioning.operator.arguments import completion
from provisioning.operator.backup import backup, restore
from provisioning.operator.desk import Desk
from provisioning.operator.doctor import doctor
from provisioning.operator.outlook import plan
from provisioning.operator.rebuild import rebuild
from provisioning.operator.retire import retire
from provisioning.operator.shown import time_text

OVERDUE_AFTER: Final = timedelta(minutes=10)
MOST_DUE: Final = 1000
_LISTED: Final = {
    "registrationId": "ID",
    "clientType": "TYPE",
    "status": "STATUS",
    "operation": "OPERATION",
    "owner": "OWNER",
    "displayName": "NAME",
}


def status(desk: Desk, _: Namespace) -> int:
    """Count what there is, and what of it needs somebody."""
    by_status, failed, findings, pending = Counter[str](), Counter[str](), Counter[str](), 0
    for row in desk.rows():
        by_status[row.status] += 1
        pending += row.pending
        failed.update([row.operation.failure.code] if row.operation.failure is not None else [])
        findings.update(each.code for each in row.findings)
    entries = desk.services.registry.due(desk.services.clock.now() - OVERDUE_AFTER, MOST_DUE)
    notices = desk.services.registry.notices(most=MOST_DUE)
    content = {
        "registrations": dict(sorted(by_status.items())),
        "pending": pending,
        "overdue": len(entries),
        "oldestDueAt": time_text(entries[0].due_at) if entries else None,
        "noticesWaiting": sum(not each.callback for each in notices),
        "callbacksWaiting": sum(each.callback for each in notices),
        "failed": dict(failed.most_common()),
        "findings": dict(findings.most_common()),
    }
    if desk.as_json:
        desk.show_json(content)
    else:
        for name, value in content.items():
            told = ", ".join(f"{count} {what}" for what, count in value.items()) if isinstance(value, dict) else value
            desk.say(f"{name + ':':<16} {told or 'none'}")
    return 0


def list_registrations(desk: Desk, typed: Namespace) -> int:
    """List registrations, page after page."""
    query = {"owner": typed.owner, "clientType": typed.type, "status": typed.status, "top": "200"}
    asked = {name: value for name, value in query.items() if value}
    found: list[dict[str, Any]] = []
    while True:
        page = desk.read("list_registrations", **asked)
        found += page["value"]
        if page["continuationToken"] is None:
            break
        asked["continuationToken"] = page["continuationToken"]
        desk.progress(len(found), "registrations read")
    rows = found if desk.as_json else [each | {"operation": _operation(each["operation"])} for each in found]
    desk.show(rows, _LISTED, "There are none.")
    return 0


def _operation(operation: Mapping[str, Any]) -> str:
    return f"{operation['type']} {operation['status']}"


def show(desk: Desk, typed: Namespace) -> int:
    """Show one registration."""
    found = desk.read("show_registration", typed.id)
    if desk.as_json:
        desk.show_json(found)
        return 0
    for name, value in found.items():
        if isinstance(value, dict):
            desk.say(
                *(f"{f'{name}.{inner}:':<32} {_plain(each)}" for inner, each in value.items() if each not in (None, []))
            )
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            desk.say(*(f"{f'{name}:':<32} {each.get('code', '')}: {_about(each)}" for each in value))
        elif value not in (None, [], {}):
            desk.say(f"{f'{name}:':<32} {_plain(value)}")
    return 0


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return " ".join(f"{name} {_plain(each)}" for name, each in value.items() if each is not None)
    return str(value)


def _about(each: Mapping[str, Any]) -> str:
    return " ".join(str(each[name]) for name in ("message", "remedy", "who", "command") if each.get(name))


def due(desk: Desk, typed: Namespace) -> int:
    """List what is due, the oldest first."""
    until = desk.services.clock.now() + parse_duration(typed.within)
    entries = desk.services.registry.due(until, MOST_DUE)
    rows = [_due_row(desk, entry) for entry in entries]
    columns = {"dueAt": "DUE AT", "registrationId": "ID", "clientType": "TYPE", "status": "STATUS", "operation": "WHAT"}
    desk.show(rows, columns, "Nothing is due.")
    return 0


def _due_row(desk: Desk, entry: DueEntry) -> dict[str, Any]:
    told: dict[str, Any] = {"dueAt": time_text(entry.due_at), "registrationId": entry.registration_id}
    try:
        row = desk.services.registry.get(entry.registration_id)
    except UnreadableRow:
        return told | {"status": "unreadable"}
    if row is None:
        return told | {"status": "no row"}
    stale = "" if row.due_at == entry.due_at else " (stale entry)"
    at_rest = row.operation.status in (OperationStatus.SUCCEEDED, OperationStatus.FAILED)
    what = "look at it" if at_rest else f"{row.operation.type} {row.operation.status}"
    return told | {"clientType": row.client_type, "status": row.status, "operation": what + stale}


def rotate(desk: Desk, typed: Namespace) -> int:
    """Have a secret replaced."""
    body = {"revokePrevious": True} if typed.revoke_previous else None
    return _asked(desk, typed, "rotate_registration", body)


def retry(desk: Desk, typed: Namespace) -> int:
    """Have a failed registration tried again."""
    return _asked(desk, typed, "retry_registration", None)


def approve(desk: Desk, typed: Namespace) -> int:
    """Agree to what waits for an approval."""
    body = {"digest": typed.digest} | ({"reason": typed.reason} if typed.reason else {})
    return _asked(desk, typed, "approve_registration", body)


def _asked(desk: Desk, typed: Namespace, name: str, body: Mapping[str, Any] | None) -> int:
    answer = desk.write(name, typed.id, body, dry_run=typed.dry_run)
    if desk.as_json:
        desk.show_json(answer)
    elif typed.dry_run:
        desk.say(f"It would be {answer['status']}, with {answer['operation'] or 'no new operation'}. Nothing was done.")
    else:
        desk.say(f"{answer['registrationId']}: {_operation(answer['operation'])}, asked for by {desk.caller.object_id}")
    return 0


def findings(desk: Desk, _: Namespace) -> int:
    """List what a person has to see to; 1 where there is anything."""
    rows = [found for row in desk.rows() for found in _of_a_person(row)]
    columns = {"registrationId": "ID", "displayName": "NAME", "code": "CODE", "remedy": "REMEDY"}
    desk.show(rows, columns, "There is nothing that a person has to see to.")
    return 1 if rows else 0


def _of_a_person(row: Registration) -> list[dict[str, Any]]:
    ended = row.operation.failure if row.operation.status is OperationStatus.FAILED else None
    stuck = row.last_error.failure if row.last_error is not None and row.status is Status.DELETING else None
    found = [each for each in (ended, stuck, *row.findings) if each is not None]
    about = {"registrationId": row.id, "displayName": row.request.display_name}
    return [about | {"code": each.code, "message": each.message, "remedy": each.remedy} for each in found]


def events(desk: Desk, typed: Namespace) -> int:
    """List who did what to a registration, the oldest first."""
    found: list[dict[str, Any]] = []
    query = {"top": "200"}
    while True:
        page = desk.read("list_events", typed.id, **query)
        found += page["value"]
        if page["continuationToken"] is None:
            break
        query["continuationToken"] = page["continuationToken"]
    rows = found if desk.as_json else [each | {"actor": _actor(each["actor"])} for each in found]
    columns = {"time": "TIME", "what": "WHAT", "outcome": "OUTCOME", "code": "CODE", "actor": "WHO"}
    desk.show(rows, columns, "There are none.")
    return 0


def _actor(actor: Mapping[str, str]) -> str:
    via = f" via {actor['via']}" if "via" in actor else ""
    return f"{actor['kind']} {actor.get('objectId', '')}".strip() + via


def complete(desk: Desk, _: Namespace) -> int:
    """Print what completes these commands."""
    desk.say(completion())
    return 0


Command = Callable[[Desk, Namespace], int]
COMMANDS: Final[Mapping[str, Command]] = {
    "status": status,
    "list": list_registrations,
    "show": show,
    "due": due,
    "plan": plan,
    "rotate": rotate,
    "retry": retry,
    "approve": approve,
    "findings": findings,
    "events": events,
    "doctor": doctor,
    "backup": backup,
    "restore": restore,
    "rebuild": rebuild,
    "adopt": adopt,
    "retire": retire,
    "completion": complete,
}
