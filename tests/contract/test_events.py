"""The promises about events of the Registry port, held by Table storage and by the one in memory alike."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
import requests
from azure.data.tables import TableServiceClient, UpdateMode

from provisioning.adapters.tables import REGISTRATIONS, TableRegistry
from provisioning.adapters.transport import sdk_options
from provisioning.domain.client_types import ClientType
from provisioning.domain.errors import RequestRejected, StaleRegistration
from provisioning.domain.events import Actor, ActorKind, Event, EventOutcome, What, apart
from provisioning.domain.registration import Registration
from provisioning.domain.traces import new_trace_id
from provisioning.ports import Registry
from tests.contract.test_registry import NOW, a_registration
from tests.worlds.clock import VirtualClock
from tests.worlds.request_bodies import a_service_client


def an_event(row: Registration, after: int = 0, **changes: object) -> Event:
    event = Event(
        row.id,
        NOW + timedelta(microseconds=after),
        What.REQUESTED,
        EventOutcome.ACCEPTED,
        Actor(ActorKind.KEY),
        new_trace_id(),
        row.operation.id,
    )
    return replace(event, **changes)  # type: ignore[arg-type]


def a_full_event(row: Registration) -> Event:
    return an_event(
        row,
        what=What.ROTATED,
        outcome=EventOutcome.SUCCEEDED,
        actor=Actor(ActorKind.USER, str(uuid4()), str(uuid4())),
        changed=("displayName", "redirectUris"),
        key_id=str(uuid4()),
        former_key_id=str(uuid4()),
        code="graph-throttled",
        graph_request_id=str(uuid4()),
        policy_version="7",
        last_used_at=NOW,
    )


def inserted(registry: Registry, *events: Event, row: Registration | None = None) -> Registration:
    row = row or a_registration()
    registry.put_owned(row.request.owner, row.id)
    stored = registry.insert(row, *(replace(event, registration_id=row.id) for event in events))
    assert stored is not None
    return stored


def told(registry: Registry, row: Registration, top: int = 100) -> list[Event]:
    return list(registry.events(row.id, top=top).events)


def test_the_events_of_a_row_are_read_back_to_the_last_field_in_the_order_of_its_writes(registry: Registry) -> None:
    row = a_registration()
    first, second, third = an_event(row), a_full_event(row), an_event(row, what=What.FAILED)
    stored = inserted(registry, first, row=row)
    assert (stored.events, registry.get(row.id)) == (1, stored)
    stored = registry.replace(stored, second, third)
    assert (stored.events, registry.get(row.id)) == (3, stored)
    assert told(registry, row) == [replace(first, n="000001"), replace(second, n="000002"), replace(third, n="000003")]


def test_a_write_that_is_refused_leaves_no_event_and_one_without_events_none(registry: Registry) -> None:
    stored = inserted(registry)
    assert registry.insert(stored, an_event(stored)) is None
    newer = registry.replace(stored)
    with pytest.raises(StaleRegistration):
        registry.replace(stored, an_event(stored))
    unknown = a_registration(etag='W/"1"')
    with pytest.raises(StaleRegistration):
        registry.replace(unknown, an_event(unknown))
    assert told(registry, stored) == told(registry, unknown) == []
    assert registry.get(stored.id) == newer


def test_an_event_apart_has_no_number_and_stands_at_its_time(registry: Registry) -> None:
    stored = inserted(registry, an_event(a_registration()))
    refusal = apart(an_event(stored, after=5, outcome=EventOutcome.REFUSED, code="operation-in-progress"))
    registry.put_event(refusal)
    stored = registry.replace(stored, an_event(stored, after=9))
    events = told(registry, stored)
    assert [event.n for event in events] == ["000001", refusal.n, "000002"]
    assert events[1] == refusal


def test_no_list_of_registrations_has_an_event(registry: Registry) -> None:
    rows = [inserted(registry, *(an_event(a_registration(), after) for after in range(5))) for _ in range(4)]
    ids = sorted(row.id for row in rows)
    assert sorted(row.id for row in registry.find(top=50).registrations) == ids
    assert sorted(row.id for row in registry.find(top=50, client_type=ClientType.SERVICE).registrations) == ids
    assert [row.id for row in registry.find(owners={rows[0].request.owner}, top=50).registrations] == ids
    assert registry.find(top=50).unreadable == 0
    seen, token = list[str](), None
    while True:
        page = registry.find(top=1, continuation_token=token)
        seen += [row.id for row in page.registrations]
        token = page.continuation_token
        if token is None:
            break
    assert sorted(seen) == ids


def test_pages_of_events_hold_each_of_one_registration_once_and_none_of_another(registry: Registry) -> None:
    stored = inserted(registry)
    other = f"{stored.id[:-1]}{'0' if stored.id[-1] != '0' else '1'}"  # in the same partition
    inserted(registry, an_event(stored), row=replace(a_registration(), id=other))
    for number in range(7):
        stored = registry.replace(stored, an_event(stored, after=number))
    seen, token = list[str](), None
    while True:
        page = registry.events(stored.id, top=3, continuation_token=token)
        assert len(page.events) <= 3
        seen += [event.n for event in page.events]
        token = page.continuation_token
        if token is None:
            break
    assert seen == [f"{number:06}" for number in range(1, 8)]
    goes_on = [registry.events(stored.id, top=top).continuation_token is not None for top in (6, 7, 8)]
    assert goes_on == [True, False, False]


@pytest.mark.parametrize("token", ["", "x", "W10", "bnVsbA", "ä", "A" * 4000])
def test_a_continuation_token_of_somebody_else_is_rejected(registry: Registry, token: str) -> None:
    stored = inserted(registry, an_event(a_registration()))
    with pytest.raises(RequestRejected) as rejected:
        registry.events(stored.id, top=5, continuation_token=token)
    assert (rejected.value.status, rejected.value.code) == (400, "invalid-continuation-token")


def test_a_continuation_token_of_another_registrations_events_is_rejected(registry: Registry) -> None:
    mine, other = inserted(registry), inserted(registry)
    for number in range(3):
        other = registry.replace(other, an_event(other, after=number))
    token = registry.events(other.id, top=1).continuation_token
    assert token is not None
    with pytest.raises(RequestRejected):
        registry.events(mine.id, top=1, continuation_token=token)
    listed = registry.find(top=1).continuation_token
    assert listed is not None
    with pytest.raises(RequestRejected):
        registry.events(mine.id, top=1, continuation_token=listed)


def test_a_row_and_its_events_are_one_request(azurite: str) -> None:
    sent = list[str]()
    with requests.Session() as session:
        session.hooks["response"].append(lambda answer, **_: sent.append(answer.request.method))
        service = TableServiceClient.from_connection_string(azurite, **sdk_options(session))
        service.create_table_if_not_exists(REGISTRATIONS)
        registry = TableRegistry(service, VirtualClock())
        row = a_registration()
        sent.clear()
        stored = registry.insert(row, a_full_event(row))
        assert sent == ["POST"]
        assert stored is not None
        sent.clear()
        registry.replace(stored, *(a_full_event(stored) for _ in range(3)))
        assert sent == ["POST"]
        service.delete_table(REGISTRATIONS)


def test_events_of_another_version_are_read_as_far_as_they_can_be_and_stop_nothing(
    azurite: str, caplog: pytest.LogCaptureFixture
) -> None:
    with TableServiceClient.from_connection_string(azurite, retry_total=0) as service:
        registry, table = TableRegistry(service, VirtualClock()), service.get_table_client(REGISTRATIONS)
        stored = inserted(registry, an_event(a_registration()), row=a_registration(a_service_client()))
        stored = registry.replace(stored, an_event(stored, after=1))
        first, second = (row for row in table.list_entities() if row["RowKey"].startswith("~"))
        table.upsert_entity({**first, "what": "lent", "outcome": "waits", "later": "x"}, mode=UpdateMode.REPLACE)
        table.upsert_entity({**second, "changed": "{"}, mode=UpdateMode.REPLACE)
        table.upsert_entity({"PartitionKey": stored.id[:8], "RowKey": f"~{stored.id}_x_registration 0: done"})
        [event] = told(registry, stored)
        assert (event.what, event.what.known, event.outcome) == ("lent", False, "waits")
        assert registry.replace(stored, an_event(stored, after=2)).events == 3
        assert [row.id for row in registry.find(top=9).registrations] == [stored.id]
        assert "event ?: its row cannot be read" in caplog.text
        assert "registration 0: done" not in caplog.text
        service.delete_table(REGISTRATIONS)
        service.delete_table("owners")


def test_where_the_table_is_missing_the_transaction_makes_it(azurite: str) -> None:
    with TableServiceClient.from_connection_string(azurite, retry_total=0) as service:
        stored = inserted(TableRegistry(service, VirtualClock()), an_event(a_registration()))
        assert len(told(TableRegistry(service, VirtualClock()), stored)) == 1
        for table in service.list_tables():
            service.delete_table(table.name)
