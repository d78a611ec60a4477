"""Who did what, when: one event for each act on a registration, written with the row that it is about. Pure.

An event holds names, ids and codes of ours. It never holds a value that somebody sent, or a secret.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from provisioning.domain.callers import Caller, CallerKind
from provisioning.domain.errors import RequestRejected
from provisioning.domain.grants import GrantState
from provisioning.domain.intake import changed_names
from provisioning.domain.operation import Kept, OperationStatus, OperationType
from provisioning.domain.registration import Registration
from provisioning.domain.values import dataclass


class ActorKind(Kept):
    """What acted: a caller of some kind, or this service, and then what had it act.

    Whoever is not known is let in nowhere, and acts nowhere.
    """

    USER = "user"
    APPLICATION = "application"
    KEY = "key"
    QUEUE = "queue"
    PLANNER = "planner"
    RECONCILIATION = "reconciliation"
    UNKNOWN = "nobody known"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted: the object id of a caller, and of the application that spoke for it; neither for this service."""

    kind: ActorKind
    object_id: str | None = None
    via: str | None = None

    @classmethod
    def of(cls, caller: Caller) -> "Actor":
        """Return the caller as the one who acts."""
        object_id = None if caller.kind is CallerKind.KEY else caller.object_id
        return cls(ActorKind(caller.kind.value), object_id, caller.via)

    def __str__(self) -> str:
        """Return how a line of the log names it."""
        name = self.kind.value if self.object_id is None else f"{self.kind} {self.object_id}"
        return name if self.via is None else f"{name} via {self.via}"


class What(Kept):
    """What was done: asked for first, and then carried out."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DENIED = "denied"
    RETRIED = "retried"
    CHANGE_REQUESTED = "change-requested"
    ROTATION_REQUESTED = "rotation-requested"
    REVOCATION_REQUESTED = "revocation-requested"
    DELETION_REQUESTED = "deletion-requested"
    CLIENT_APPROVED = "client-approved"
    CLIENT_REVOKED = "client-revoked"
    PROVISIONED = "provisioned"
    CHANGED = "changed"
    REBUILT = "rebuilt"
    ADOPTED = "adopted"
    ROTATED = "rotated"
    DELETED = "deleted"
    FAILED = "failed"
    REOPENED = "reopened"
    SECRET_PUBLISHED = "secret-published"  # noqa: S105 -- the name of an act
    CREDENTIAL_REMOVED = "credential-removed"
    GRANTED = "granted"
    GRANT_TAKEN_BACK = "grant-taken-back"


class EventOutcome(Kept):
    """How it went: a wish is accepted or refused, what is carried out succeeds or fails."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """One act. `changed` are names of fields, never their values; `code` is why it was refused, or failed.

    `last_used_at` is when what ends was last used, as far as that is known.

    `n` tells events of the same time apart. Those of a row's writes are numbered from 1 on without a gap, so that one
    that somebody took away is missed; that of what wrote no row, as a refusal, is drawn.
    """

    registration_id: str
    time: datetime
    what: What
    outcome: EventOutcome
    actor: Actor
    trace_id: str
    operation_id: str
    changed: tuple[str, ...] = ()
    key_id: str | None = None
    former_key_id: str | None = None
    code: str | None = None
    graph_request_id: str | None = None
    policy_version: str | None = None
    n: str = ""
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A part of a registration's events, oldest first; `continuation_token` is None on the last one."""

    events: tuple[Event, ...]
    continuation_token: str | None


@dataclass(frozen=True, slots=True)
class Trail:
    """On whose behalf something is done now: who acts, and the trace that it belongs to."""

    trace_id: str
    actor: Actor
    subject: str = ""


def wished(trail: Trail, what: What, before: Registration | None, after: Registration) -> Event:
    """Return the event that somebody's wish was accepted, and made this of the registration."""
    event = _event(trail, what, EventOutcome.ACCEPTED, after, after.updated_at)
    if what is What.CHANGE_REQUESTED and after.proposal is not None:
        changed, version = changed_names(after.request, after.proposal.request), after.proposal.policy_version
        return replace(event, changed=changed, policy_version=version or None)
    if what in (What.REVOCATION_REQUESTED, What.DELETION_REQUESTED):
        event = replace(event, last_used_at=_last_used(after))
    return replace(event, changed=changed_names(before.request, after.request) if before is not None else ())


def brought_back(trail: Trail, row: Registration) -> Event:
    """Return the event that a registration was found in Entra and written anew, finished or to be gone on with."""
    outcome = EventOutcome.ACCEPTED if row.pending else EventOutcome.SUCCEEDED
    event = _event(trail, What.REBUILT, outcome, row, row.updated_at)
    return replace(event, key_id=row.secret.key_id if row.secret is not None else None)


