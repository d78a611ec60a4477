"""What a row of each table looks like: keys and columns, and back. The tables themselves are in `tables.py`.

A row is read by any version. What this one does not know of it, a column or a field within one, is kept by its writes.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from itertools import count, takewhile
from typing import Any, Final, TypeVar

from azure.data.tables import TableEntity

from provisioning.domain.approval import Approval, Outcome, Proposal
from provisioning.domain.azure_roles import AzureGrant
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.events import Actor, ActorKind, Event, EventOutcome, What
from provisioning.domain.grants import Agreement, Cascaded, Grant, GrantState
from provisioning.domain.intake import dump, restore
from provisioning.domain.names import Hold
from provisioning.domain.notices import CALLBACK, CHAT, Notice
from provisioning.domain.operation import DueEntry, Failure, LastError, Operation, OperationStatus, OperationType
from provisioning.domain.registration import REGISTRATION_ID, Registration, Status
from provisioning.domain.secrets import MissingCredential, SecretState
from provisioning.domain.usage import CredentialUse, Usage

T = TypeVar("T")

SCHEMA_VERSION: Final = 1
# What is beside the registrations in their table has keys that begin so, and comes after every id.
AFTER_REGISTRATIONS: Final = "~"

# A text property holds 32,768 UTF-16 units; the longest request and resource pass that, so they are kept in pieces.
_PIECE: Final = 32_000
# What is kept as JSON in one column, and in pieces.
_JSON: Final[tuple[str, ...]] = (
    *("operationFailure", "lastError", "missing", "changedFields", "approval"),
    *("agreement", "dataRolesBy"),
)
_JSON_IN_PIECES: Final[tuple[str, ...]] = (
    *("request", "proposal", "resource", "formerRedirectUris", "formerPermissions", "findings"),
    *("grants", "azureGrants", "usage", "cascade"),
)
_PIECES: Final = re.compile(rf"(?:{'|'.join(_JSON_IN_PIECES)})[0-9]+")
# What reading a row raises where another version, or somebody else, wrote what cannot be read.
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)


def time_key(moment: datetime) -> str:
    """Return the time as text that sorts as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def due_key(entry: DueEntry) -> dict[str, str]:
    """Return the key of a due entry, which is all there is of it."""
    return {"PartitionKey": "due", "RowKey": f"{time_key(entry.due_at)}_{entry.registration_id}"}


def due_entry(entity: Mapping[str, Any]) -> DueEntry:
    """Return the due entry of a row; raise one of UNREADABLE for a key that this version would not write."""
    time, _, registration_id = entity["RowKey"].partition("_")
    if not REGISTRATION_ID.fullmatch(registration_id):
        raise ValueError("no id of a registration")
    return DueEntry(registration_id, _instant(time))


def name_key(name: str) -> dict[str, str]:
    """Keys take no slashes, so a name is kept under its hash."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {"PartitionKey": digest, "RowKey": digest}


def hold_columns(hold: Hold) -> dict[str, str]:
    """Return the columns of a name that say for whom it is held once it is free, and until when."""
    return {"heldFor": hold.owner, "heldUntil": time_key(hold.until)}


def hold_of(entity: Mapping[str, Any]) -> Hold | None:
    """Return for whom the name of a row is held once it is free; None for nobody, or what cannot be read."""
    try:
        return Hold(str(entity["heldFor"]), _instant(entity["heldUntil"]))
    except UNREADABLE:
        return None


def notice_key(notice: Notice) -> dict[str, str]:
    """Return the key of a notice: the same for the same id, so that two puts are one row."""
    return {"PartitionKey": notice.mailbox, "RowKey": notice.id}


def registration_entity(registration: Registration) -> dict[str, Any]:
    """Return the row of a registration; of the row that it was read from it keeps what this version did not read."""
    content = _content(registration)
    if registration.row is not None:
        stored, read = _unpacked(registration.row), _content(_registration(registration.row, None))
        request = _kept(stored["request"], read["request"], content["request"])
        content = _kept(stored, read, content) | {"request": request}
    return _packed(content)


def registration_of(entity: TableEntity) -> Registration:
    """Return the registration of a row, with the row's etag; raise one of UNREADABLE where that cannot be done."""
    return _registration(entity, entity.metadata["etag"])


