"""What a row of each table looks like: keys and columns, and back. The tables themselves are in `tables.py`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count, takewhile
from typing import Any, Final

from azure.data.tables import TableEntity

from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.intake import dump, restore
from provisioning.domain.notices import Notice
from provisioning.domain.operation import DueEntry, Failure, LastError, Operation, OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import MissingCredential, SecretState

SCHEMA_VERSION: Final = 1

# A text property holds 32,768 UTF-16 units; the longest request and resource pass that, so they are kept in pieces.
_PIECE: Final = 32_000


def time_key(moment: datetime) -> str:
    """Return the time as text that sorts as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def due_key(entry: DueEntry) -> dict[str, str]:
    """Return the key of a due entry, which is all there is of it."""
    return {"PartitionKey": "due", "RowKey": f"{time_key(entry.due_at)}_{entry.registration_id}"}


def due_entry(row_key: str) -> DueEntry:
    """Return the due entry of a row key."""
    time, _, registration_id = row_key.partition("_")
    return DueEntry(registration_id, datetime.fromisoformat(time))


def name_key(name: str) -> dict[str, str]:
    """Keys take no slashes, so a name is kept under its hash."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {"PartitionKey": digest, "RowKey": digest}


def notice_key(notice: Notice) -> dict[str, str]:
    """Return the key of a notice: the same for the same id, so that two puts are one row."""
    return {"PartitionKey": notice.subject, "RowKey": notice.id}


def registration_entity(registration: Registration) -> dict[str, Any]:
    """Return the row of a registration."""
    request = json.dumps(dump(registration.request), separators=(",", ":"))
    operation = registration.operation
    entity: dict[str, Any] = {
        "PartitionKey": registration.id[:8],
        "RowKey": registration.id,
        "schema": SCHEMA_VERSION,
        "caller": registration.caller,
        "via": registration.via,
        "owner": registration.request.owner,
        "clientType": registration.client_type.value,
        "status": registration.status.value,
        "requestHash": registration.request_hash,
        "operationId": operation.id,
        "operationType": operation.type.value,
        "operationStatus": operation.status.value,
        "operationRequestedAt": time_key(operation.requested_at),
        "operationFailure": _json(operation.failure),
        "operationSupersedes": operation.supersedes,
        "createdAt": time_key(registration.created_at),
        "updatedAt": time_key(registration.updated_at),
        "dueAt": _moment(registration.due_at),
        "applicationObjectId": registration.application_object_id,
        "clientId": registration.client_id,
        "servicePrincipalId": registration.service_principal_id,
        "identifierUri": registration.identifier_uri,
        "lastError": _json(registration.last_error),
        "change": registration.change,
        "replaceBefore": _moment(registration.replace_before),
        "revokeBefore": _moment(registration.revoke_before),
        "missing": _json(registration.missing),
        "expiryNoticed": registration.expiry_noticed,
        "cleanUpAt": _moment(registration.clean_up_at),
    }
    if registration.secret is not None:
        entity |= {
            "secretId": registration.secret.id,
            "secretKeyId": registration.secret.key_id,
            "secretExpiresAt": _moment(registration.secret.expires_at),
            "secretPublishedAt": _moment(registration.secret.published_at),
            "secretMintedAt": _moment(registration.secret.minted_at),
        }
    entity |= _pieces("request", request) | _pieces("resource", _json(registration.resource) or "")
    entity |= _pieces("formerRedirectUris", _json_list(registration.former_redirect_uris))
    entity |= _pieces("findings", _json_list([asdict(finding) for finding in registration.findings]))
    return {name: value for name, value in entity.items() if value is not None}


def notice_entity(notice: Notice, due_at: datetime) -> dict[str, Any]:
    """Return the row of a notice that waits."""
    return {
        **notice_key(notice),
        "schema": SCHEMA_VERSION,
        "type": notice.type,
        "time": time_key(notice.time),
        "dueAt": time_key(due_at),
    } | _pieces("data", json.dumps(notice.data, separators=(",", ":")))


def notice_of(entity: Mapping[str, Any]) -> Notice:
    """Return the notice of a row."""
    return Notice(
        id=entity["RowKey"],
        type=entity["type"],
        subject=entity["PartitionKey"],
        time=datetime.fromisoformat(entity["time"]),
        data=json.loads(_joined(entity, "data")),
    )


def _pieces(name: str, text: str) -> dict[str, str]:
    return {f"{name}{start // _PIECE}": text[start : start + _PIECE] for start in range(0, len(text), _PIECE)}


def _joined(entity: Mapping[str, Any], name: str) -> str:
    return "".join(takewhile(bool, (entity.get(f"{name}{number}", "") for number in count())))


def _json(value: Any) -> str | None:  # noqa: ANN401 -- any of our frozen values
    return None if value is None else json.dumps(asdict(value), separators=(",", ":"))


def _json_list(values: Sequence[Any]) -> str:
    return json.dumps(values, separators=(",", ":")) if values else ""


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else time_key(moment)


def registration_of(entity: TableEntity) -> Registration:
    """Return the registration of a row, with the row's etag."""
    failure, last_error = _loaded(entity, "operationFailure"), _loaded(entity, "lastError")
    resource, missing = _joined(entity, "resource"), _loaded(entity, "missing")
    return Registration(
        id=entity["RowKey"],
        caller=entity["caller"],
        via=entity.get("via"),
        request=restore(json.loads(_joined(entity, "request"))),
        request_hash=entity["requestHash"],
        status=Status(entity["status"]),
        operation=Operation(
            id=entity["operationId"],
            type=OperationType(entity["operationType"]),
            status=OperationStatus(entity["operationStatus"]),
            requested_at=datetime.fromisoformat(entity["operationRequestedAt"]),
            failure=Failure(**failure) if failure else None,
            supersedes=entity.get("operationSupersedes"),
        ),
        created_at=datetime.fromisoformat(entity["createdAt"]),
        updated_at=datetime.fromisoformat(entity["updatedAt"]),
        due_at=_time(entity, "dueAt"),
        application_object_id=entity.get("applicationObjectId"),
        client_id=entity.get("clientId"),
        service_principal_id=entity.get("servicePrincipalId"),
        identifier_uri=entity.get("identifierUri"),
        resource=_resolved(json.loads(resource)) if resource else None,
        secret=SecretState(
            entity["secretId"],
            entity["secretKeyId"],
            _time(entity, "secretExpiresAt"),
            _time(entity, "secretPublishedAt"),
            _time(entity, "secretMintedAt"),
        )
        if "secretId" in entity
        else None,
        last_error=LastError(Failure(**last_error["failure"]), last_error["passing"]) if last_error else None,
        change=entity.get("change", 0),
        former_redirect_uris=tuple(json.loads(_joined(entity, "formerRedirectUris") or "[]")),
        replace_before=_time(entity, "replaceBefore"),
        revoke_before=_time(entity, "revokeBefore"),
        missing=MissingCredential(**missing) if missing else None,
        findings=tuple(Failure(**each) for each in json.loads(_joined(entity, "findings") or "[]")),
        expiry_noticed=entity.get("expiryNoticed"),
        clean_up_at=_time(entity, "cleanUpAt"),
        etag=entity.metadata["etag"],
    )


def _loaded(entity: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 -- what `_json` wrote
    return json.loads(entity[name]) if name in entity else None


def _time(entity: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(entity[name]) if name in entity else None


def _resolved(content: Mapping[str, Any]) -> ResolvedResource:
    lists = {kind: tuple(Permission(**each) for each in content[kind]) for kind in ("scopes", "app_roles")}
    return ResolvedResource(**{**content, **lists})
