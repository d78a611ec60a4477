"""How many registrations an owner has: counted alike in Table storage and in memory, whoever else counts meanwhile."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.data.tables import TableServiceClient

from provisioning.adapters.tables import OWNERS, TableRegistry
from provisioning.domain.errors import TryAgain
from provisioning.domain.names import Hold
from provisioning.domain.quota import Exceeded, Quota
from provisioning.domain.registration import Registration, Status, registration_id
from provisioning.ports import Registry
from tests.contract.test_registry import NOW, a_registration
from tests.worlds.clock import VirtualClock
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.servers import WHYS
from tests.worlds.signed_in import ENTRA, MALLORY, OTHER_TEAM
from tests.worlds.steps import code_of, post_as
from tests.worlds.world import World

TWO, ROOMY, NONE = Quota(most=2), Quota(most=1000, most_per_hour=1000), Quota()
LONG_AGO = timedelta(minutes=11)


class CountingTransport(RequestsTransport):  # type: ignore[misc] # untyped, in this library
    """Notes each request that really goes out, by method and what it is about."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    def send(self, request: HttpRequest, **options: Any) -> Any:
        self.requests.append(f"{request.method} {urlsplit(request.url).path.rpartition('/')[2].partition('(')[0]}")
        return super().send(request, **options)


@pytest.fixture
def service(azurite: str) -> Iterator[TableServiceClient]:
    with TableServiceClient.from_connection_string(azurite, retry_total=0) as tables:
        yield tables
        for table in tables.list_tables():
            tables.delete_table(table.name)


@pytest.fixture(params=["memory", "tables"])
def registry(request: pytest.FixtureRequest) -> Registry:
    if request.param == "memory":
        return MemoryRegistry()
    return TableRegistry(request.getfixturevalue("service"), VirtualClock())


def an_owner() -> str:
    return str(uuid4())


def taken(registry: Registry, owner: str, quota: Quota, **changes: Any) -> Registration:
    """Have a registration of the owner be listed, counted and stored."""
    row = replace(a_registration(a_service_client(owner=owner)), **changes)
    assert registry.take_place(owner, row.id, quota, NOW) is None
    stored = registry.insert(row)
    assert stored is not None
    return stored


def an_id(owner: str) -> str:
    return registration_id(owner, "caller", None)


def test_what_took_a_place_is_in_the_owners_list(registry: Registry) -> None:
    owner = an_owner()
    ids = sorted(taken(registry, owner, quota).id for quota in (TWO, TWO, NONE, ROOMY))
    assert [each.id for each in registry.find(owners={owner}, top=9).registrations] == ids


def test_the_number_is_never_passed_and_another_owner_does_not_count(registry: Registry) -> None:
    owner, other = an_owner(), an_owner()
    for _ in range(2):
        assert registry.exceeds(owner, TWO, NOW) is None
        taken(registry, owner, TWO)
    assert registry.exceeds(owner, TWO, NOW) is Exceeded.NUMBER
    assert registry.take_place(owner, an_id(owner), TWO, NOW) is Exceeded.NUMBER
    assert registry.take_place(other, an_id(other), TWO, NOW) is None
    assert len(registry.find(owners={owner}, top=9).registrations) == 2


def test_no_place_is_taken_where_none_is_given(registry: Registry) -> None:
    owner = an_owner()
    assert registry.take_place(owner, an_id(owner), Quota(most=0), NOW) is Exceeded.NUMBER
    assert registry.take_place(owner, an_id(owner), Quota(most_per_hour=0), NOW) is Exceeded.HOUR


def test_deleted_registrations_and_those_of_another_owner_by_now_free_their_places(registry: Registry) -> None:
    owner, other = an_owner(), an_owner()
    deleted, moved = taken(registry, owner, TWO), taken(registry, owner, TWO)
    registry.replace(replace(deleted, status=Status.DELETED))
    taken(registry, owner, TWO)
    assert registry.exceeds(owner, TWO, NOW) is Exceeded.NUMBER
    registry.replace(replace(moved, request=moved.request.model_copy(update={"owner": other})))
    taken(registry, owner, TWO)
    assert registry.exceeds(owner, TWO, NOW) is Exceeded.NUMBER


def test_one_that_moves_away_and_back_counts_again(registry: Registry) -> None:
    owner, other = an_owner(), an_owner()
    moved, _ = taken(registry, owner, TWO), taken(registry, owner, TWO)
    away = registry.replace(replace(moved, request=moved.request.model_copy(update={"owner": other})))
    taken(registry, owner, TWO)
    registry.replace(replace(away, request=moved.request))
    assert registry.take_place(owner, moved.id, ROOMY, NOW) is None  # as it is listed before its row is written
    assert registry.exceeds(owner, Quota(most=3), NOW) is Exceeded.NUMBER


