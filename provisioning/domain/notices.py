"""What the operator is told: one notice for each event, and the CloudEvent that it is sent as. Pure.

A notice says what a GET on the registration would say, and never holds a secret's text. `notify.py` sends them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from provisioning.domain.approval import Approval
from provisioning.domain.intake import changed_names
from provisioning.domain.operation import Failure
from provisioning.domain.registration import Registration
from provisioning.domain.tenant import Tenant
from provisioning.domain.traces import traceparent
from provisioning.domain.usage import CredentialUse
from provisioning.domain.values import dataclass

ACTIVE: Final = "registration.active"
FAILED: Final = "registration.failed"
ROTATED: Final = "registration.rotated"
ROTATION_FAILED: Final = "registration.rotation-failed"
CHANGED: Final = "registration.changed"
CHANGE_FAILED: Final = "registration.change-failed"
DELETED: Final = "registration.deleted"
APPROVAL_REQUESTED: Final = "registration.approval-requested"
EXPIRING: Final = "registration.expiring"
DRIFT: Final = "registration.drift"
SECRET_IN_USE: Final = "registration.secret-in-use"  # noqa: S105 -- the name of an event
HEARTBEAT: Final = "registrar.heartbeat"

REGISTRAR: Final = "registrar"
# How the mailbox of a registration's callback begins; what follows is its id.
CALLBACK: Final = "callback:"
# And that of those who are told of a registration in a chat.
CHAT: Final = "chat:"

# Days before the end at which an expiry is told, longest first.
THRESHOLDS: Final = (30, 14, 7, 1)

_ENDED: Final[Mapping[tuple[str, str], str]] = {
    ("provision", "succeeded"): ACTIVE,
    ("provision", "failed"): FAILED,
    ("rotate", "succeeded"): ROTATED,
    ("rotate", "failed"): ROTATION_FAILED,
    ("change", "succeeded"): CHANGED,
    ("change", "failed"): CHANGE_FAILED,
    ("delete", "succeeded"): DELETED,
}

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Notice:
    """One event that the operator is told of.

    `id` is the same for the same event however often it is put or sent: receivers know a repeat by it. `subject` is
    a registration's id, or `registrar`. `data` holds JSON values. `trace_id` is that of what led to it. `callback`
    is whether it is for the callback of its registration, and not for the operator; `chat`, for people in a chat.
    """

    id: str
    type: str
    subject: str
    time: datetime
    data: Mapping[str, Any]
    trace_id: str | None = None
    callback: bool = False
    chat: bool = False

    @property
    def mailbox(self) -> str:
        """Where it waits, apart from all others': for the operator, for its registration's callback, or for a chat."""
        return f"{CALLBACK if self.callback else CHAT if self.chat else ''}{self.subject}"

    def __post_init__(self) -> None:
        """Refuse an id that is no table key and no header, or has a full stop, which ends it in what is signed."""
        if not _ID.fullmatch(self.id):
            raise ValueError("the id of a notice is letters, digits, _ and -")


def of_ended_operation(registration: Registration) -> Notice:
    """Return the notice that the registration's operation has ended; raise ValueError where there is none to give."""
    operation = registration.operation
    kind = _ENDED.get((operation.type, operation.status))
    if kind is None:
        raise ValueError(f"nobody is told of an operation that is {operation.status}")
    data = _about(registration) | {"operationId": operation.id, "failure": _failure(operation.failure)}
    if registration.changed_fields:
        data |= {"changed": list(registration.changed_fields), "formerContact": registration.former_contact}
    return Notice(
        # A rotation that failed is opened again under its id: each attempt is an event of its own.
        id=f"{_id(operation.id, kind)}-{operation.requested_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        type=kind,
        subject=registration.id,
        time=registration.updated_at,
        data=data,
        trace_id=operation.trace_id,
    )


def of_requested_approval(registration: Registration, approval: Approval) -> Notice:
    """Return the notice that a request, or a change, waits for an approval: what is to be decided, and by whom.

    What it ends as is told like the end of any operation.
    """
    proposal = registration.proposal
    operation = proposal.operation if proposal is not None else registration.operation
    data = _about(registration) | {
        "operationId": operation.id,
        "digest": approval.digest,
        "rules": list(approval.rules),
        "who": approval.who,
        "lapsesAt": _time(approval.lapses_at),
    }
    if proposal is not None:
        data |= {"changed": list(changed_names(registration.request, proposal.request))}
    return Notice(
        id=_id(operation.id, APPROVAL_REQUESTED),
        type=APPROVAL_REQUESTED,
        subject=registration.id,
        time=operation.requested_at,
        data=data,
        trace_id=operation.trace_id,
    )


