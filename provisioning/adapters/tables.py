"""Registry over Azure Table storage: six tables, and no transaction across them.

A transaction ends at one partition of one table, so nothing here pretends to span two: `due` is written before
`registrations`, and whoever acts on a due entry looks at the row. A row and its events are one transaction. Tables are
created when first found missing.

    registrations   PartitionKey: the id's beginning    RowKey: registration id     one row each, ETag-guarded
    -               -                                   RowKey: ~{id}_{time}_{n}    its events, never written again
    due             PartitionKey: "due"                 RowKey: {UTC time}_{registration id}
    names           PartitionKey: hash of the name      RowKey: the same            which registration holds it
    owners          PartitionKey: owner                 RowKey: registration id     may be stale, never missing
    clients         PartitionKey: resource              RowKey: registration id     the clients of a resource
    notices         PartitionKey: mailbox               RowKey: the notice's id     only those that wait

What a row looks like is in `rows.py`; what is done with `owners`, `names` and `clients`, in files of those names.
Beside them is `people`, which is no part of the registry and acts on its table in the same way.
"""

import base64
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from typing import Any, Final, TypeGuard, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode

from provisioning import trail
from provisioning.adapters.chats import CHATS, ChatsTable
from provisioning.adapters.clients import ClientsTable
from provisioning.adapters.names import NamesTable
from provisioning.adapters.owners import AT_ONCE, OwnersTable
from provisioning.adapters.rows import (
    AFTER_REGISTRATIONS,
    SCHEMA_VERSION,
    UNREADABLE,
    due_entry,
    due_key,
    event_entity,
    event_of,
    events_of,
    notice_entity,
    notice_key,
    notice_of,
    registration_entity,
    registration_of,
    time_key,
    waiting_of,
)
from provisioning.adapters.transactions import transact
from provisioning.adapters.transport import retry_after
from provisioning.domain.client_types import ClientType
from provisioning.domain.errors import RequestRejected, StaleRegistration, TryAgain, UnreadableRow
from provisioning.domain.events import Event, EventPage, numbered
from provisioning.domain.grants import ClientOf, ClientPage
from provisioning.domain.names import Hold
from provisioning.domain.notices import Notice
from provisioning.domain.operation import DueEntry
from provisioning.domain.quota import Exceeded, Quota
from provisioning.domain.registration import REGISTRATION_ID, Page, Registration, Status
from provisioning.ports import Clock

T = TypeVar("T")

REGISTRATIONS: Final = "registrations"
DUE: Final = "due"
NAMES: Final = "names"
OWNERS: Final = "owners"
NOTICES: Final = "notices"
CLIENTS: Final = "clients"
_OWNED: Final = "owned"
# How many rows of an owner's list one page looks at, at the most, to find those that are asked for.
_LOOKED_AT: Final = 200
# A query that looks through many partitions may take the service 5 s; then it answers with what it has found.
_SCAN_TIMEOUT: Final = 5.5
# Keys have up to 1 KiB, and the service encodes them in base64.
_PLACE: Final = re.compile(r"[\x21-\x7e]{1,1600}", re.ASCII)
# For the other calls the library classifies these answers itself.
_OF_A_TRANSACTION: Final[Mapping[str, type[HttpResponseError]]] = {
    "EntityAlreadyExists": ResourceExistsError,
    "ResourceNotFound": ResourceNotFoundError,
    "EntityNotFound": ResourceNotFoundError,
    "UpdateConditionNotSatisfied": ResourceModifiedError,
    "ConditionNotMet": ResourceModifiedError,
}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)

logger = trail.logger(__name__)


