"""Registry over Azure Table storage: three tables, and no transaction across them.

A transaction ends at one partition of one table, so nothing here pretends to span two: `due` is written before
`registrations`, and whoever acts on a due entry looks at the row. Tables are created when first found missing.

    registrations   PartitionKey: hash of the owner     RowKey: registration id     one row each, ETag-guarded
    due             PartitionKey: "due"                 RowKey: {UTC time}_{registration id}
    names           PartitionKey: hash of the name      RowKey: the same            which registration holds it
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import count, takewhile
from typing import Any, Final, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableEntity, TableServiceClient, UpdateMode

from provisioning.adapters.transport import retry_after
from provisioning.errors import RequestRejected, StaleRegistration, TryAgain
from provisioning.intake import dump, restore
from provisioning.ports import Clock, DueEntry, Page
from provisioning.registration import (
    REGISTRATION_ID,
    ClientType,
    Failure,
    LastError,
    MissingCredential,
    Operation,
    OperationStatus,
    OperationType,
    Permission,
    Registration,
    ResolvedResource,
    SecretState,
    Status,
    partition_of,
)

T = TypeVar("T")

SCHEMA_VERSION: Final = 1
REGISTRATIONS: Final = "registrations"
DUE: Final = "due"
NAMES: Final = "names"

# A text property holds 32,768 UTF-16 units; the longest request and resource pass that, so they are kept in pieces.
_PIECE: Final = 32_000


class TableRegistry:
    """What we remember, in Table storage; each method is one request, except where it says otherwise."""

    def __init__(self, service: TableServiceClient, clock: Clock) -> None:
        self._clock = clock
        self._service = service
        self._registrations = service.get_table_client(REGISTRATIONS)
        self._due = service.get_table_client(DUE)
        self._names = service.get_table_client(NAMES)

    def insert(self, registration: Registration) -> Registration | None:
        """As the port says."""
        entity = _entity(registration)
        try:
            written = self._on(self._registrations, lambda table: table.create_entity(entity))
        except ResourceExistsError:
            return None
        return replace(registration, etag=str(written["etag"]))

    def get(self, registration_id: str) -> Registration | None:
        """As the port says: a point read; none for what cannot be an id."""
        if not REGISTRATION_ID.fullmatch(registration_id):
            return None
        try:
            entity = self._on(self._registrations, lambda table: table.get_entity(registration_id[:8], registration_id))
        except ResourceNotFoundError:
            return None
        return _registration(entity)

    def replace(self, registration: Registration) -> Registration:
        """As the port says."""
        entity = _entity(registration)
        try:
            written = self._on(
                self._registrations,
                lambda table: table.update_entity(
                    entity,
                    mode=UpdateMode.REPLACE,
                    etag=registration.etag,
                    match_condition=MatchConditions.IfNotModified,
                ),
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            raise StaleRegistration from None
        return replace(registration, etag=str(written["etag"]))

    def find(
        self,
        *,
        owner: str | None = None,
        client_type: ClientType | None = None,
        status: Status | None = None,
        top: int,
        continuation_token: str | None = None,
    ) -> Page:
        """As the port says. With an owner one partition is read; a page may hold fewer than `top` and still go on."""
        conditions: dict[str, str] = {}
        if owner is not None:
            conditions |= {"PartitionKey eq @partition": partition_of(owner), "owner eq @owner": owner}
        if client_type is not None:
            conditions["clientType eq @type"] = client_type.value
        if status is not None:
            conditions["status eq @status"] = status.value
        else:
            conditions["status ne @deleted"] = Status.DELETED.value
        names = [condition.partition("@")[2] for condition in conditions]
        position = _position(continuation_token)

        def read(table: TableClient) -> tuple[list[Any], Any]:
            pages: Any = table.query_entities(
                " and ".join(conditions),
                parameters=dict(zip(names, conditions.values(), strict=True)),
                results_per_page=top,
            ).by_page(continuation_token=position)  # type: ignore[arg-type] # a dict, in this library
            return list(next(pages, [])), pages.continuation_token

        entities, following = self._on(self._registrations, read)
        return Page(
            tuple(map(_registration, entities)),
            _continuation_token(following) if following else None,
        )

    def put_due(self, entry: DueEntry) -> None:
        """As the port says."""
        self._on(
            self._due,
            lambda table: table.upsert_entity({**_due_key(entry), "schema": SCHEMA_VERSION}, mode=UpdateMode.REPLACE),
        )

    def remove_due(self, entry: DueEntry) -> None:
        """As the port says."""
        key = _due_key(entry)
        try:
            self._on(self._due, lambda table: table.delete_entity(key["PartitionKey"], key["RowKey"]))
        except ResourceNotFoundError:
            return

    def due(self, until: datetime, most: int) -> list[DueEntry]:
        """As the port says: a range of keys, so that the cost grows with what is due and not with what exists."""

        def read(table: TableClient) -> list[Any]:
            pages = table.query_entities(
                "PartitionKey eq 'due' and RowKey lt @until",
                parameters={"until": _time_key(until) + "`"},  # the character after "_", which ends a time
                select=["RowKey"],
                results_per_page=min(most, 1000),
            )
            return [entity for entity, _ in zip(pages, range(most), strict=False)]

        return [_due_entry(entity["RowKey"]) for entity in self._on(self._due, read)]

    def claim(self, name: str, registration_id: str, *, instead_of: str | None = None) -> str:
        """As the port says. Two requests where the name is taken, three where it changes hands."""
        key = _name_key(name)
        entity = {**key, "name": name, "registrationId": registration_id, "schema": SCHEMA_VERSION}
        try:
            self._on(self._names, lambda table: table.create_entity(entity))
        except ResourceExistsError:
            pass
        else:
            return registration_id
        taken = self._on(self._names, lambda table: table.get_entity(key["PartitionKey"], key["RowKey"]))
        if taken["registrationId"] != instead_of or instead_of == registration_id:
            return str(taken["registrationId"])
        try:
            self._on(
                self._names,
                lambda table: table.update_entity(
                    entity,
                    mode=UpdateMode.REPLACE,
                    etag=taken.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                ),
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            return self.claim(name, registration_id, instead_of=instead_of)
        return registration_id

    def holder(self, name: str) -> str | None:
        """As the port says."""
        key = _name_key(name)
        try:
            entity = self._on(self._names, lambda table: table.get_entity(key["PartitionKey"], key["RowKey"]))
        except ResourceNotFoundError:
            return None
        return str(entity["registrationId"])

    def _on(self, table: TableClient, action: Callable[[TableClient], T]) -> T:
        """Do it; where the table is missing, create it and do it again; translate what time heals."""
        with self._translated():
            try:
                return action(table)
            except HttpResponseError as error:
                # Some calls of the library classify the answer, others only quote it.
                if "TableNotFound" not in (getattr(error, "error_code", None) or str(error)):
                    raise
            self._service.create_table_if_not_exists(table.table_name)
            return action(table)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
            raise
        except AzureError as error:
            response: Any = error.response if isinstance(error, HttpResponseError) else None
            raise TryAgain(
                "storage-unavailable",
                "Table storage could not answer."
                if response is None
                else f"Table storage answered {response.status_code}.",
                remedy="If it lasts, check AzureWebJobsStorage and the role Storage Table Data Contributor.",
                retry_after=retry_after(response.headers, self._clock.now()) if response is not None else None,
            ) from None


def _time_key(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _due_key(entry: DueEntry) -> dict[str, str]:
    return {"PartitionKey": "due", "RowKey": f"{_time_key(entry.due_at)}_{entry.registration_id}"}


def _due_entry(row_key: str) -> DueEntry:
    time, _, registration_id = row_key.partition("_")
    return DueEntry(registration_id, datetime.fromisoformat(time))


def _name_key(name: str) -> dict[str, str]:
    """Keys take no slashes, so a name is kept under its hash."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {"PartitionKey": digest, "RowKey": digest}


