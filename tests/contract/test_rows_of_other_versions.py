"""A row is read by any version, in every table: a newer one may be rolled back, and two may run side by side."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient, UpdateMode

from provisioning.adapters.tables import DUE, NAMES, NOTICES, OWNERS, REGISTRATIONS, TableRegistry
from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.errors import UnreadableRow
from provisioning.domain.messages import check_message, read_message
from provisioning.domain.notices import Notice
from provisioning.domain.operation import DueEntry, Failure, LastError
from provisioning.domain.registration import Status
from provisioning.flow.conclude import give_up
from provisioning.flow.plan import DUE_AGAIN_AFTER
from tests.worlds.clock import VirtualClock
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_resource, a_service_client
from tests.worlds.steps import code_of, submitted
from tests.worlds.world import World

# What the first version wrote of an active service client; all other columns came later.
OF_THE_FIRST_VERSION = {
    "PartitionKey",
    "RowKey",
    "schema",
    "caller",
    "owner",
    "clientType",
    "status",
    "requestHash",
    "operationId",
    "operationType",
    "operationStatus",
    "operationRequestedAt",
    "createdAt",
    "updatedAt",
    "dueAt",
    "applicationObjectId",
    "clientId",
    "servicePrincipalId",
    "secretId",
    "secretKeyId",
    "secretExpiresAt",
    "request0",
    "resource0",
}


class Tables:
    """A world over real tables, and what somebody else's version writes into them."""

    def __init__(self, service: TableServiceClient) -> None:
        self.service = service
        self.receiver = Receiver()
        self.world = World(registry=TableRegistry(service, VirtualClock()), receiver=self.receiver)

    def entity(self, registration_id: str) -> dict[str, Any]:
        table = self.service.get_table_client(REGISTRATIONS)
        return dict(table.get_entity(registration_id[:8], registration_id))

    def write(self, registration_id: str, columns: dict[str, Any]) -> None:
        """Write these columns, as a newer version would; the others stay."""
        key = {"PartitionKey": registration_id[:8], "RowKey": registration_id}
        self.service.get_table_client(REGISTRATIONS).upsert_entity({**columns, **key}, mode=UpdateMode.MERGE)

    def write_json(self, registration_id: str, column: str, change: Callable[[Any], Any]) -> None:
        content = json.loads(self.entity(registration_id)[column])
        self.write(registration_id, {column: json.dumps(change(content))})

    def restore(self, entity: dict[str, Any]) -> None:
        self.service.get_table_client(REGISTRATIONS).upsert_entity(entity, mode=UpdateMode.REPLACE)

    def registered(self, **fields: Any) -> str:
        """Return the id of an active service client whose row has every column."""
        self.world.registered(a_resource())
        registration_id = str(self.world.registered(a_service_client(**fields))["registrationId"])
        failure = Failure("code", "Message.", "Remedy.")
        errors = {"last_error": LastError(failure, passing=True), "findings": (failure,), "expiry_noticed": 7}
        self.world.registry.replace(replace(self.world.row(registration_id), **errors))  # type: ignore[arg-type]
        return registration_id


@pytest.fixture
def tables(azurite: str) -> Iterator[Tables]:
    with TableServiceClient.from_connection_string(azurite, retry_total=0) as service:
        yield Tables(service)
        for table in service.list_tables():
            service.delete_table(table.name)


def with_more(value: Any) -> Any:
    return {**value, "later": {"by": ["a", "newer"], "version": 2}}


NEWER: dict[str, Callable[[Tables, str], None]] = {
    "a column": lambda tables, each: tables.write(each, {"later": "x", "schema": 2}),
    "a field of the request": lambda tables, each: tables.write_json(each, "request0", with_more),
    "a field of the credential asked for": lambda tables, each: tables.write_json(
        each, "request0", lambda request: {**request, "credential": with_more({"type": "secret"})}
    ),
    "a field of the resource": lambda tables, each: tables.write_json(each, "resource0", with_more),
    "a field of a permission": lambda tables, each: tables.write_json(
        each, "resource0", lambda found: {**found, "app_roles": [with_more(role) for role in found["app_roles"]]}
    ),
    "a field of a failure": lambda tables, each: tables.write_json(
        each, "lastError", lambda error: {**with_more(error), "failure": with_more(error["failure"])}
    ),
    "a field of a finding": lambda tables, each: tables.write_json(
        each, "findings0", lambda findings: [with_more(finding) for finding in findings]
    ),
    "a type of operation that has ended": lambda tables, each: tables.write(each, {"operationType": "grant"}),
}


