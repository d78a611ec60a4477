"""The queues' messages: which registration, what for, and never more than that."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from provisioning.domain.operation import DueEntry, OperationType
from provisioning.domain.registration import Registration, Status

CHECK: Final = "check"
RECONCILE: Final = "reconcile"


@dataclass(frozen=True, slots=True)
class Message:
    """What a message asks: one operation by its id, or, as a check, whatever is left to do.

    `run` names the reconciliation that a check belongs to.
    """

    registration_id: str
    operation: str
    operation_id: str | None = None
    due_at: datetime | None = None
    run: str | None = None

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


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is to be sent after a run: to the queue of registrations, and to that of notices."""

    registrations: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def operation_message(registration: Registration) -> str:
    """Return the message that has the registration's latest operation carried out."""
    operation = registration.operation
    return json.dumps({"operation": operation.type, "registrationId": registration.id, "operationId": operation.id})


def check_message(entry: DueEntry) -> str:
    """Return the planner's message: do whatever is left to do, then remove the due entry."""
    return json.dumps({"operation": CHECK, "registrationId": entry.registration_id, "due": entry.due_at.isoformat()})


def reconcile_message(registration_id: str, run: str) -> str:
    """Return a reconciliation's message: check the registration, whether or not anything is due."""
    return json.dumps({"operation": CHECK, "registrationId": registration_id, "run": run})


def page_message(page: ReconcilePage) -> str:
    """Return the message that has one page of a reconciliation read."""
    content = {"run": page.run, "part": page.part, "page": page.continuation_token, "counts": page.counts}
    return json.dumps({"operation": RECONCILE, **content})


def read_message(body: bytes) -> Message | ReconcilePage:
    """Return the message; raise ValueError or KeyError for one that this service never wrote."""
    content = json.loads(body)
    operation = content["operation"]
    if operation == RECONCILE:
        return ReconcilePage(content["run"], content["part"], content["page"], content["counts"])
    due = content.get("due")
    return Message(
        content["registrationId"],
        operation,
        None if operation == CHECK else content["operationId"],
        datetime.fromisoformat(due) if due else None,
        content.get("run"),
    )


def notice_message(subject: str) -> str:
    """Return the message that has the waiting notices of a subject sent."""
    return json.dumps({"subject": subject})


def read_notice_message(body: bytes) -> str:
    """Return the subject; raise ValueError or KeyError for a message that this service never wrote."""
    return str(json.loads(body)["subject"])