def refused(trail: Trail, what: What, row: Registration, error: RequestRejected, now: datetime) -> Event:
    """Return the event that somebody's wish was refused: for what, and nothing of what was sent."""
    return apart(replace(_event(trail, what, EventOutcome.REFUSED, row, now), code=error.code))


def apart(event: Event) -> Event:
    """Return the event as one that is written without the row, and has no number."""
    return replace(event, n=f"r{uuid.uuid4().hex[:12]}")


def carried_out(
    trail: Trail, before: Registration, after: Registration, removed: Iterable[str], now: datetime
) -> tuple[Event, ...]:
    """Return the events of what a run did between two states of a row; none for mere bookkeeping.

    `removed` are the key ids of the credentials that were removed meanwhile.
    """
    event = _event(trail, What.CREDENTIAL_REMOVED, EventOutcome.SUCCEEDED, after, now)
    gone = (
        replace(event, former_key_id=key_id, last_used_at=_last_used(before, key_id) or _last_used(after, key_id))
        for key_id in removed
    )
    return (*gone, *_of_the_row(trail, before, after, now))


def _of_the_row(trail: Trail, before: Registration, after: Registration, now: datetime) -> Iterator[Event]:
    told, outcome = _what(before, after), EventOutcome.SUCCEEDED
    if told is None:
        return
    if told is What.FAILED:
        outcome = EventOutcome.FAILED
    elif told in (What.ROTATION_REQUESTED, What.REOPENED):
        outcome = EventOutcome.ACCEPTED
    event = _event(trail, told, outcome, after, now)
    former, current = (row.secret.key_id if row.secret is not None else None for row in (before, after))
    failure = after.operation.failure if told is What.FAILED else None
    yield replace(
        event,
        changed=after.changed_fields if told is What.CHANGED else (),
        key_id=current if current != former or told in (What.PROVISIONED, What.ROTATED) else None,
        former_key_id=former if current != former else None,
        last_used_at=_last_used(after) if told is What.DELETED else None,
        code=failure.code if failure is not None else None,
        graph_request_id=failure.graph_request_id if failure is not None else None,
    )


_DONE: Final = {
    OperationType.PROVISION: What.PROVISIONED,
    OperationType.CHANGE: What.CHANGED,
    OperationType.ROTATE: What.ROTATED,
    OperationType.DELETE: What.DELETED,
}


def _what(before: Registration, after: Registration) -> What | None:
    """Return what happened to a row by a run: an operation began or ended, or its secret or its grants are others."""
    was, operation = before.operation, after.operation
    if (was.id, was.status, was.requested_at) != (operation.id, operation.status, operation.requested_at):
        match operation.status:
            case OperationStatus.PENDING:
                return What.REOPENED if was.id == operation.id else What.ROTATION_REQUESTED
            case OperationStatus.SUCCEEDED:
                return _DONE[operation.type]
            case OperationStatus.FAILED:
                return What.FAILED
    key_ids = [row.secret.key_id if row.secret is not None else None for row in (before, after)]
    if key_ids[0] != key_ids[1]:
        return What.SECRET_PUBLISHED
    held, holds = _held(before), _held(after)
    return What.GRANT_TAKEN_BACK if held - holds else What.GRANTED if holds - held else None


def _last_used(row: Registration, key_id: str | None = None) -> datetime | None:
    """Return when it, or one of its credentials, was last used as far as that is known."""
    if row.usage is None:
        return None
    return row.usage.last_used_at if key_id is None else row.usage.of(key_id).last_used_at


def _held(row: Registration) -> set[str]:
    """Return what may be held by it, or by its owner: permissions by their ids, roles of Azure by role and holder."""
    roles = {f"{each.role} {each.principal_id}" for each in row.azure_grants if each.state is GrantState.GRANTED}
    return roles | {each.id for each in row.grants if each.may_be_held}


def _event(trail: Trail, what: What, outcome: EventOutcome, row: Registration, now: datetime) -> Event:
    return Event(
        registration_id=row.id,
        time=now,
        what=what,
        outcome=outcome,
        actor=trail.actor,
        trace_id=trail.trace_id,
        operation_id=row.operation.id,
        policy_version=row.policy_version or None,
    )


def numbered(row: Registration, events: Sequence[Event]) -> tuple[Registration, tuple[Event, ...]]:
    """Return a row that is about to be written with its events, which have their numbers."""
    told = tuple(replace(event, n=f"{row.events + number:06}") for number, event in enumerate(events, start=1))
    return replace(row, events=row.events + len(told)), told