def test_one_whose_row_is_missing_counts_while_the_row_may_be_on_its_way_and_no_longer(registry: Registry) -> None:
    owner = an_owner()
    for _ in range(2):
        assert registry.take_place(owner, an_id(owner), TWO, NOW) is None
    assert registry.take_place(owner, an_id(owner), TWO, NOW) is Exceeded.NUMBER
    assert registry.take_place(owner, an_id(owner), TWO, NOW + LONG_AGO) is None


def test_the_same_registration_takes_one_place_however_often_it_is_listed(registry: Registry) -> None:
    owner = an_owner()
    row = taken(registry, owner, TWO)
    for _ in range(3):
        assert registry.take_place(owner, row.id, TWO, NOW) is None
    taken(registry, owner, TWO)
    assert registry.exceeds(owner, TWO, NOW) is Exceeded.NUMBER


def test_the_next_hour_of_the_clock_is_another_and_an_earlier_one_is_not(registry: Registry) -> None:
    owner, quota = an_owner(), Quota(most_per_hour=2)
    for _ in range(2):
        assert registry.take_place(owner, an_id(owner), quota, NOW) is None
    assert registry.exceeds(owner, quota, NOW) is Exceeded.HOUR
    assert registry.take_place(owner, an_id(owner), quota, NOW) is Exceeded.HOUR
    assert registry.take_place(owner, an_id(owner), quota, NOW + timedelta(hours=1)) is None


def test_what_was_listed_while_nothing_was_limited_counts_once_something_is(registry: Registry) -> None:
    owner = an_owner()
    taken(registry, owner, TWO)
    taken(registry, owner, NONE)
    assert registry.take_place(owner, an_id(owner), TWO, NOW) is Exceeded.NUMBER


def test_what_was_listed_before_anything_was_counted_counts(registry: Registry) -> None:
    owner = an_owner()
    for _ in range(2):
        row = a_registration(a_service_client(owner=owner))
        registry.put_owned(owner, row.id)
        registry.insert(row)
    assert registry.take_place(owner, an_id(owner), TWO, NOW) is Exceeded.NUMBER
    taken(registry, owner, Quota(most=3))
    assert registry.take_place(owner, an_id(owner), Quota(most=3), NOW) is Exceeded.NUMBER


def test_to_ask_whether_there_is_a_place_takes_none(registry: Registry) -> None:
    owner, quota = an_owner(), Quota(most=1, most_per_hour=1)
    for _ in range(3):
        assert registry.exceeds(owner, quota, NOW) is None
    taken(registry, owner, quota)


@pytest.mark.parametrize(
    ("quota", "reached"), [(Quota(most=5), Exceeded.NUMBER), (Quota(most_per_hour=5), Exceeded.HOUR)]
)
def test_of_many_at_the_same_time_as_many_succeed_as_there_are_places(
    registry: Registry, quota: Quota, reached: Exceeded
) -> None:
    owner = an_owner()
    with ThreadPoolExecutor(8) as instances:
        results = list(instances.map(lambda _: registry.take_place(owner, an_id(owner), quota, NOW), range(16)))
    assert sorted(results, key=str) == sorted([None] * 5 + [reached] * 11, key=str)


def test_a_name_is_held_for_whom_it_was_held_until_another_is(registry: Registry) -> None:
    name, hold = "https://fhir.contoso.example", Hold(an_owner(), NOW + timedelta(days=30))
    assert registry.hold(name) is None
    registry.put_hold(name, "nobody", hold)
    assert registry.hold(name) is None
    registry.claim(name, "first")
    registry.put_hold(name, "second", hold)
    assert registry.hold(name) is None
    registry.put_hold(name, "first", hold)
    assert registry.hold(name) == hold
    registry.claim(name, "second", instead_of="first")
    assert (registry.holder(name), registry.hold(name)) == ("second", hold)
    registry.put_hold(name, "first", replace(hold, owner=an_owner()))
    assert registry.hold(name) == hold


# --- what it costs, in requests to real storage ---------------------------------------------------------------------


@pytest.fixture
def counted(azurite: str) -> Iterator[tuple[World, CountingTransport]]:
    transport = CountingTransport()
    with TableServiceClient.from_connection_string(azurite, retry_total=0, transport=transport) as tables:
        yield World(registry=TableRegistry(tables, VirtualClock())), transport
        for table in tables.list_tables():
            tables.delete_table(table.name)