def _continuation_token(position: Mapping[str, str]) -> str:
    keys = [position["PartitionKey"], position["RowKey"]]
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def _position(continuation_token: str | None) -> dict[str, str] | None:
    if continuation_token is None:
        return None
    try:
        padded = continuation_token + "=" * (-len(continuation_token) % 4)
        keys = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        keys = None
    match keys:
        case [str(partition), str(row)]:
            return {"PartitionKey": partition, "RowKey": row}
    raise RequestRejected(
        400, "invalid-continuation-token", "Send the continuationToken of the page before, unchanged."
    )


# --- rows -----------------------------------------------------------------------------------------------------------


def _entity(registration: Registration) -> dict[str, Any]:
    request = json.dumps(dump(registration.request), separators=(",", ":"))
    operation = registration.operation
    entity: dict[str, Any] = {
        "PartitionKey": registration.id[:8],
        "RowKey": registration.id,
        "schema": SCHEMA_VERSION,
        "caller": registration.caller,
        "owner": registration.request.owner,
        "clientType": registration.client_type.value,
        "status": registration.status.value,
        "requestHash": registration.request_hash,
        "operationId": operation.id,
        "operationType": operation.type.value,
        "operationStatus": operation.status.value,
        "operationRequestedAt": _time_key(operation.requested_at),
        "operationFailure": _json(operation.failure),
        "operationSupersedes": operation.supersedes,
        "createdAt": _time_key(registration.created_at),
        "updatedAt": _time_key(registration.updated_at),
        "dueAt": _time_key(registration.due_at) if registration.due_at else None,
        "applicationObjectId": registration.application_object_id,
        "clientId": registration.client_id,
        "servicePrincipalId": registration.service_principal_id,
        "identifierUri": registration.identifier_uri,
        "secretId": registration.secret.id if registration.secret else None,
        "secretKeyId": registration.secret.key_id if registration.secret else None,
        "secretExpiresAt": _time_key(registration.secret.expires_at)
        if registration.secret and registration.secret.expires_at
        else None,
        "secretPublishedAt": _time_key(registration.secret.published_at)
        if registration.secret and registration.secret.published_at
        else None,
        "secretMintedAt": _time_key(registration.secret.minted_at)
        if registration.secret and registration.secret.minted_at
        else None,
        "lastError": _json(registration.last_error),
        "change": registration.change,
        "replaceBefore": _time_key(registration.replace_before) if registration.replace_before else None,
        "revokeBefore": _time_key(registration.revoke_before) if registration.revoke_before else None,
        "missing": _json(registration.missing),
    }
    entity |= _pieces("request", request) | _pieces("resource", _json(registration.resource) or "")
    entity |= _pieces("formerRedirectUris", _json_list(registration.former_redirect_uris))
    entity |= _pieces("findings", _json_list([asdict(finding) for finding in registration.findings]))
    return {name: value for name, value in entity.items() if value is not None}


