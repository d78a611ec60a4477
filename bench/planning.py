"""The planner: what its due entries cost among 1,000 and among 100,000, beside a bare query of the same table."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from azure.data.tables import TableServiceClient

from bench.figures import Options, Row, Sample, compared
from bench.stage import KEPT, a_service_client, say
from dev.storage import Azurite
from provisioning.adapters.rows import due_key, registration_entity, time_key
from provisioning.adapters.tables import DUE, REGISTRATIONS
from provisioning.domain.intake import fingerprint, parse
from provisioning.domain.operation import DueEntry, Operation, OperationStatus, OperationType, new_id
from provisioning.domain.registration import Registration, Status, registration_id
from provisioning.flow.plan import due_messages
from provisioning.settings import Settings
from provisioning.wiring import AzureServices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DUE_NOW = 300
_LONG_AGO, _MUCH_LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_PER_OWNER = 1000
_BATCH = 100
_ROUNDS = 15


def planner(options: Options) -> list[Row]:
    """Measure it on a large table and on a small one."""
    with _table(1000) as small:
        few, _ = _requests(small)
    size = options.size(100_000, 10_000)
    with _table(size) as large:
        many, found = _requests(large)
        ours, bare = _times(large, found)
    found_note = f"{found} due of {size:,}; {many.total()} table requests"
    return [
        compared("planner-requests", Sample([many.total()], "requests"), Sample([few.total()], "requests"), found_note),
        compared("planner-time", Sample(ours, "ms"), Sample(bare, "ms")),
    ]


@contextmanager
def table_requests() -> Iterator[Counter[str]]:
    """Count the requests to Table storage of this process by method, from what Azure's library logs of each."""
    seen = Counter[str]()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if str(record.msg).startswith("Request URL"):
                seen.update(line.split("'")[1] for line in record.getMessage().splitlines() if "method" in line)

    logger, handler = logging.getLogger("azure.core.pipeline.policies.http_logging_policy"), Handler()
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.WARNING)


def _requests(services: AzureServices) -> tuple[Counter[str], int]:
    with table_requests() as seen:
        return seen, len(list(due_messages(services)))


def _times(services: AzureServices, found: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of the planner and of a bare query, in turn."""
    settings: Any = services._settings.storage.connection_string  # noqa: SLF001 -- the same table
    bare = TableServiceClient.from_connection_string(settings).get_table_client(DUE)
    query = f"PartitionKey eq 'due' and RowKey lt '{time_key(datetime.now(UTC))}'"

    def timed(read: Any) -> float:  # noqa: ANN401 -- both return rows that nobody looks at
        begun = time.perf_counter()
        if len(list(read())) != found:
            raise AssertionError("the planner and the bare query differ")
        return 1000 * (time.perf_counter() - begun)

    pairs = []
    for number in range(_ROUNDS):
        say(f"planner: {number + 1} of {_ROUNDS}")
        pairs.append(
            (timed(lambda: due_messages(services)), timed(lambda: bare.query_entities(query, select=["RowKey"])))
        )
    return [ours for ours, _ in pairs], [reference for _, reference in pairs]


@contextmanager
def _table(size: int) -> Iterator[AzureServices]:
    """Serve a table of so many registrations with due entries; it is made once and kept."""
    folder = KEPT / f"table-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    with Azurite(location=folder) as storage:
        made = folder / "made"
        if not made.exists():
            _fill(TableServiceClient.from_connection_string(storage.connection_string), size)
            made.touch()
        yield AzureServices(Settings.from_env(_settings(storage)))


def _settings(storage: Azurite) -> dict[str, str]:
    return {
        "AzureWebJobsStorage": storage.connection_string,
        "AZURE_TENANT_ID": str(uuid.UUID(int=0)),
        "KEY_VAULT_URL": "https://vault.example",
    }


def _fill(service: TableServiceClient, size: int) -> None:
    due, registrations = (service.create_table_if_not_exists(name) for name in (DUE, REGISTRATIONS))
    made = 0
    for owner in range(-(-size // _PER_OWNER)):
        rows = [_registration(owner, owner * _PER_OWNER + nth) for nth in range(min(_PER_OWNER, size - made))]
        _insert(due, (due_key(DueEntry(row.id, row.due_at or _LONG_AGO)) | {"schema": 1} for row in rows))
        _insert(registrations, map(registration_entity, rows))
        made += len(rows)
        say(f"planner: making a table of {size:,} that is kept: {made:,}")


def _insert(table: Any, entities: Iterable[dict[str, Any]]) -> None:  # noqa: ANN401 -- a table client
    left = iter(entities)
    while batch := [("create", entity) for entity in islice(left, _BATCH)]:
        table.submit_transaction(batch)


def _registration(owner: int, number: int) -> Registration:
    """Return an active registration whose due time has come for the first ones, and for the others has not."""
    request = parse(a_service_client(owner=str(uuid.UUID(int=owner))))
    at = _LONG_AGO if number < DUE_NOW else _MUCH_LATER
    row = Registration(
        id=registration_id(request.owner, "", None),
        caller="",
        request=request,
        request_hash=fingerprint(request),
        status=Status.ACTIVE,
        operation=Operation(new_id(), OperationType.PROVISION, OperationStatus.SUCCEEDED, _LONG_AGO),
        created_at=_LONG_AGO,
        updated_at=_LONG_AGO,
    )
    return replace(row, due_at=at + timedelta(seconds=number))
