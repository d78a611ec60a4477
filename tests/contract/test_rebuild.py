"""The tables are deleted for real, and every registration is back; `make rebuild` does it with 1,000."""

import os
import time
from collections import Counter
from datetime import timedelta

from azure.data.tables import TableServiceClient

from provisioning.adapters.tables import TableRegistry
from provisioning.domain.registration import Registration
from tests.contract.test_scale import CountingTransport
from tests.worlds.clock import VirtualClock
from tests.worlds.command_line import typed
from tests.worlds.request_bodies import a_policy, a_resource, a_service_client
from tests.worlds.world import World

REGISTRATIONS = int(os.environ.get("REBUILD", "6"))


def rows_of(world: World) -> dict[str, Registration]:
    found: dict[str, Registration] = {}
    token = None
    while True:
        page = world.registry.find(top=1000, continuation_token=token)
        found |= {row.id: row for row in page.registrations}
        token = page.continuation_token
        if token is None:
            return found


def test_deleted_tables_are_rebuilt_and_rotation_goes_on(azurite: str) -> None:
    clock, transport = VirtualClock(), CountingTransport()
    with TableServiceClient.from_connection_string(azurite, retry_total=0, transport=transport) as service:
        world = World(registry=TableRegistry(service, clock))
        world.policy = a_policy()
        try:
            world.registered(a_resource())
            for number in range(REGISTRATIONS - 1):
                world.registered(a_service_client(displayName=f"Service {number}"))
            before = rows_of(world)
            for table in list(service.list_tables()):
                service.delete_table(table.name)
            transport.requests.clear()
            called, began = len(world.emulator.calls), time.monotonic()
            ran = typed(world, "rebuild", "--apply", "--json")
            took = time.monotonic() - began
            calls = Counter(call.operation for call in world.emulator.calls[called:])
            stored = len(transport.requests)
            assert (ran.code, ran.json["counts"]) == (0, {"restored": REGISTRATIONS})
            after = rows_of(world)
            assert after.keys() == before.keys()
            for identity, row in before.items():
                found = after[identity]
                assert (found.request, found.request_hash, found.secret, found.client_id) == (
                    row.request,
                    row.request_hash,
                    row.secret,
                    row.client_id,
                )
            print(  # noqa: T201
                f"{REGISTRATIONS} registrations rebuilt in {took:.1f} s: {stored} requests to the tables, "
                f"{sum(calls.values())} to Graph and the vault {dict(calls)}"
            )
            if REGISTRATIONS <= 100:  # to rotate a thousand takes long, and shows no more
                world.clock.time += timedelta(days=170)
                world.settle()
                rotated = rows_of(world)
                changed = [row.id for row in rotated.values() if row.secret != before[row.id].secret]
                assert len(changed) == REGISTRATIONS - 1
        finally:
            for table in list(service.list_tables()):
                service.delete_table(table.name)