class TableRegistry:
    """What we remember, in Table storage; each method is one request, except where it says otherwise."""

    def __init__(self, service: TableServiceClient, clock: Clock) -> None:
        self._clock = clock
        self._service = service
        self._registrations = service.get_table_client(REGISTRATIONS)
        self._due = service.get_table_client(DUE)
        self._names = NamesTable(service.get_table_client(NAMES), self._on)
        self._owners = OwnersTable(service.get_table_client(OWNERS), self._on, self._is_live)
        self._notices = service.get_table_client(NOTICES)
        self._clients = ClientsTable(service.get_table_client(CLIENTS), self._on)
        self.people = ChatsTable(service.get_table_client(CHATS), self._on)

    def insert(self, registration: Registration, *events: Event) -> Registration | None:
        """As the port says."""
        try:
            return self._written(registration, events, "create", {})
        except ResourceExistsError:
            return None

    def _written(
        self, registration: Registration, events: Sequence[Event], how: str, options: Mapping[str, Any]
    ) -> Registration:
        """Return the registration as it was written together with its events: all of it, or nothing."""
        row, told = numbered(registration, events)
        entity = registration_entity(row)
        writes: list[Any] = [(how, entity, options), *(("create", event_entity(event)) for event in told)]
        etag, *_ = self._on(self._registrations, lambda table: transact(table, writes))
        return replace(row, etag=etag, row=entity)

    def get(self, registration_id: str) -> Registration | None:
        """As the port says: a point read; none for what cannot be an id."""
        if not REGISTRATION_ID.fullmatch(registration_id):
            return None
        try:
            entity = self._on(self._registrations, lambda table: table.get_entity(registration_id[:8], registration_id))
        except ResourceNotFoundError:
            return None
        try:
            return registration_of(entity)
        except UNREADABLE:
            raise UnreadableRow from None

    def replace(self, registration: Registration, *events: Event) -> Registration:
        """As the port says."""
        unchanged = {"etag": registration.etag, "match_condition": MatchConditions.IfNotModified}
        try:
            return self._written(registration, events, "update", {"mode": UpdateMode.REPLACE, **unchanged})
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
            raise StaleRegistration from None

    def put_event(self, event: Event) -> None:
        """As the port says."""
        entity = event_entity(event)
        self._on(self._registrations, lambda table: table.create_entity(entity))

    def events(self, registration_id: str, *, top: int, continuation_token: str | None = None) -> EventPage:
        """As the port says: a range of keys of one partition. A page may hold fewer than `top` and still go on."""
        partition, first = registration_id[:8], events_of(registration_id)
        position = _position(continuation_token)
        after = first if position is None else position["RowKey"] or ""
        if position is not None and (position["PartitionKey"] != partition or not after.startswith(first)):
            raise _invalid_token()

        def read(table: TableClient) -> list[Any]:
            found = table.query_entities(
                "PartitionKey eq @partition and RowKey gt @after and RowKey lt @end",
                # What follows "_", with which what all keys have in common ends.
                parameters={"partition": partition, "after": after, "end": f"{first[:-1]}`"},
                results_per_page=top + 1,
            )
            return list(islice(found, top + 1))

        entities = self._on(self._registrations, read)
        more = _continuation_token(entities[top - 1]) if len(entities) > top else None
        return EventPage(tuple(_readable("event", event_of, entities[:top])), more)

    def find(
        self,
        *,
        owners: Collection[str] | None = None,
        client_type: ClientType | None = None,
        status: Status | None = None,
        top: int,
        continuation_token: str | None = None,
    ) -> Page:
        """As the port says. A page may hold fewer than `top` and still go on."""
        if owners is not None:
            return self._find_owned(owners, client_type, status, top, continuation_token)
        conditions: dict[str, str] = {"RowKey lt @events": AFTER_REGISTRATIONS}
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
                read_timeout=_SCAN_TIMEOUT,
            ).by_page(continuation_token=position)  # type: ignore[arg-type] # a dict, in this library
            try:
                return list(next(pages, [])), pages.continuation_token
            except HttpResponseError as error:
                if position is not None and error.status_code == HTTPStatus.BAD_REQUEST:
                    raise _invalid_token() from None  # all else in the request is ours
                raise

        entities, following = self._on(self._registrations, read)
        found = list(_readable("registration", registration_of, entities))
        return Page(
            tuple(found),
            _continuation_token(following) if following else None,
            unreadable=len(entities) - len(found),
        )

    def _find_owned(
        self,
        owners: Collection[str],
        client_type: ClientType | None,
        status: Status | None,
        top: int,
        continuation_token: str | None,
    ) -> Page:
        """Return a page of these owners' registrations: one request for each owner, and one for each row looked at."""

        def is_asked_for(row: Registration | None) -> TypeGuard[Registration]:
            return (
                row is not None
                and row.request.owner in owners
                and client_type in (None, row.client_type)
                and (row.status is not Status.DELETED if status is None else row.status is status)
            )

        after, found, seen = _owned_after(continuation_token), list[Registration](), 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            listed = pool.map(lambda owner: self._owners.listed(owner, after, _LOOKED_AT + 1), sorted(owners))
            ids = sorted(set().union(*listed))
            while len(found) < top and seen < min(len(ids), _LOOKED_AT):
                for row in pool.map(self._readable_row, ids[seen : seen + min(top - len(found), AT_ONCE)]):
                    seen += 1
                    found += [row] if is_asked_for(row) else []
        following = _continuation_token({"PartitionKey": _OWNED, "RowKey": ids[seen - 1]}) if seen < len(ids) else None
        return Page(tuple(found), following)

    def _readable_row(self, registration_id: str) -> Registration | None:
        try:
            return self.get(registration_id)
        except UnreadableRow:
            logger.error("registration %s: its row cannot be read, and is passed over", registration_id)  # noqa: TRY400 -- it may quote the row
            return None

    def _is_live(self, owner: str, registration_id: str) -> bool | None:
        """Whether it is there and this owner's; None where it has no row. What cannot be read is there."""
        try:
            row = self.get(registration_id)
        except UnreadableRow:
            return True
        return row if row is None else row.request.owner == owner and row.status is not Status.DELETED

    def put_owned(self, owner: str, registration_id: str) -> None:
        """As the port says."""
        self._owners.put(owner, registration_id)

    def take_place(self, owner: str, registration_id: str, quota: Quota, now: datetime) -> Exceeded | None:
        """As the port says."""
        return self._owners.take_place(owner, registration_id, quota, now)

    def exceeds(self, owner: str, quota: Quota, now: datetime) -> Exceeded | None:
        """As the port says."""
        return self._owners.exceeds(owner, quota, now)

    def put_due(self, entry: DueEntry) -> None:
        """As the port says."""
        self._on(
            self._due,
            lambda table: table.upsert_entity({**due_key(entry), "schema": SCHEMA_VERSION}, mode=UpdateMode.MERGE),
        )

    def remove_due(self, entry: DueEntry) -> None:
        """As the port says."""
        key = due_key(entry)
        try:
            self._on(self._due, lambda table: table.delete_entity(key["PartitionKey"], key["RowKey"]))
        except ResourceNotFoundError:
            return

    def due(self, until: datetime, most: int) -> list[DueEntry]:
        """As the port says: a range of keys, so that the cost grows with what is due and not with what exists."""

        def read(table: TableClient) -> list[DueEntry]:
            pages = table.query_entities(
                "PartitionKey eq 'due' and RowKey lt @until",
                parameters={"until": time_key(until) + "`"},  # the character after "_", which ends a time
                select=["RowKey"],
                results_per_page=min(most, 1000),
            )
            return list(islice(_readable("due entry", due_entry, pages), most))

        return self._on(self._due, read)

    def claim(self, name: str, registration_id: str, *, instead_of: str | None = None) -> str:
        """As the port says."""
        return self._names.claim(name, registration_id, instead_of)

    def holder(self, name: str) -> str | None:
        """As the port says."""
        return self._names.holder(name)

    def put_hold(self, name: str, registration_id: str, hold: Hold) -> None:
        """As the port says."""
        self._names.put_hold(name, registration_id, hold)

    def hold(self, name: str) -> Hold | None:
        """As the port says."""
        return self._names.hold(name)

    def put_client(self, client: ClientOf) -> ClientOf:
        """As the port says."""
        return self._clients.put(client)

    def list_client(self, resource_id: str, registration_id: str, row_follows: datetime | None = None) -> bool:
        """As the port says."""
        return self._clients.add(resource_id, registration_id, row_follows)

    def lists_all_clients(self) -> bool:
        """As the port says."""
        return self._clients.lists_all()

    def note_listed(self, run: str, *, lacked: bool) -> None:
        """As the port says."""
        self._clients.note_listed(run, lacked=lacked)

    def clients(self, resource_id: str, *, top: int, continuation_token: str | None = None) -> ClientPage:
        """As the port says: a range of keys of one partition."""
        position = _position(continuation_token)
        if position is not None and position["PartitionKey"] != resource_id:
            raise _invalid_token()
        after = position["RowKey"] or "" if position is not None else ""
        found = self._clients.listed(resource_id, after, top + 1)
        last = {"PartitionKey": resource_id, "RowKey": found[top - 1].registration_id} if len(found) > top else None
        return ClientPage(tuple(found[:top]), _continuation_token(last) if last else None)

    def put_notice(self, notice: Notice, due_at: datetime) -> None:
        """As the port says."""
        entity = notice_entity(notice, due_at)
        self._on(self._notices, lambda table: table.upsert_entity(entity, mode=UpdateMode.MERGE))

    def remove_notice(self, notice: Notice) -> None:
        """As the port says."""
        key = notice_key(notice)
        try:
            self._on(self._notices, lambda table: table.delete_entity(key["PartitionKey"], key["RowKey"]))
        except ResourceNotFoundError:
            return

    def notices(self, mailbox: str | None = None, most: int = 1000) -> list[Notice]:
        """As the port says. Sorted here, where few rows are, so that the key can be the id alone."""

        def read(table: TableClient) -> list[Any]:
            if mailbox is None:
                return list(table.list_entities())
            return list(table.query_entities("PartitionKey eq @mailbox", parameters={"mailbox": mailbox}))

        found = _readable("notice", notice_of, self._on(self._notices, read))
        return sorted(found, key=lambda each: (each.time, each.id))[:most]

    def mailboxes(self, until: datetime) -> list[str]:
        """As the port says: one pass over the table, which holds only what waits."""
        columns = ["PartitionKey", "RowKey", "time", "dueAt"]
        rows = self._on(self._notices, lambda table: list(table.list_entities(select=columns)))
        newest_first = sorted(_readable("notice", waiting_of, rows), reverse=True)
        oldest = {mailbox: due_at for _, _, mailbox, due_at in newest_first}
        return [mailbox for mailbox, due_at in oldest.items() if due_at <= until]

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
            if isinstance(error, TableTransactionError) and (kind := _OF_A_TRANSACTION.get(_code_of(error))):
                raise kind from None
            response: Any = error.response if isinstance(error, HttpResponseError) else None
            raise TryAgain(
                "storage-unavailable",
                "Table storage could not answer."
                if response is None
                else f"Table storage answered {response.status_code}.",
                remedy="If it lasts, check AzureWebJobsStorage and the role Storage Table Data Contributor.",
                retry_after=retry_after(response.headers, self._clock.now()) if response is not None else None,
            ) from None


