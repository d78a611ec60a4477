"""Which clients a resource has: the table `clients`, a row for each client in the partition of its resource.

    PartitionKey: the resource's registration id     RowKey: the client's registration id     clientId, scopes, number

A row is written under its ETag, and never by an older number than it has. It is never removed: of a client that has
ended it says that it has no scopes.
"""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient

from provisioning.adapters.on import On, changed
from provisioning.adapters.rows import SCHEMA_VERSION
from provisioning.domain.grants import ClientOf


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
    return {
        "PartitionKey": client.resource_id,
        "RowKey": client.registration_id,
        "clientId": client.client_id,
        "scopes": json.dumps(client.scopes),
        "number": client.number,
        "schema": SCHEMA_VERSION,
    }


def client_of(entity: Mapping[str, Any]) -> ClientOf:
    """Return the client of a row."""
    scopes = tuple(json.loads(entity["scopes"]))
    return ClientOf(entity["PartitionKey"], entity["RowKey"], entity["clientId"], scopes, int(entity["number"]))
