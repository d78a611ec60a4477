"""What is asked of a registration, how far it is, why it waits or failed, and when somebody has to look at it again."""

import uuid
from datetime import datetime
from enum import StrEnum

from provisioning.domain.values import dataclass


class Kept(StrEnum):
    """Values of which a newer version may have more: one that this version does not know is kept as it is.

    It is none of those that it knows. So a row of a newer version can be read and written again by this one.
    """

    @classmethod
    def _missing_(cls, value: object) -> "Kept | None":
        if not isinstance(value, str):
            return None
        kept = str.__new__(cls, value)
        kept._name_, kept._value_ = "", value
        return kept

    @property
    def known(self) -> bool:
        """Whether this version knows the value."""
        return self.name != ""


class OperationType(Kept):
    """What is being done to a registration."""

    PROVISION = "provision"
    ROTATE = "rotate"
    CHANGE = "change"
    DELETE = "delete"


class OperationStatus(Kept):
    """How far an operation is."""

    AWAITING_APPROVAL = "awaiting-approval"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something ended or waits: all of it constants of ours, and Graph's id of the request for a support case."""

    code: str
    message: str
    remedy: str = ""
    graph_request_id: str | None = None


@dataclass(frozen=True, slots=True)
class LastError:
    """The error of the latest delivery that did not finish; poison copies of a message lose it."""

    failure: Failure
    passing: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """The latest thing asked of a registration.

    `supersedes` is the id of the operation that a deletion found pending: that one has ended, its work undone.
    `trace_id` is that of the call, or of the run by a timer, that asked for it.
    """

    id: str
    type: OperationType
    status: OperationStatus
    requested_at: datetime
    failure: Failure | None = None
    supersedes: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class DueEntry:
    """Something may be left to do for a registration since `due_at`."""

    registration_id: str
    due_at: datetime


def new_id() -> str:
    """Return an id for an operation: no other operation has it."""
    return str(uuid.uuid4())
