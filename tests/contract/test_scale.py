"""What the planner costs grows with what is due and not with what exists, counted in requests to real storage."""

import os
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableServiceClient

from provisioning.adapters.rows import SCHEMA_VERSION, due_key
from provisioning.adapters.tables import DUE, TableRegistry
from provisioning.domain.operation import DueEntry
from tests.worlds.clock import VirtualClock
from tests.worlds.receiver import Receiver
from tests.worlds.world import World

DUE_NOW = 300
FEW = 1000
# Azurite takes a second for each thousand; `SCALE=10000 make test` has it do with more.
MANY = int(os.environ.get("SCALE", "3000"))
AT_ONCE = 100  # what Table storage takes in one transaction


class CountingTransport(RequestsTransport):  # type: ignore[misc] # untyped, in this library
    """Notes each request that really goes out, by method and table."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    def send(self, request: HttpRequest, **options: Any) -> Any:
        table = urlsplit(request.url).path.rpartition("/")[2].partition("(")[0]
        self.requests.append(f"{request.method} {table}")
        return super().send(request, **options)


def test_the_planner_sends_as_many_requests_for_thousands_of_registrations_as_for_a_thousand(azurite: str) -> None:
    clock, transport = VirtualClock(), CountingTransport()
    with TableServiceClient.from_connection_string(azurite, retry_total=0, transport=transport) as service:
        table = service.create_table(DUE)
        world = World(registry=TableRegistry(service, clock), receiver=Receiver())

        def exist(first: int, end: int) -> None:
            """Have so many registrations exist, each with its due entry; the first 300 are due, the rest tomorrow."""
            for start in range(first, end, AT_ONCE):
                due_at = clock.now() + timedelta(days=-1 if start < DUE_NOW else 1, microseconds=start)
                entries = [DueEntry(f"0badc0de-{uuid4()}", due_at) for _ in range(AT_ONCE)]
                table.submit_transaction(
                    [("create", {**due_key(entry), "schema": SCHEMA_VERSION}) for entry in entries]
                )

        def planned() -> list[str]:
            transport.requests.clear()
            assert world.plan() == DUE_NOW, world.errors
            return list(transport.requests)

        try:
            exist(0, FEW)
            world.plan()  # makes the table of notices
            for_few = planned()
            exist(FEW, MANY)
            for_many = planned()
        finally:
            for each in service.list_tables():
                service.delete_table(each.name)
    print(f"requests of a planner with {DUE_NOW} due of {FEW}: {len(for_few)}; of {MANY}: {len(for_many)}")  # noqa: T201
    assert for_few == ["GET due", "GET notices"]
    assert for_many == for_few