def _content(registration: Registration) -> dict[str, Any]:
    """Return what this version writes of a registration, by column; None is not written."""
    operation, secret = registration.operation, registration.secret
    content = {
        "PartitionKey": registration.id[:8],
        "RowKey": registration.id,
        "schema": SCHEMA_VERSION,
        "caller": registration.caller,
        "via": registration.via,
        "policyVersion": registration.policy_version or None,
        "approval": _approval_content(registration.approval),
        "proposal": _proposal_content(registration.proposal),
        "ownerUnseen": registration.owner_unseen or None,
        "owner": registration.request.owner,
        "clientType": registration.client_type.value,
        "status": registration.status.value,
        "requestHash": registration.request_hash,
        "operationId": operation.id,
        "operationType": operation.type.value,
        "operationStatus": operation.status.value,
        "operationRequestedAt": time_key(operation.requested_at),
        "operationFailure": _json_of(operation.failure),
        "operationSupersedes": operation.supersedes,
        "operationTraceId": operation.trace_id,
        "createdAt": time_key(registration.created_at),
        "updatedAt": time_key(registration.updated_at),
        "dueAt": _moment(registration.due_at),
        "applicationObjectId": registration.application_object_id,
        "clientId": registration.client_id,
        "servicePrincipalId": registration.service_principal_id,
        "identifierUri": registration.identifier_uri,
        "lastError": _json_of(registration.last_error),
        "change": registration.change,
        "changedFields": list(registration.changed_fields) or None,
        "formerContact": registration.former_contact,
        "replaceBefore": _moment(registration.replace_before),
        "revokeBefore": _moment(registration.revoke_before),
        "missing": _json_of(registration.missing),
        "expiryNoticed": registration.expiry_noticed,
        "cleanUpAt": _moment(registration.clean_up_at),
        "deletionSentAt": _moment(registration.deletion_sent_at),
        "agreement": _moments(registration.agreement, "at"),
        "grants": [_moments(each, "since", "proven_at") for each in registration.grants] or None,
        "grantsDueAt": _moment(registration.grants_due_at),
        "azureGrants": [_moments(each, "since") for each in registration.azure_grants] or None,
        "azureGrantsDueAt": _moment(registration.azure_grants_due_at),
        "usage": _usage_content(registration.usage),
        "cascade": _json_of_all(registration.cascade),
        "dataRolesBy": list(registration.data_roles_by) or None,
        "events": registration.events,
        "secretId": secret.id if secret else None,
        "secretKeyId": secret.key_id if secret else None,
        "secretExpiresAt": _moment(secret.expires_at) if secret else None,
        "secretPublishedAt": _moment(secret.published_at) if secret else None,
        "secretMintedAt": _moment(secret.minted_at) if secret else None,
        "request": dump(registration.request),
        "resource": _json_of(registration.resource),
        "formerRedirectUris": list(registration.former_redirect_uris) or None,
        "formerPermissions": list(registration.former_permissions) or None,
        "findings": _json_of_all(registration.findings),
    }
    return {name: value for name, value in content.items() if value is not None}


