"""The queues' messages: which registration, what for, and never more than that.

Whoever may write to a queue can forge one: each part of a message is a value of its own kind, and what does not fit
makes it no message at all.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Final

from provisioning.domain.notices import CALLBACK, CHAT, REGISTRAR
from provisioning.domain.operation import DueEntry, OperationType
from provisioning.domain.registration import REGISTRATION_ID, Registration, Status
from provisioning.domain.traces import TRACE_ID
from provisioning.domain.usage import Observed
from provisioning.domain.values import dataclass

# Their names, as the triggers of `function_app.py` have them.
REGISTRATIONS_QUEUE: Final = "registrations"
NOTICES_QUEUE: Final = "notices"
CHAT_QUEUE: Final = "chat"

# What the log says of a message that is none of ours: nothing of the message itself.
DROPPED: Final = "a message that this service never wrote is dropped"

CHECK: Final = "check"
RECONCILE: Final = "reconcile"
# The parts of a reconciliation, in order, and what its pages count.
PARTS: Final = ("registrations", "applications", "secrets")
COUNTED: Final = (
    *("registrations", "unreadable", "active", "awaitingApproval"),
    *("unknownApplications", "unknownSecrets", "leftBehind"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """What a message asks: one operation by its id, or, as a check, whatever is left to do.

    `run` names the reconciliation that a check belongs to, and `observed` is what that read in the reports of sign-ins.
    `trace_id` is None in a message of an earlier version.
    """

    registration_id: str
    operation: str
    operation_id: str | None = None
    due_at: datetime | None = None
    run: str | None = None
    trace_id: str | None = None
    observed: Observed | None = None

    def __str__(self) -> str:
        """Return what a line of the log about it begins with."""
        return f"registration {self.registration_id}"

    @property
    def is_check(self) -> bool:
        """Whether it asks for whatever is left to do."""
        return self.operation == CHECK

    def concerns(self, registration: Registration) -> bool:
        """Whether there is something to carry out: the pending operation, if the message is about it.

        A deletion is carried out again even after it has ended: a run that came too late may have made something.
        """
        if registration.pending:
            return self.is_check or self.operation_id == registration.operation.id
        again = self.operation == OperationType.DELETE or (self.is_check and registration.last_error is not None)
        return registration.status is Status.DELETED and again


@dataclass(frozen=True, slots=True)
class ReconcilePage:
    """One page of a reconciliation: of which part, from where on, and what the pages before have counted."""

    run: str
    part: str
    continuation_token: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    trace_id: str | None = None

    def __str__(self) -> str:
        """Return what a line of the log about it begins with."""
        return f"reconciliation {self.run}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is to be sent after a run: to the queue of registrations, and to that of notices."""

    registrations: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def operation_message(registration: Registration) -> str:
    """Return the message that has the registration's latest operation carried out."""
    operation = registration.operation
    content = {"operation": operation.type, "registrationId": registration.id, "operationId": operation.id}
    return json.dumps(content | _trace(operation.trace_id))


def check_message(entry: DueEntry, trace_id: str | None = None) -> str:
    """Return the planner's message: do whatever is left to do, then remove the due entry."""
    content = {"operation": CHECK, "registrationId": entry.registration_id, "due": entry.due_at.isoformat()}
    return json.dumps(content | _trace(trace_id))


def reconcile_message(
    registration_id: str, run: str, trace_id: str | None = None, observed: Observed | None = None
) -> str:
    """Return a reconciliation's message: check the registration, whether or not anything is due."""
    content = {"operation": CHECK, "registrationId": registration_id, "run": run, **_told_of_use(observed)}
    return json.dumps(content | _trace(trace_id))


def _told_of_use(observed: Observed | None) -> dict[str, Any]:
    if observed is None:
        return {}
    last_used_at, keys = observed.last_used_at, {key: at for key, at in observed.keys.items() if _KEY_ID.fullmatch(key)}
    youngest = sorted(keys.items(), key=lambda item: item[1])[-_MOST_KEYS:]
    return {
        "used": {
            "at": None if last_used_at is None else last_used_at.isoformat(),
            "keys": {key_id: at.isoformat() for key_id, at in youngest},
            "unknown": observed.unknown,
        }
    }


