"""What costs as much with many registrations as with few, counted in requests to real storage.

The planner's cost grows with what is due, and that of an owner's list with what is on it.
"""

import json
import os
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableServiceClient

from provisioning.adapters.rows import SCHEMA_VERSION, due_key, registration_entity
from provisioning.adapters.tables import DUE, OWNERS, REGISTRATIONS, TableRegistry
from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.callers import Role
from provisioning.domain.operation import DueEntry, Failure
from tests.worlds.clock import VirtualClock
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import MANAGED, OTHER_OWNER, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA, TEAM, headers_of
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


def test_an_owner_of_three_lists_them_with_as_many_requests_among_thousands_as_among_a_thousand(azurite: str) -> None:
    clock, transport = VirtualClock(), CountingTransport()
    with TableServiceClient.from_connection_string(azurite, retry_total=0, transport=transport) as service:
        world = World(registry=TableRegistry(service, clock), settings=ENTRA)
        everyone = headers_of(replace(ALICE, roles=frozenset({Role.READ_ALL})))
        queries = ("", "mine=true", "hasFindings=false", "mine=true&hasFindings=false&clientType=service")
        own = {_registered(world, TEAM if number else ALICE.object_id, str(number)) for number in range(3)}
        model = world.row(_registered(world, TEAM, "model"))
        given = model.request.model_copy(update={"owner": OTHER_OWNER})  # on the team's list, and not the team's
        world.registry.replace(replace(model, request=given))
        rows, owned = service.get_table_client(REGISTRATIONS), service.get_table_client(OWNERS)

        def exist(first: int, end: int) -> None:
            """Have so many registrations of another owner exist: in one partition, to be put there by the hundred."""
            for _ in range(first, end, AT_ONCE):
                others = [replace(model, id=f"0badc0de-{uuid4()}", request=given) for _ in range(AT_ONCE)]
                rows.submit_transaction([("create", registration_entity(each)) for each in others])
                listed = [{"PartitionKey": OTHER_OWNER, "RowKey": each.id} for each in others]
                owned.submit_transaction([("create", each) for each in listed])

        def asked(query: str) -> Counter[str]:
            """List what is Alice's, her own and her group's; return which requests it takes."""
            transport.requests.clear()
            answer = world.call(web.list_registrations, Call("/api/registrations", headers_of(ALICE), query))
            assert {each["registrationId"] for each in json.loads(answer.body)["value"]} == own
            return Counter(transport.requests)

        def found() -> tuple[set[str], int]:
            """Look among all for what has findings, one on a page; return the ids, and how many calls it takes."""
            ids, calls, token = set[str](), 0, ""
            while True:
                query = f"hasFindings=true&top=1{token}"
                answer = json.loads(
                    world.call(web.list_registrations, Call("/api/registrations", everyone, query)).body
                )
                assert not ids & {each["registrationId"] for each in answer["value"]}
                ids |= {each["registrationId"] for each in answer["value"]}
                calls += 1
                if answer["continuationToken"] is None:
                    return ids, calls
                token = f"&continuationToken={answer['continuationToken']}"

        try:
            exist(0, FEW)
            for_few = [asked(query) for query in queries]
            exist(FEW, MANY)
            for_many = [asked(query) for query in queries]
            for name in own:
                world.registry.replace(replace(world.row(name), findings=(Failure("code", "Message.", "Remedy."),)))
            with_findings, calls = found()
        finally:
            for each in service.list_tables():
                service.delete_table(each.name)
    print(f"requests of a list of 3 of {FEW}: {for_few[0].total()}; of {MANY}: {for_many[0].total()}")  # noqa: T201
    assert for_few == [{"GET owners": 2, "GET registrations": 4}] * len(queries)
    assert for_many == for_few
    assert with_findings == own
    assert calls <= len(own) + MANY // 1_000 + 1


def _registered(world: World, owner: str, key: str) -> str:
    """Have it accepted, and return its id."""
    body = json.dumps(a_service_client(owner=owner, resource=MANAGED, appRoles=[])).encode()
    headers = {"content-type": "application/json", "idempotency-key": key, **headers_of(ALICE, world.emulator)}
    answer = world.call(web.submit_registration, Call("/api/registrations", headers, body=body, method="POST"))
    return str(json.loads(answer.body)["registrationId"])