def _readable(what: str, read: Callable[[Any], T], entities: Iterable[Any]) -> Iterator[T]:
    """Yield what can be read; what cannot is logged, by its key where that can be nothing but a name of ours."""
    for entity in entities:
        try:
            yield read(entity)
        except UNREADABLE:
            key = str(entity.get("RowKey"))
            name = key if _NAME.fullmatch(key) else "?"
            logger.error("%s %s: its row cannot be read, and is passed over", what, name)  # noqa: TRY400 -- it may quote the row


def _code_of(error: TableTransactionError) -> str:
    return str(getattr(error, "error_code", ""))  # which the library sets and does not declare


def _continuation_token(position: Mapping[str, str | None]) -> str:
    keys = [position["PartitionKey"], position["RowKey"]]
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def _position(continuation_token: str | None) -> dict[str, str | None] | None:
    """Return where a page begins; what the service does not give as such a place is no token of ours."""
    if continuation_token is None:
        return None
    try:
        padded = continuation_token + "=" * (-len(continuation_token) % 4)
        keys = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        keys = None
    match keys:
        case [str(partition), (str() | None) as row] if all(_PLACE.fullmatch(key) for key in keys if key is not None):
            return {"PartitionKey": partition, "RowKey": row}
    raise _invalid_token()


def _owned_after(continuation_token: str | None) -> str:
    """Return the id after which a page of an owner's list begins."""
    match _position(continuation_token):
        case None:
            return ""
        case {"PartitionKey": "owned", "RowKey": str(registration_id)} if REGISTRATION_ID.fullmatch(registration_id):
            return registration_id
    raise _invalid_token()


def _invalid_token() -> RequestRejected:
    return RequestRejected(
        400, "invalid-continuation-token", "Send the continuationToken of the page before, unchanged."
    )