def test_a_post_reads_one_thing_more_and_writes_none_more_than_without_a_policy(
    counted: tuple[World, CountingTransport],
) -> None:
    world, transport = counted
    resource = world.registered(a_service_client(resource="https://ws-svc.fhir.azurehealthcareapis.com", appRoles=[]))
    assert resource["status"] == "active"
    transport.requests.clear()
    answer = world.post(a_service_client(resource="https://ws-svc.fhir.azurehealthcareapis.com", appRoles=[]))
    assert answer.status == 202
    assert transport.requests == ["GET owners", "POST $batch", "PATCH due", "POST $batch"]


def test_where_nothing_is_limited_a_place_is_one_request_and_to_ask_for_one_is_none(
    counted: tuple[World, CountingTransport],
) -> None:
    world, transport = counted
    for _ in range(2):
        transport.requests.clear()
        owner = an_owner()
        assert world.registry.take_place(owner, an_id(owner), NONE, NOW) is None
        assert world.registry.exceeds(owner, NONE, NOW) is None
    assert transport.requests == ["POST $batch"]


def test_the_first_post_of_an_owner_costs_no_more_than_a_later_one(counted: tuple[World, CountingTransport]) -> None:
    world, transport = counted
    body = {"resource": "https://ws-svc.fhir.azurehealthcareapis.com", "appRoles": []}
    world.post(a_service_client(**body))
    transport.requests.clear()
    world.post(a_service_client(**body, owner=an_owner()))
    assert transport.requests == ["GET owners", "POST $batch", "PATCH due", "POST $batch"]


@pytest.mark.parametrize("query", ["", "dryRun=true"])
@pytest.mark.parametrize("name", WHYS)
def test_a_server_that_others_have_may_claim_or_had_lately_is_refused_with_as_many_requests(
    azurite: str, name: str, query: str
) -> None:
    transport = CountingTransport()
    with TableServiceClient.from_connection_string(azurite, retry_total=0, transport=transport) as tables:
        world = World(registry=TableRegistry(tables, VirtualClock()), settings=ENTRA, rules=[])
        post_as(world, MALLORY, a_resource(owner=OTHER_TEAM, fhirServerUrl="https://other.contoso.example"))
        WHYS[name](world)
        transport.requests.clear()
        answer = post_as(world, MALLORY, a_resource(owner=OTHER_TEAM), query)
        made = list(transport.requests)
        for table in tables.list_tables():
            tables.delete_table(table.name)
    assert (answer.status, code_of(answer)) == (409, "fhir-server-not-available")
    assert [each.rpartition(" ")[2] for each in made] == [*(["names"] * (1 if query else 3)), "registrations", "names"]


def test_what_is_over_is_looked_at_once(service: TableServiceClient) -> None:
    registry, owner = TableRegistry(service, VirtualClock()), an_owner()
    for _ in range(3):
        taken(registry, owner, ROOMY, status=Status.DELETED)
    ids, list_of = f"PartitionKey eq '{owner}' and RowKey gt '!~'", service.get_table_client(OWNERS)
    assert registry.exceeds(owner, TWO, NOW) is None
    assert not any(each.get("over") for each in list_of.query_entities(ids)), "who only asks writes nothing"
    taken(registry, owner, TWO)
    over = sorted(bool(each.get("over")) for each in list_of.query_entities(ids))
    assert over == [False, True, True, True]


def test_where_storage_does_not_answer_nothing_is_accepted_and_reading_goes_on() -> None:
    world = World()

    def broken(name: str, action: Callable[[], Any]) -> Any:
        if name == "registry.take_place":
            raise TryAgain("storage-unavailable", "Table storage could not answer.")
        return action()

    before = world.registered(a_service_client(resource="https://ws-svc.fhir.azurehealthcareapis.com", appRoles=[]))
    world.outside = broken
    answer = world.post(a_service_client(resource="https://ws-svc.fhir.azurehealthcareapis.com", appRoles=[]))
    assert (answer.status, code_of(answer)) == (503, "storage-unavailable")
    assert world.get(before["registrationId"])["status"] == "active"
    assert world.change(before["registrationId"], {"displayName": "Another"}).status == 202
    world.deliver()
    assert [each.id for each in world.registry.find(top=9).registrations] == [before["registrationId"]]
    assert world.registry.due(world.clock.now(), 9) == []