@pytest.mark.parametrize("what", NEWER)
def test_a_row_with_what_a_newer_version_added_is_shown_listed_checked_reconciled_and_rotated(
    tables: Tables, what: str
) -> None:
    world, registration_id = tables.world, tables.registered()
    NEWER[what](tables, registration_id)
    assert world.get(registration_id)["status"] == "active"
    assert registration_id in {each["registrationId"] for each in world.list()["value"]}
    world.reconcile()
    assert not world.errors
    assert world.rotate(registration_id).status == 202
    world.settle()
    shown = world.get(registration_id)
    assert (shown["operation"]["type"], shown["operation"]["status"]) == ("rotate", "succeeded")
    assert not world.errors


KEPT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a column": lambda row: (row["later"], row["schema"]),
    "a field of the request": lambda row: json.loads(row["request0"])["later"],
    "a field of the credential asked for": lambda row: json.loads(row["request0"])["credential"]["later"],
    "a field of the resource": lambda row: json.loads(row["resource0"])["later"],
    "a field of a permission": lambda row: json.loads(row["resource0"])["app_roles"][0]["later"],
}


@pytest.mark.parametrize("what", KEPT)
def test_a_write_keeps_what_a_newer_version_added(tables: Tables, what: str) -> None:
    world, registration_id = tables.world, tables.registered()
    NEWER[what](tables, registration_id)
    before = KEPT[what](tables.entity(registration_id))
    assert world.change(registration_id, {"description": "Another."}).status == 202
    world.settle()
    entity = tables.entity(registration_id)
    assert json.loads(entity["request0"])["description"] == "Another."
    assert KEPT[what](entity) == before


def test_what_a_write_takes_away_is_gone_though_a_newer_version_wrote_more_beside_it(tables: Tables) -> None:
    world, registration_id = tables.world, tables.registered(description="One.")
    tables.write(registration_id, {"later": "x"})
    tables.write_json(registration_id, "request0", with_more)
    assert world.change(registration_id, {"description": None}).status == 202
    world.settle()
    entity = tables.entity(registration_id)
    assert "description" not in json.loads(entity["request0"])
    assert "lastError" not in entity
    assert entity["later"] == "x"


def test_what_a_newer_version_wrote_in_smaller_pieces_is_one_whole_after_a_write(tables: Tables) -> None:
    world, registration_id = tables.world, tables.registered()
    text = tables.entity(registration_id)["request0"]
    tables.write(registration_id, {"request0": text[:50], "request1": text[50:90], "request2": text[90:]})
    assert world.change(registration_id, {"description": "Another."}).status == 202
    world.settle()
    assert world.get(registration_id)["description"] == "Another."
    assert "request1" not in tables.entity(registration_id)


