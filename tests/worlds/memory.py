"""A Registry in memory, with ETags; the contract suite holds it to the same promises as Table storage."""

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from provisioning.adapters.copies import TABLES
from provisioning.domain.client_types import ClientType
from provisioning.domain.copies import StoredRow
from provisioning.domain.errors import RequestRejected, StaleRegistration, UnreadableRow
from provisioning.domain.events import Event, EventPage, numbered
from provisioning.domain.grants import LISTED, ClientOf, ClientPage
from provisioning.domain.names import Hold
from provisioning.domain.notices import Notice
from provisioning.domain.operation import DueEntry
from provisioning.domain.quota import Count, Exceeded, Quota, hour_of
from provisioning.domain.registration import Page, Registration, Status


class MemoryRegistry:
    """What is remembered, in dictionaries behind one lock."""

    def __init__(self) -> None:
        self.rows: dict[str, Registration] = {}
        self.entries: set[DueEntry] = set()
        self.names: dict[str, str] = {}
        self.holds: dict[str, Hold] = {}
        self.owned: dict[tuple[str, str], datetime | None] = {}
        self.hours: Counter[tuple[str, str]] = Counter()
        self.waiting: dict[tuple[str, str], tuple[Notice, datetime]] = {}
        self.told: dict[str, list[Event]] = {}
        self.clients_of: dict[tuple[str, str], ClientOf] = {}
        # The ids of registrations whose rows a newer version wrote, so that this one cannot read them.
        self.unreadable: set[str] = set()
        self.listed: tuple[str | None, str | None] = (None, None)
        self._writes = 0
        self._lock = threading.Lock()

    def copy(self) -> "MemoryRegistry":
        """Return one of its own that remembers the same."""
        copied = MemoryRegistry()
        copied.rows, copied.entries, copied.names = self.rows.copy(), self.entries.copy(), self.names.copy()
        copied.owned, copied.holds, copied.hours = self.owned.copy(), self.holds.copy(), self.hours.copy()
        copied.clients_of, copied.unreadable = self.clients_of.copy(), self.unreadable.copy()
        copied.listed = self.listed
        copied.told = {each: events.copy() for each, events in self.told.items()}
        copied.waiting, copied._writes = self.waiting.copy(), self._writes
        return copied

    def _stored(self, registration: Registration, events: tuple[Event, ...]) -> Registration:
        self._writes += 1
        row, told = numbered(registration, events)
        stored = replace(row, etag=f'W/"{self._writes}"')
        self.rows[registration.id] = stored
        self._tell(registration.id, *told)
        return stored

    def _tell(self, registration_id: str, *events: Event) -> None:
        told = self.told.setdefault(registration_id, [])
        told.extend(events)
        told.sort(key=lambda event: (event.time, event.n))

    def insert(self, registration: Registration, *events: Event) -> Registration | None:
        with self._lock:
            return None if registration.id in self.rows else self._stored(registration, events)

    def get(self, registration_id: str) -> Registration | None:
        if registration_id in self.unreadable:
            raise UnreadableRow
        return self.rows.get(registration_id)

    def replace(self, registration: Registration, *events: Event) -> Registration:
        with self._lock:
            known = self.rows.get(registration.id)
            if known is None or known.etag != registration.etag:
                raise StaleRegistration
            return self._stored(registration, events)

    def put_event(self, event: Event) -> None:
        with self._lock:
            self._tell(event.registration_id, event)

    def events(self, registration_id: str, *, top: int, continuation_token: str | None = None) -> EventPage:
        if continuation_token is not None and not continuation_token.startswith(f"{registration_id}:"):
            raise RequestRejected(400, "invalid-continuation-token", "Send the token of the page before.")
        after = (continuation_token or "").removeprefix(f"{registration_id}:")
        found = [each for each in self.told.get(registration_id, []) if _place(each) > after]
        following = f"{registration_id}:{_place(found[top - 1])}" if len(found) > top else None
        return EventPage(tuple(found[:top]), following)

    def find(
        self,
        *,
        owners: Collection[str] | None = None,
        client_type: ClientType | None = None,
        status: Status | None = None,
        top: int,
        continuation_token: str | None = None,
    ) -> Page:
        if continuation_token is not None and not continuation_token.startswith("after:"):
            raise RequestRejected(400, "invalid-continuation-token", "Send the token of the page before.")
        after = (continuation_token or "after:").removeprefix("after:")
        found = [
            row
            for _, row in sorted(self.rows.items())
            if row.id > after
            and (owners is None or (row.request.owner in owners and (row.request.owner, row.id) in self.owned))
            and client_type in (None, row.client_type)
            and (row.status is not Status.DELETED if status is None else row.status is status)
        ]
        following = f"after:{found[top - 1].id}" if len(found) > top else None
        read = tuple(row for row in found[:top] if row.id not in self.unreadable)
        return Page(read, following, unreadable=len(found[:top]) - len(read))

    def put_owned(self, owner: str, registration_id: str) -> None:
        with self._lock:
            self.owned.setdefault((owner, registration_id), None)

    def take_place(self, owner: str, registration_id: str, quota: Quota, now: datetime) -> Exceeded | None:
        with self._lock:
            if (owner, registration_id) not in self.owned:
                exceeded = self.exceeds(owner, quota, now)
                if exceeded is not None:
                    return exceeded
                self.hours[owner, hour_of(now)] += quota.limits
            self.owned[owner, registration_id] = now
            return None

    def exceeds(self, owner: str, quota: Quota, now: datetime) -> Exceeded | None:
        number = sum(self._counts(*each, since, now) for each, since in self.owned.items() if each[0] == owner)
        return Count(hour_of(now), self.hours[owner, hour_of(now)], number).exceeds(quota, now)

    def _counts(self, owner: str, registration_id: str, since: datetime | None, now: datetime) -> bool:
        row = self.rows.get(registration_id)
        if row is None:  # it may be on its way
            return since is not None and now - since <= timedelta(minutes=10)
        return row.request.owner == owner and row.status is not Status.DELETED

    def put_due(self, entry: DueEntry) -> None:
        with self._lock:
            self.entries.add(entry)

    def remove_due(self, entry: DueEntry) -> None:
        with self._lock:
            self.entries.discard(entry)

    def due(self, until: datetime, most: int) -> list[DueEntry]:
        ordered = sorted(self.entries, key=lambda entry: (entry.due_at, entry.registration_id))
        return [entry for entry in ordered if entry.due_at <= until][:most]

    def claim(self, name: str, registration_id: str, *, instead_of: str | None = None) -> str:
        with self._lock:
            holder = self.names.setdefault(name, registration_id)
            if instead_of is not None and holder == instead_of:
                holder = self.names[name] = registration_id
            return holder

    def holder(self, name: str) -> str | None:
        return self.names.get(name)

    def put_hold(self, name: str, registration_id: str, hold: Hold) -> None:
        with self._lock:
            if self.names.get(name) == registration_id:
                self.holds[name] = hold

    def hold(self, name: str) -> Hold | None:
        return self.holds.get(name)

    def put_client(self, client: ClientOf) -> ClientOf:
        with self._lock:
            there = self.clients_of.get((client.resource_id, client.registration_id))
            if there is not None and there.number >= client.number:
                return there
            before = there or client
            kept = replace(client, listed_at=client.listed_at or before.listed_at, ended=client.ended or before.ended)
            self.clients_of[client.resource_id, client.registration_id] = kept
            return client

    def list_client(self, resource_id: str, registration_id: str, row_follows: datetime | None = None) -> bool:
        with self._lock:
            key = resource_id, registration_id
            there = self.clients_of.get(key)
            listed_at = row_follows or (there.listed_at if there is not None else None)
            client = there or ClientOf(resource_id, registration_id, "", (), LISTED)
            self.clients_of[key] = replace(client, listed_at=listed_at)
            return there is None

    def lists_all_clients(self) -> bool:
        return self.listed[1] is not None

    def note_listed(self, run: str, *, lacked: bool) -> None:
        if lacked:
            self.listed = (run, None)
        elif self.listed[0] != run:
            self.listed = (self.listed[0], run)

    def clients(self, resource_id: str, *, top: int, continuation_token: str | None = None) -> ClientPage:
        if continuation_token is not None and not continuation_token.startswith(f"{resource_id}:"):
            raise RequestRejected(400, "invalid-continuation-token", "Send the token of the page before.")
        after = (continuation_token or "").removeprefix(f"{resource_id}:")
        found = [each for (of, name), each in sorted(self.clients_of.items()) if of == resource_id and name > after]
        following = f"{resource_id}:{found[top - 1].registration_id}" if len(found) > top else None
        return ClientPage(tuple(found[:top]), following)

    def put_notice(self, notice: Notice, due_at: datetime) -> None:
        with self._lock:
            self.waiting[notice.mailbox, notice.id] = (notice, due_at)

    def remove_notice(self, notice: Notice) -> None:
        with self._lock:
            self.waiting.pop((notice.mailbox, notice.id), None)

    def notices(self, mailbox: str | None = None, most: int = 1000) -> list[Notice]:
        with self._lock:
            found = [notice for notice, _ in self.waiting.values() if mailbox in (None, notice.mailbox)]
        return sorted(found, key=lambda notice: (notice.time, notice.id))[:most]

    def mailboxes(self, until: datetime) -> list[str]:
        oldest = {notice.mailbox: notice.id for notice in reversed(self.notices(most=len(self.waiting)))}
        return [mailbox for mailbox, notice_id in oldest.items() if self.waiting[mailbox, notice_id][1] <= until]


def _place(event: Event) -> str:
    return f"{event.time.isoformat(timespec='microseconds')}_{event.n}"


class MemoryCopies:
    """Rows in a dictionary, as they are stored; the contract suite holds it to the same promises as Table storage."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, str], StoredRow] = {}

    def rows(self) -> Iterator[StoredRow]:
        yield from list(self.stored.values())

    def put(self, row: StoredRow) -> bool:
        if row.table not in TABLES:
            raise ValueError("no table of this service")
        key = row.table, str(row.content["PartitionKey"]), row.key
        return self.stored.setdefault(key, row) is row
