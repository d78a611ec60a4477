"""Which clients a resource has: the table `clients`, a row for each client in the partition of its resource.

    PartitionKey: the resource's registration id     RowKey: the client's registration id     clientId, scopes, number
    -                                                -                                        listedAt, ended
    PartitionKey: "!listed"                          RowKey: the same                         lackedIn, passedIn

A client is listed before its row is. A row is written under its ETag, and never by an older number than it has. It is
never removed: of a client that has ended it says that it has no scopes. The one of `!listed` says which reconciliation
was the last to find a client in no list, and which one has found none since.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from provisioning.adapters.on import On, changed
from provisioning.adapters.rows import SCHEMA_VERSION, time_key
from provisioning.domain.grants import LISTED, ClientOf

_LISTED: Final = "!listed"


class ClientsTable:
    """The clients of each resource, by their ids."""

    def __init__(self, table: TableClient, on: On) -> None:
        self._table = table
        self._on = on

    def put(self, client: ClientOf) -> ClientOf:
        """As the port says. One request for a new one; two, or more where others write, for one that is there."""
        entity = _entity(client)
        try:
            self._on(self._table, lambda table: table.create_entity(entity))
        except ResourceExistsError:
            pass
        else:
            return client
        while True:
            read = self._on(self._table, lambda table: table.get_entity(entity["PartitionKey"], entity["RowKey"]))
            there = client_of(read)
            if there.number >= client.number:
                return there
            if changed(self._on, self._table, read, entity):
                return client

    def add(self, resource_id: str, registration_id: str, row_follows: datetime | None) -> bool:
        """As the port says. One request; two for one that is listed already and whose row follows."""
        entity = _entity(ClientOf(resource_id, registration_id, "", (), LISTED, row_follows))
        try:
            self._on(self._table, lambda table: table.create_entity(entity))
        except ResourceExistsError:
            if row_follows is not None:
                again = {name: entity[name] for name in ("PartitionKey", "RowKey", "listedAt")}
                self._on(self._table, lambda table: table.update_entity(again, mode=UpdateMode.MERGE))
            return False
        return True

    def lists_all(self) -> bool:
        """As the port says: a point read."""
        return bool(self._noted().get("passedIn"))

    def note_listed(self, run: str, *, lacked: bool) -> None:
        """As the port says. One request, and another one to read first where none was lacking."""
        if not lacked and self._noted().get("lackedIn") == run:
            return
        noted = {"lackedIn": run, "passedIn": ""} if lacked else {"passedIn": run}
        entity = {"PartitionKey": _LISTED, "RowKey": _LISTED, "schema": SCHEMA_VERSION, **noted}
        self._on(self._table, lambda table: table.upsert_entity(entity, mode=UpdateMode.MERGE))

    def _noted(self) -> Mapping[str, Any]:
        try:
            return self._on(self._table, lambda table: table.get_entity(_LISTED, _LISTED))
        except ResourceNotFoundError:
            return {}

    def listed(self, resource_id: str, after: str, most: int) -> list[ClientOf]:
        """Return at most so many clients of the resource whose ids come after that one."""

        def read(table: TableClient) -> list[Any]:
            found = table.query_entities(
                "PartitionKey eq @resource and RowKey gt @after",
                parameters={"resource": resource_id, "after": after},
                results_per_page=min(most, 1000),
            )
            return list(islice(found, most))

        return [client_of(each) for each in self._on(self._table, read)]


def _entity(client: ClientOf) -> dict[str, Any]:
    """Return the row; what it says beyond is merged into it, and stays."""
    return {
        "PartitionKey": client.resource_id,
        "RowKey": client.registration_id,
        "clientId": client.client_id,
        "scopes": json.dumps(client.scopes),
        "number": client.number,
        "schema": SCHEMA_VERSION,
        **({"listedAt": time_key(client.listed_at)} if client.listed_at is not None else {}),
        **({"ended": True} if client.ended else {}),
    }


def client_of(entity: Mapping[str, Any]) -> ClientOf:
    """Return the client of a row."""
    return ClientOf(
        entity["PartitionKey"],
        entity["RowKey"],
        entity["clientId"],
        tuple(json.loads(entity["scopes"])),
        int(entity["number"]),
        datetime.fromisoformat(entity["listedAt"]) if "listedAt" in entity else None,
        bool(entity.get("ended", False)),
    )
