"""The queues' messages: which registration, what for, and never more than that."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from provisioning.ports import DueEntry
from provisioning.registration import Registration

CHECK: Final = "check"


@dataclass(frozen=True, slots=True)
class Message:
    """What a message asks: one operation by its id, or, as a check by the planner, whatever is left to do."""

    registration_id: str
    operation_id: str | None
    due_at: datetime | None

    def concerns(self, registration: Registration) -> bool:
        """Whether the registration's operation is pending and the one that this message is about."""
        return registration.pending and self.operation_id in (None, registration.operation.id)


def operation_message(registration: Registration) -> str:
    """Return the message that has the registration's pending operation carried out."""
    operation = registration.operation
    return json.dumps({"operation": operation.type, "registrationId": registration.id, "operationId": operation.id})


def check_message(entry: DueEntry) -> str:
    """Return the planner's message: do whatever is left to do, then remove the due entry."""
    return json.dumps({"operation": CHECK, "registrationId": entry.registration_id, "due": entry.due_at.isoformat()})


def read_message(body: bytes) -> Message:
    """Return the message; raise ValueError or KeyError for one that this service never wrote."""
    content = json.loads(body)
    if content["operation"] == CHECK:
        return Message(content["registrationId"], None, datetime.fromisoformat(content["due"]))
    return Message(content["registrationId"], content["operationId"], None)


def notice_message(subject: str) -> str:
    """Return the message that has the waiting notices of a subject sent."""
    return json.dumps({"subject": subject})


def read_notice_message(body: bytes) -> str:
    """Return the subject; raise ValueError or KeyError for a message that this service never wrote."""
    return str(json.loads(body)["subject"])
