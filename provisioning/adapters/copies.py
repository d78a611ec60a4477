"""What is stored, row by row, whatever it means: to keep a copy of it, and to put back what is gone.

A value of a type that JSON has not is told as its type and its text, so that a row comes back as it was, and one of
another version of this service too. Source of the types: "Understanding the Table service data model".
"""

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, TableServiceClient

from provisioning.adapters.chats import CHATS
from provisioning.adapters.tables import CLIENTS, DUE, NAMES, NOTICES, OWNERS, REGISTRATIONS
from provisioning.domain.copies import Json, StoredRow
from provisioning.domain.errors import TryAgain

TABLES: Final = (REGISTRATIONS, DUE, NAMES, OWNERS, NOTICES, CLIENTS, CHATS)
_TYPED: Final = "type"
_TEXT: Final = "value"


class TableCopies:
    """The rows of the tables, as they are stored."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service

    def rows(self) -> Iterator[StoredRow]:
        """As the port says: a thousand rows with each request. A table that is not there has none."""
        for table in TABLES:
            try:
                for entity in self._service.get_table_client(table).list_entities(results_per_page=1000):
                    yield StoredRow(table, {name: _told(value) for name, value in entity.items()})
            except ResourceNotFoundError:
                continue
            except AzureError as error:
                raise _unavailable(error) from None

    def put(self, row: StoredRow) -> bool:
        """As the port says: one request, and two more where the table is not there."""
        if row.table not in TABLES:
            raise ValueError("no table of this service")
        entity = {name: _value(told) for name, told in row.content.items()}
        table = self._service.get_table_client(row.table)
        try:
            try:
                table.create_entity(entity)
            except ResourceNotFoundError:
                self._service.create_table_if_not_exists(row.table)
                table.create_entity(entity)
        except ResourceExistsError:
            return False
        except AzureError as error:
            raise _unavailable(error) from None
        return True


def _told(value: object) -> Json:
    """Return a value as JSON has it: strings, booleans and whole numbers of 32 bits as they are."""
    match value:
        case str() | bool() | int():
            return value
        case float():
            return _typed(EdmType.DOUBLE, repr(value))
        case bytes():
            return _typed(EdmType.BINARY, base64.b64encode(value).decode())
        case UUID():
            return _typed(EdmType.GUID, str(value))
        case datetime():
            return _typed(EdmType.DATETIME, value.isoformat())
        case (number, EdmType.INT64):
            return _typed(EdmType.INT64, str(number))
    raise ValueError(f"a value of a type that no table has: {type(value).__name__}")


def _typed(edm: EdmType, text: str) -> Json:
    return {_TYPED: edm.value, _TEXT: text}


def _value(told: Json) -> Any:  # noqa: ANN401 -- whatever a table holds
    """Return what `_told` was told; raise ValueError for anything else."""
    if isinstance(told, str | bool | int):
        return told
    if not isinstance(told, Mapping) or told.keys() != {_TYPED, _TEXT}:
        raise ValueError(f"no value of a table: {json.dumps(told)[:20]}")
    text = str(told[_TEXT])
    match told[_TYPED]:
        case EdmType.DOUBLE.value:
            return float(text)
        case EdmType.BINARY.value:
            return base64.b64decode(text, validate=True)
        case EdmType.GUID.value:
            return UUID(text)
        case EdmType.DATETIME.value:
            return datetime.fromisoformat(text)
        case EdmType.INT64.value:
            return EntityProperty(int(text), EdmType.INT64)
    raise ValueError("no type of a table")


def _unavailable(error: AzureError) -> TryAgain:
    response = error.response if isinstance(error, HttpResponseError) else None
    told = f"Table storage answered {response.status_code}." if response else "Table storage could not answer."
    remedy = "If it lasts, check AzureWebJobsStorage and the role Storage Table Data Contributor."
    return TryAgain("storage-unavailable", told, remedy=remedy)