def _registration(entity: Mapping[str, Any], etag: str | None) -> Registration:
    content = _unpacked(entity)
    if not REGISTRATION_ID.fullmatch(content["RowKey"]):
        raise ValueError("no id of a registration")
    return Registration(
        id=content["RowKey"],
        caller=content["caller"],
        via=content.get("via"),
        policy_version=content.get("policyVersion", ""),
        approval=_approval(content.get("approval")),
        proposal=_proposal(content.get("proposal")),
        owner_unseen=bool(content.get("ownerUnseen", False)),
        request=restore(content["request"]),
        request_hash=content["requestHash"],
        status=Status(content["status"]),
        operation=Operation(
            id=content["operationId"],
            type=OperationType(content["operationType"]),
            status=OperationStatus(content["operationStatus"]),
            requested_at=_instant(content["operationRequestedAt"]),
            failure=_known(Failure, content.get("operationFailure")),
            supersedes=content.get("operationSupersedes"),
            trace_id=content.get("operationTraceId"),
        ),
        created_at=_instant(content["createdAt"]),
        updated_at=_instant(content["updatedAt"]),
        due_at=_time(content, "dueAt"),
        application_object_id=content.get("applicationObjectId"),
        client_id=content.get("clientId"),
        service_principal_id=content.get("servicePrincipalId"),
        identifier_uri=content.get("identifierUri"),
        resource=_resource(content.get("resource")),
        secret=SecretState(
            content["secretId"],
            content["secretKeyId"],
            _time(content, "secretExpiresAt"),
            _time(content, "secretPublishedAt"),
            _time(content, "secretMintedAt"),
        )
        if "secretId" in content
        else None,
        last_error=_last_error(content.get("lastError")),
        change=int(content.get("change", 0)),
        former_redirect_uris=tuple(content.get("formerRedirectUris", ())),
        former_permissions=tuple(content.get("formerPermissions", ())),
        changed_fields=tuple(content.get("changedFields", ())),
        former_contact=content.get("formerContact"),
        replace_before=_time(content, "replaceBefore"),
        revoke_before=_time(content, "revokeBefore"),
        missing=_known(MissingCredential, content.get("missing")),
        findings=_all_known(Failure, content.get("findings", ())),
        expiry_noticed=content.get("expiryNoticed"),
        clean_up_at=_time(content, "cleanUpAt"),
        deletion_sent_at=_time(content, "deletionSentAt"),
        agreement=_agreement(content.get("agreement")),
        grants=tuple(map(_grant, content.get("grants", ()))),
        grants_due_at=_time(content, "grantsDueAt"),
        azure_grants=tuple(map(_azure_grant, content.get("azureGrants", ()))),
        azure_grants_due_at=_time(content, "azureGrantsDueAt"),
        usage=_usage(content.get("usage")),
        cascade=_all_known(Cascaded, content.get("cascade", ())),
        data_roles_by=tuple(content.get("dataRolesBy", ())),
        events=int(content.get("events", 0)),
        etag=etag,
        row=entity,
    )


def event_entity(event: Event) -> dict[str, Any]:
    """Return the row of an event: beside the registration's own, so that both are written at once or not at all."""
    content = {
        "PartitionKey": event.registration_id[:8],
        "RowKey": f"{events_of(event.registration_id)}{time_key(event.time)}_{event.n}",
        "schema": SCHEMA_VERSION,
        "what": event.what.value,
        "outcome": event.outcome.value,
        "actor": event.actor.kind.value,
        "actorId": event.actor.object_id,
        "actorVia": event.actor.via,
        "traceId": event.trace_id,
        "operationId": event.operation_id,
        "changed": _text(event.changed) if event.changed else None,
        "keyId": event.key_id,
        "formerKeyId": event.former_key_id,
        "code": event.code,
        "graphRequestId": event.graph_request_id,
        "policyVersion": event.policy_version,
        "lastUsedAt": _moment(event.last_used_at),
    }
    return {name: value for name, value in content.items() if value is not None}


def events_of(registration_id: str) -> str:
    """Return how the keys of a registration's events begin: after all keys of registrations."""
    return f"{AFTER_REGISTRATIONS}{registration_id}_"


def event_of(entity: Mapping[str, Any]) -> Event:
    """Return the event of a row; raise one of UNREADABLE where that cannot be done."""
    registration_id, time, n = entity["RowKey"].removeprefix(AFTER_REGISTRATIONS).split("_")
    return Event(
        registration_id=registration_id,
        time=_instant(time),
        what=What(entity["what"]),
        outcome=EventOutcome(entity["outcome"]),
        actor=Actor(ActorKind(entity["actor"]), entity.get("actorId"), entity.get("actorVia")),
        trace_id=entity["traceId"],
        operation_id=entity["operationId"],
        changed=tuple(json.loads(entity.get("changed", "[]"))),
        key_id=entity.get("keyId"),
        former_key_id=entity.get("formerKeyId"),
        code=entity.get("code"),
        graph_request_id=entity.get("graphRequestId"),
        policy_version=entity.get("policyVersion"),
        n=n,
        last_used_at=_time(entity, "lastUsedAt"),
    )