def _pieces(name: str, text: str) -> dict[str, str]:
    return {f"{name}{start // _PIECE}": text[start : start + _PIECE] for start in range(0, len(text), _PIECE)}


def _joined(entity: Mapping[str, Any], name: str) -> str:
    return "".join(takewhile(bool, (entity.get(f"{name}{number}", "") for number in count())))


def _json(value: Any) -> str | None:  # noqa: ANN401 -- any of our frozen values
    return None if value is None else json.dumps(asdict(value), separators=(",", ":"))


def _json_list(values: Sequence[Any]) -> str:
    return json.dumps(values, separators=(",", ":")) if values else ""


def _registration(entity: TableEntity) -> Registration:
    failure, last_error = _loaded(entity, "operationFailure"), _loaded(entity, "lastError")
    resource, missing = _joined(entity, "resource"), _loaded(entity, "missing")
    return Registration(
        id=entity["RowKey"],
        caller=entity["caller"],
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
        etag=entity.metadata["etag"],
    )


def _loaded(entity: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 -- what `_json` wrote
    return json.loads(entity[name]) if name in entity else None


def _time(entity: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(entity[name]) if name in entity else None


def _resolved(content: Mapping[str, Any]) -> ResolvedResource:
    lists = {kind: tuple(Permission(**each) for each in content[kind]) for kind in ("scopes", "app_roles")}
    return ResolvedResource(**{**content, **lists})