def page_message(page: ReconcilePage) -> str:
    """Return the message that has one page of a reconciliation read."""
    content = {"run": page.run, "part": page.part, "page": page.continuation_token, "counts": page.counts}
    return json.dumps({"operation": RECONCILE, **content} | _trace(page.trace_id))


def _trace(trace_id: str | None) -> dict[str, str]:
    return {} if trace_id is None else {"trace": trace_id}


def read_message(body: bytes) -> Message | ReconcilePage | None:
    """Return the message; None for one that this service never wrote, whatever it is."""
    try:
        content = json.loads(body)
        return _page(content) if content["operation"] == RECONCILE else _message(content)
    except _UNREADABLE:
        return None


def _message(content: Mapping[str, Any]) -> Message:
    operation, due = content["operation"], content.get("due")
    return Message(
        _matching(REGISTRATION_ID, content["registrationId"]),
        operation if operation == CHECK else _one_of(list(OperationType), operation),
        None if operation == CHECK else _matching(_OPERATION_ID, content["operationId"]),
        None if due is None else _instant(due),
        None if content.get("run") is None else _matching(_RUN, content["run"]),
        None if content.get("trace") is None else _matching(TRACE_ID, content["trace"]),
        None if content.get("used") is None else _observed(content["used"]),
    )


def _observed(content: Mapping[str, Any]) -> Observed:
    return Observed(
        None if content["at"] is None else _instant(content["at"]),
        {_matching(_KEY_ID, key_id): _instant(at) for key_id, at in content["keys"].items()},
        None if content["unknown"] is None else _matching(_CODE, content["unknown"]),
    )


def _page(content: Mapping[str, Any]) -> ReconcilePage:
    token, counts = content["page"], content["counts"]
    return ReconcilePage(
        _matching(_RUN, content["run"]),
        _one_of(PARTS, content["part"]),
        None if token is None else _matching(_PAGE_TOKEN, token),
        {_one_of(COUNTED, name): _count(number) for name, number in counts.items()},
        None if content.get("trace") is None else _matching(TRACE_ID, content["trace"]),
    )


def waiting_message(registration_id: str) -> str:
    """Return the message that has people in a chat be told of what waits for an approval, and of what became of it."""
    return json.dumps({"waits": registration_id})


def read_waiting_message(body: bytes) -> str | None:
    """Return the id of the registration; None for any other message."""
    try:
        return _matching(REGISTRATION_ID, json.loads(body)["waits"])
    except _UNREADABLE:
        return None


def notice_message(mailbox: str) -> str:
    """Return the message that has the notices sent that wait in a mailbox."""
    return json.dumps({"subject": mailbox})


def read_notice_message(body: bytes) -> str | None:
    """Return the mailbox; None for a message that this service never wrote."""
    try:
        mailbox: str = json.loads(body)["subject"]
        if mailbox != REGISTRAR:
            _matching(REGISTRATION_ID, mailbox.removeprefix(CALLBACK).removeprefix(CHAT))
    except _UNREADABLE:
        return None
    return mailbox


_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)
_OPERATION_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_RUN: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
# The token of a next page, as Table storage, Graph and Key Vault give it: never an address.
_PAGE_TOKEN: Final = re.compile(r"[\x20-\x7e]{1,8192}", re.ASCII)
_KEY_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_CODE: Final = re.compile(r"[a-z-]{1,64}", re.ASCII)
# A message holds 48 KB; an application has far fewer credentials that work.
_MOST_KEYS: Final = 100
_MOST_COUNTED: Final = 10_000_000


def _matching(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError("a message of somebody else")
    return value


def _one_of(known: Iterable[str], value: str) -> str:
    if value not in list(known):
        raise ValueError("a message of somebody else")
    return value


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a message of somebody else")
    return moment.astimezone(UTC)


def _count(number: int) -> int:
    if type(number) is not int or not 0 <= number <= _MOST_COUNTED:
        raise ValueError("a message of somebody else")
    return number