def notice_entity(notice: Notice, due_at: datetime) -> dict[str, Any]:
    """Return the row of a notice that waits. Merged into one that is longer, it leaves nothing of that one's data."""
    pieces = _pieces("data", json.dumps(notice.data, separators=(",", ":")))
    return {
        **notice_key(notice),
        "schema": SCHEMA_VERSION,
        "type": notice.type,
        "time": time_key(notice.time),
        "dueAt": time_key(due_at),
        **({"traceId": notice.trace_id} if notice.trace_id is not None else {}),
        **pieces,
        f"data{len(pieces)}": "",
    }


def notice_of(entity: Mapping[str, Any]) -> Notice:
    """Return the notice of a row; raise one of UNREADABLE where that cannot be done."""
    return Notice(
        id=entity["RowKey"],
        type=entity["type"],
        subject=entity["PartitionKey"].removeprefix(CALLBACK).removeprefix(CHAT),
        time=_instant(entity["time"]),
        data=json.loads(_joined(entity, "data")),
        trace_id=entity.get("traceId"),
        callback=entity["PartitionKey"].startswith(CALLBACK),
        chat=entity["PartitionKey"].startswith(CHAT),
    )


def waiting_of(entity: Mapping[str, Any]) -> tuple[datetime, str, str, datetime]:
    """Return the time, the id and the mailbox of a row's notice, and when it is due."""
    return _instant(entity["time"]), entity["RowKey"], entity["PartitionKey"], _instant(entity["dueAt"])


# --- columns and JSON -----------------------------------------------------------------------------------------------


def _packed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row: what is no plain value is JSON, and in pieces where it may be long."""
    entity = {name: value for name, value in content.items() if name not in (*_JSON, *_JSON_IN_PIECES)}
    entity |= {name: _text(content[name]) for name in _JSON if name in content}
    for name in _JSON_IN_PIECES:
        entity |= _pieces(name, _text(content[name])) if name in content else {}
    return entity


def _unpacked(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the columns of a row hold."""
    content = {name: value for name, value in entity.items() if not _PIECES.fullmatch(name)}
    texts = {name: content[name] for name in _JSON if name in content}
    texts |= {name: _joined(entity, name) for name in _JSON_IN_PIECES if entity.get(f"{name}0")}
    return content | {name: json.loads(text) for name, text in texts.items()}


