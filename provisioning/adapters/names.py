"""Which registration holds a name, and for whom a freed one is held: the table `names`, a row for each name.

    PartitionKey: hash of the name     RowKey: the same     name, registrationId; the hold, of a freed one

A row is made by whoever is first, and never removed. It changes hands under its ETag alone.
"""

from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient

from provisioning.adapters.on import On, changed
from provisioning.adapters.rows import SCHEMA_VERSION, hold_columns, hold_of, name_key
from provisioning.domain.errors import UnreadableRow
from provisioning.domain.names import Hold


class NamesTable:
    """Names, each compared as its key: one holder at a time."""

    def __init__(self, table: TableClient, on: On) -> None:
        self._table = table
        self._on = on

    def claim(self, name: str, registration_id: str, instead_of: str | None) -> str:
        """As the port says. Two requests where the name is taken, three where it changes hands."""
        entity = {**name_key(name), "name": name, "registrationId": registration_id, "schema": SCHEMA_VERSION}
        try:
            self._on(self._table, lambda table: table.create_entity(entity))
        except ResourceExistsError:
            pass
        else:
            return registration_id
        while (holder := _holder(taken := self._read(name))) == instead_of != registration_id:
            if changed(self._on, self._table, taken, entity):
                return registration_id
        return holder

    def holder(self, name: str) -> str | None:
        """As the port says."""
        try:
            return _holder(self._read(name))
        except ResourceNotFoundError:
            return None

    def put_hold(self, name: str, registration_id: str, hold: Hold) -> None:
        """As the port says. Two requests: who holds the name is read, and guards the write."""
        try:
            while _holder(taken := self._read(name)) == registration_id:
                if changed(self._on, self._table, taken, {**name_key(name), **hold_columns(hold)}):
                    return
        except ResourceNotFoundError:
            return

    def hold(self, name: str) -> Hold | None:
        """As the port says."""
        try:
            return hold_of(self._read(name))
        except ResourceNotFoundError:
            return None

    def _read(self, name: str) -> Any:  # noqa: ANN401 -- an entity
        key = name_key(name)
        return self._on(self._table, lambda table: table.get_entity(key["PartitionKey"], key["RowKey"]))


def _holder(entity: Mapping[str, Any]) -> str:
    if "registrationId" not in entity:
        raise UnreadableRow
    return str(entity["registrationId"])