def of_expiry(registration: Registration, what: str, expires_at: datetime, days: int) -> Notice:
    """Return the notice that a credential ends within `days`; `what` names it: `secret`, or a word with its key id."""
    return Notice(
        id=f"{_id(registration.id, EXPIRING)}-{what}-{expires_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{days}",
        type=EXPIRING,
        subject=registration.id,
        time=expires_at - timedelta(days=days),
        data=_about(registration) | {"what": what, "expiresAt": _time(expires_at), "days": days},
    )


def of_secret_in_use(registration: Registration, use: CredentialUse, now: datetime) -> Notice:
    """Return the notice that a replaced secret is used still, and until when it stays for that: one for each secret."""
    told = {"keyId": use.key_id, "lastUsedAt": _maybe(use.last_used_at), "keptUntil": _maybe(use.kept_until)}
    return Notice(
        id=f"{_id(registration.id, SECRET_IN_USE)}-{use.key_id}",
        type=SECRET_IN_USE,
        subject=registration.id,
        time=now,
        data=_about(registration) | told,
    )


def of_drift(registration: Registration, findings: Sequence[Failure], now: datetime) -> Notice:
    """Return the notice that Entra or the vault is not as it was left: one a day for the same findings."""
    digest = hashlib.sha256("\n".join(f"{each.code} {each.message}" for each in findings).encode()).hexdigest()[:16]
    return Notice(
        id=f"{_id(registration.id, DRIFT)}-{now.astimezone(UTC):%Y%m%d}-{digest}",
        type=DRIFT,
        subject=registration.id,
        time=now,
        data=_about(registration) | {"findings": [_failure(each) for each in findings]},
    )


def are_same(findings: Sequence[Failure], others: Sequence[Failure]) -> bool:
    """Whether both say the same; the ids of requests at Graph say nothing."""
    return [(each.code, each.message) for each in findings] == [(each.code, each.message) for each in others]


def heartbeat(run_id: str, now: datetime, counts: Mapping[str, int]) -> Notice:
    """Return the notice that the registrar lives, and how many of what it found; its absence is an alarm."""
    return Notice(_id(run_id, HEARTBEAT), HEARTBEAT, REGISTRAR, now, {"counts": dict(counts)})


def expiry_days(expires_at: datetime, now: datetime) -> int | None:
    """Return the threshold, in days before the end, that was reached last; None before the first one."""
    return min((days for days in THRESHOLDS if now >= expires_at - timedelta(days=days)), default=None)


def next_expiry_notice(expires_at: datetime, now: datetime) -> datetime | None:
    """Return when the next threshold is reached; None after the last one."""
    moments = (expires_at - timedelta(days=days) for days in THRESHOLDS)
    return min((moment for moment in moments if moment > now), default=None)


def source_of(tenant: Tenant) -> str:
    """Return the CloudEvents source: the registrar of a tenant."""
    return f"urn:fhir-registrar:{tenant.id}"


def cloud_event(notice: Notice, source: str) -> dict[str, Any]:
    """Return the notice as a CloudEvent 1.0 in structured mode.

    The type has no reverse-DNS prefix: the specification advises one, and this project has no domain of its own.
    """
    traced = {} if notice.trace_id is None else {"traceparent": traceparent(notice.trace_id, notice.id)}
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": notice.type,
        "subject": notice.subject,
        "time": _time(notice.time),
        "datacontenttype": "application/json",
        **traced,
        "data": dict(notice.data),
    }


def _id(of: str, kind: str) -> str:
    return f"{of}-{kind.rpartition('.')[2]}"


def _about(registration: Registration) -> dict[str, Any]:
    request, secret = registration.request, registration.secret
    return {
        "clientType": registration.client_type.value,
        "displayName": request.display_name,
        "owner": request.owner,
        "contact": request.contact,
        "clientId": registration.client_id,
        "status": registration.status.value,
        "secretId": secret.id if secret else None,
        "secretExpiresAt": _time(secret.expires_at) if secret and secret.expires_at else None,
        "lastUsedAt": _maybe(registration.usage.last_used_at) if registration.usage else None,
    }


def _failure(failure: Failure | None) -> dict[str, str | None] | None:
    if failure is None:
        return None
    return {
        "code": failure.code,
        "message": failure.message,
        "remedy": failure.remedy,
        "graphRequestId": failure.graph_request_id,
    }


def _maybe(moment: datetime | None) -> str | None:
    return None if moment is None else _time(moment)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