def _kept(stored: Mapping[str, Any], read: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is written, what did not change as it was stored, with all that was stored and not read."""
    unknown = {name: value for name, value in stored.items() if name not in read}
    same = {name: stored[name] for name, value in written.items() if name in stored and read.get(name) == value}
    return {**unknown, **written, **same}


def _pieces(name: str, text: str) -> dict[str, str]:
    return {f"{name}{start // _PIECE}": text[start : start + _PIECE] for start in range(0, len(text), _PIECE)}


def _joined(entity: Mapping[str, Any], name: str) -> str:
    return "".join(takewhile(bool, (entity.get(f"{name}{number}", "") for number in count())))


def _text(value: Any) -> str:  # noqa: ANN401 -- JSON
    return json.dumps(value, separators=(",", ":"))


def _json_of(value: Any) -> Any:  # noqa: ANN401 -- any of our frozen values
    """Return the value as JSON gives it back, with lists for tuples."""
    return None if value is None else json.loads(_text(asdict(value)))


def _json_of_all(values: Iterable[Any]) -> list[Any] | None:
    return [asdict(each) for each in values] or None


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else time_key(moment)


def _time(content: Mapping[str, Any], name: str) -> datetime | None:
    return _instant(content[name]) if name in content else None


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its offset from UTC")
    return moment


def _known(kind: type[T], content: Mapping[str, Any] | None) -> T | None:
    """Return the value of a JSON object, of whose fields only those are read that this version knows."""
    if content is None:
        return None
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type] # all of ours are dataclasses
    return kind(**{name: content[name] for name in names if name in content})


def _all_known(kind: type[T], contents: Iterable[Mapping[str, Any]]) -> tuple[T, ...]:
    return tuple(value for value in (_known(kind, content) for content in contents) if value is not None)


def _approval_content(approval: Approval | None) -> dict[str, Any] | None:
    if approval is None:
        return None
    times = {"lapses_at": time_key(approval.lapses_at), "decided_at": _moment(approval.decided_at)}
    return {name: value for name, value in (asdict(approval) | times).items() if value is not None}


def _approval(content: Mapping[str, Any] | None) -> Approval | None:
    if content is None:
        return None
    read: dict[str, Any] = {"lapses_at": _instant(content["lapses_at"]), "decided_at": _time(content, "decided_at")}
    read |= {"rules": tuple(content["rules"]), "outcome": Outcome(content["outcome"]) if "outcome" in content else None}
    return _known(Approval, {**content, **read})


def _proposal_content(proposal: Proposal | None) -> dict[str, Any] | None:
    if proposal is None:
        return None
    written = {"requested_at": time_key(proposal.requested_at), "request": dump(proposal.request)}
    return {name: value for name, value in (asdict(proposal) | written).items() if value is not None}


def _proposal(content: Mapping[str, Any] | None) -> Proposal | None:
    if content is None:
        return None
    read = {"requested_at": _instant(content["requested_at"]), "request": restore(content["request"])}
    return _known(Proposal, {**content, **read})


def _moments(value: Any, *names: str) -> dict[str, Any] | None:  # noqa: ANN401 -- any of our frozen values
    """Return the value as JSON gives it back, its times as texts; what is None is left out."""
    if value is None:
        return None
    content = asdict(value) | {name: _moment(getattr(value, name)) for name in names}
    return {name: list(each) if isinstance(each, tuple) else each for name, each in content.items() if each is not None}


def _agreement(content: Mapping[str, Any] | None) -> Agreement | None:
    if content is None:
        return None
    return _known(Agreement, {**content, "permissions": tuple(content["permissions"]), "at": _instant(content["at"])})


def _grant(content: Mapping[str, Any]) -> Grant:
    return Grant(
        permission=content["permission"],
        id=content["id"],
        state=GrantState(content["state"]),
        since=_instant(content["since"]),
        waits_for=content.get("waits_for"),
        proven_at=_time(content, "proven_at"),
    )


def _azure_grant(content: Mapping[str, Any]) -> AzureGrant:
    return AzureGrant(
        role=content["role"],
        scope=content["scope"],
        principal_id=content["principal_id"],
        state=GrantState(content["state"]),
        since=_instant(content["since"]),
        waits_for=content.get("waits_for"),
    )


def _usage_content(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    credentials = [_moments(each, "last_used_at", "kept_until") for each in usage.credentials]
    return (_moments(usage, "last_used_at") or {}) | {"credentials": credentials}


def _usage(content: Mapping[str, Any] | None) -> Usage | None:
    if content is None:
        return None
    credentials = (
        CredentialUse(each["key_id"], _time(each, "last_used_at"), _time(each, "kept_until"))
        for each in content.get("credentials", ())
    )
    return Usage(_time(content, "last_used_at"), content.get("unknown"), tuple(credentials))


def _last_error(content: Mapping[str, Any] | None) -> LastError | None:
    return None if content is None else _known(LastError, {**content, "failure": _known(Failure, content["failure"])})


def _resource(content: Mapping[str, Any] | None) -> ResolvedResource | None:
    if content is None:
        return None
    kinds = [kind for kind in ("scopes", "app_roles", "data_roles") if kind in content]
    lists = {kind: _all_known(Permission, content[kind]) for kind in kinds}
    return _known(ResolvedResource, {**content, **lists})