def test_the_row_of_the_first_version_is_read_and_written(tables: Tables) -> None:
    world, registration_id = tables.world, tables.registered()
    entity = tables.entity(registration_id)
    tables.restore({name: value for name, value in entity.items() if name in OF_THE_FIRST_VERSION})
    assert world.get(registration_id)["status"] == "active"
    world.reconcile()
    assert world.rotate(registration_id).status == 202
    world.settle()
    assert world.get(registration_id)["operation"]["status"] == "succeeded"
    assert not world.errors


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "paused", "operationStatus": "paused"},
        {"operationType": "grant", "operationStatus": "pending"},
        {"status": "suspended"},
    ],
    ids=["an operation that waits", "an operation under way", "a status"],
)
def test_what_a_newer_version_began_is_shown_and_left_to_that_version(
    tables: Tables, columns: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    world, registration_id = tables.world, tables.registered()
    due = DueEntry(registration_id, world.clock.now())
    world.registry.put_due(due)
    tables.write(registration_id, columns)
    before = tables.entity(registration_id)
    shown = world.get(registration_id)
    assert shown["status"] == columns.get("status", "active")
    assert shown["operation"]["type"] == columns.get("operationType", "provision")
    assert registration_id in {each["registrationId"] for each in world.list()["value"]}
    for ask in (world.delete, world.rotate, world.retry):
        assert code_of(ask(registration_id)) == "registration-unreadable"
    world.send(check_message(due))
    world.deliver()
    assert tables.entity(registration_id) == before
    assert not world.errors
    entries = list(world.registry.due(world.clock.now() + timedelta(hours=1), 10))
    assert registration_id in {entry.registration_id for entry in entries}
    assert due not in entries
    assert f"registration {registration_id}: another version" in caplog.text


UNREADABLE: dict[str, Callable[[Tables, str], None]] = {
    "a client type": lambda tables, each: tables.write_json(
        each, "request0", lambda request: {**request, "clientType": "device"}
    ),
    "a kind of credential": lambda tables, each: tables.write_json(
        each, "request0", lambda request: {**request, "credential": {"type": "managedIdentity"}}
    ),
    "no JSON": lambda tables, each: tables.write(each, {"request0": "{"}),
    "another type": lambda tables, each: tables.write(each, {"createdAt": 7}),
    "a time without its offset": lambda tables, each: tables.write(each, {"updatedAt": "2026-01-15T12:00:00"}),
    "JSON of another kind": lambda tables, each: tables.write(each, {"findings0": "7", "lastError": "[]"}),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_one_row_that_cannot_be_read_is_named_and_passed_over_and_stops_nothing(
    tables: Tables, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    world, unreadable = tables.world, tables.registered()
    other = str(world.registered(a_service_client())["registrationId"])
    UNREADABLE[what](tables, unreadable)
    before = tables.entity(unreadable)
    caplog.clear()

    answer = world.call(web.show_registration, Call("/", registration_id=unreadable))
    assert (answer.status, code_of(answer)) == (503, "registration-unreadable")
    listed = {each["registrationId"] for each in world.list()["value"]}
    assert other in listed
    assert unreadable not in listed
    assert f"registration {unreadable}: its row cannot be read" in caplog.text
    world.reconcile()
    assert not world.errors
    heartbeat = next(event for event in reversed(tables.receiver.taken) if event["type"] == "registrar.heartbeat")
    assert heartbeat["data"]["counts"] | {"unreadable": 1, "registrations": 2} == heartbeat["data"]["counts"]
    world.send(check_message(DueEntry(unreadable, world.clock.now())))
    world.deliver()
    assert not world.errors
    assert tables.entity(unreadable) == before
    waiting = submitted(world, a_confidential_client(resource=unreadable))
    world.deliver()
    assert world.get(waiting)["operation"]["lastError"]["code"] == "registration-unreadable"


def test_a_message_that_is_given_up_about_a_row_that_cannot_be_read_puts_its_entry_off(tables: Tables) -> None:
    world, unreadable = tables.world, tables.registered()
    UNREADABLE["no JSON"](tables, unreadable)
    due = DueEntry(unreadable, world.clock.now())
    world.registry.put_due(due)
    give_up(world.services, read_message(check_message(due).encode()))
    entries = world.registry.due(due.due_at + DUE_AGAIN_AFTER, 9)
    put_off = {each.due_at for each in entries if each.registration_id == unreadable}
    assert put_off == {due.due_at + DUE_AGAIN_AFTER}


def test_a_row_under_a_key_that_is_no_id_is_passed_over_and_its_key_is_not_logged(
    tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    registration_id = tables.registered()
    forged = "x, registration 0: provision succeeded"
    tables.restore({**tables.entity(registration_id), "RowKey": forged})
    caplog.set_level(logging.INFO)
    assert len(tables.world.list()["value"]) == 2
    assert "registration ?: its row cannot be read" in caplog.text
    assert "provision succeeded" not in caplog.text


def test_due_entries_of_another_version_are_passed_over_and_kept(tables: Tables) -> None:
    registry, now = tables.world.registry, tables.world.clock.now()
    entry = DueEntry(f"0badc0de-{uuid4()}", now)
    registry.put_due(entry)
    table = tables.service.get_table_client(DUE)
    strange = ["", "2026", "x_y", f"2026-01-15T12:00:00_{entry.registration_id}", f"1_{entry.registration_id}_kind"]
    for key in strange:
        table.upsert_entity({"PartitionKey": "due", "RowKey": key})
    assert registry.due(now, 1) == [entry]
    table.upsert_entity({"PartitionKey": "due", "RowKey": due_row(tables, entry)["RowKey"], "later": "x"})
    registry.put_due(entry)
    assert due_row(tables, entry)["later"] == "x"
    assert len(list(table.list_entities())) == 1 + len(strange)


def due_row(tables: Tables, entry: DueEntry) -> dict[str, Any]:
    rows = tables.service.get_table_client(DUE).list_entities()
    return next(dict(row) for row in rows if row["RowKey"].endswith(f"Z_{entry.registration_id}"))


def test_an_owners_list_of_another_version_keeps_what_it_added_and_shows_what_can_be_read(tables: Tables) -> None:
    registration_id = tables.registered()
    table = tables.service.get_table_client(OWNERS)
    table.upsert_entity({"PartitionKey": OWNER, "RowKey": registration_id, "later": "x"}, mode=UpdateMode.MERGE)
    for key in ("x", "0badc0de", "zz, registration 0"):
        table.upsert_entity({"PartitionKey": OWNER, "RowKey": key})
    tables.world.registry.put_owned(OWNER, registration_id)
    assert table.get_entity(OWNER, registration_id)["later"] == "x"
    assert registration_id in {each["registrationId"] for each in tables.world.list(owner=OWNER)["value"]}
    UNREADABLE["no JSON"](tables, registration_id)
    assert registration_id not in {each["registrationId"] for each in tables.world.list(owner=OWNER)["value"]}


def test_a_name_keeps_what_a_newer_version_wrote_beside_it_when_it_changes_hands(tables: Tables) -> None:
    registry, table = tables.world.registry, tables.service.get_table_client(NAMES)
    registry.claim("https://fhir.contoso.example", "one")
    row = next(iter(table.list_entities()))
    table.upsert_entity({**row, "heldUntil": "2026-02-15"}, mode=UpdateMode.MERGE)
    assert registry.claim("https://fhir.contoso.example", "two", instead_of="one") == "two"
    assert next(iter(table.list_entities()))["heldUntil"] == "2026-02-15"
    assert registry.holder("https://fhir.contoso.example") == "two"


def test_a_name_whose_holder_cannot_be_read_is_nobody_elses(tables: Tables) -> None:
    registry, table = tables.world.registry, tables.service.get_table_client(NAMES)
    registry.claim("https://fhir.contoso.example", "one")
    row = dict(next(iter(table.list_entities())))
    table.upsert_entity(
        {key: row[key] for key in ("PartitionKey", "RowKey")} | {"holder": "one"}, mode=UpdateMode.REPLACE
    )
    for ask in (registry.holder, lambda name: registry.claim(name, "two")):
        with pytest.raises(UnreadableRow):
            ask("https://fhir.contoso.example")


def test_notices_of_another_version_keep_what_it_added_and_stop_none_of_ours(tables: Tables) -> None:
    registry, now = tables.world.registry, tables.world.clock.now()
    table = tables.service.get_table_client(NOTICES)
    notice = Notice("id", "registration.active", "subject", now, {"long": "x" * 70_000})
    registry.put_notice(notice, now)
    table.upsert_entity({"PartitionKey": "subject", "RowKey": "id", "later": "x"}, mode=UpdateMode.MERGE)
    strange: list[dict[str, Any]] = [{}, {"time": "2026", "dueAt": "x"}, {"time": 7, "type": "t", "data0": "{}"}]
    for number, columns in enumerate(strange):
        table.upsert_entity({"PartitionKey": "subject", "RowKey": f"strange{number}", **columns})
    table.upsert_entity({"PartitionKey": "subject", "RowKey": "no.id", "type": "t", "time": "2026-01-15T12:00:00Z"})
    assert registry.notices("subject") == registry.notices() == [notice]
    assert registry.mailboxes(now) == ["subject"]
    shorter = Notice("id", "registration.active", "subject", now, {"long": "x"})
    registry.put_notice(shorter, now + timedelta(minutes=30))
    assert registry.notices("subject") == [shorter]
    assert table.get_entity("subject", "id")["later"] == "x"


def test_a_value_that_nobody_knows_is_none_of_those_that_are_known() -> None:
    unknown = Status("paused")
    assert unknown == "paused"
    assert not unknown.known
    assert unknown not in list(Status)
    assert all(status.known for status in Status)
