"""The promises of the Copies port, held by Table storage and by the one in memory; and a copy that is put back."""

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from azure.data.tables import EdmType, EntityProperty, TableServiceClient

from provisioning.adapters import tables
from provisioning.adapters.copies import TABLES, TableCopies
from provisioning.adapters.tables import NAMES, REGISTRATIONS, TableRegistry
from provisioning.domain.copies import StoredRow
from provisioning.domain.errors import TryAgain
from provisioning.domain.registration import Status
from provisioning.ports import Copies
from tests.worlds.clock import VirtualClock
from tests.worlds.command_line import typed
from tests.worlds.memory import MemoryCopies
from tests.worlds.request_bodies import a_policy, a_resource
from tests.worlds.world import World

KEY = {"PartitionKey": "partition", "RowKey": "row"}
NOWHERE = "AccountName=a;AccountKey=Zm9v;TableEndpoint=http://127.0.0.1:9/a"


@pytest.fixture
def service(azurite: str) -> Iterator[TableServiceClient]:
    with TableServiceClient.from_connection_string(azurite, retry_total=0) as service:
        yield service
        emptied(service)


def emptied(service: TableServiceClient) -> None:
    for table in list(service.list_tables()):
        service.delete_table(table.name)


@pytest.fixture(params=["memory", "tables"])
def copies(request: pytest.FixtureRequest, service: TableServiceClient) -> Copies:
    return MemoryCopies() if request.param == "memory" else TableCopies(service)


def test_a_row_is_put_where_its_key_is_free_and_nowhere_else(copies: Copies) -> None:
    row = StoredRow(NAMES, {**KEY, "name": "first"})
    assert list(copies.rows()) == []
    assert copies.put(row)
    assert not copies.put(replace(row, content={**KEY, "name": "second"}))
    assert copies.put(replace(row, table=REGISTRATIONS))
    assert {(each.table, each.content["name"]) for each in copies.rows()} == {
        (NAMES, "first"),
        (REGISTRATIONS, "first"),
    }


def test_a_copy_is_of_every_table_that_there_is() -> None:
    source = Path(tables.__file__).read_text(encoding="utf-8")
    opened = {getattr(tables, name) for name in re.findall(r"get_table_client\((\w+)\)", source)}
    assert set(TABLES) == opened


def test_a_row_of_another_table_is_refused(copies: Copies) -> None:
    with pytest.raises(ValueError, match="no table"):
        copies.put(StoredRow("users", dict(KEY)))


def test_a_row_comes_back_as_it_was_whatever_another_version_wrote(service: TableServiceClient) -> None:
    entity: dict[str, Any] = {
        **KEY,
        "text": 'a "quoted" Ü \n line',
        "no": False,
        "number": -7,
        "long": EntityProperty(2**40, EdmType.INT64),
        "share": 0.1,
        "bytes": b"\x00\xff",
        "id": UUID("99999999-aaaa-4aaa-8aaa-000000000001"),
        "moment": datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC),
    }
    table, copies = service.create_table(NAMES), TableCopies(service)
    table.create_entity(entity)
    [row] = copies.rows()
    before = table.get_entity(*KEY.values())
    emptied(service)
    assert copies.put(StoredRow(row.table, json.loads(json.dumps(row.content))))
    after = service.get_table_client(NAMES).get_entity(*KEY.values())
    assert dict(after) == dict(before)
    assert {name: type(value) for name, value in after.items()} == {name: type(each) for name, each in before.items()}


@pytest.mark.parametrize("told", [{"type": "Edm.Later", "value": "1"}, {"type": "Edm.Int64"}, ["x"], None, 0.5])
def test_a_value_that_no_table_has_is_refused(service: TableServiceClient, told: Any) -> None:
    with pytest.raises(ValueError, match=r"no (value|type) of a table"):
        TableCopies(service).put(StoredRow(NAMES, {**KEY, "column": told}))


@pytest.mark.parametrize(
    ("edm", "text"), [("Edm.Binary", "AP8=!"), ("Edm.Int64", "1.5"), ("Edm.Double", "x"), ("Edm.Guid", "1")]
)
def test_a_text_that_is_no_value_of_its_type_is_refused(edm: str, text: str) -> None:
    with TableServiceClient.from_connection_string(NOWHERE) as service, pytest.raises(ValueError, match=r"."):
        TableCopies(service).put(StoredRow(NAMES, {**KEY, "column": {"type": edm, "value": text}}))


def test_what_table_storage_cannot_do_is_said_with_what_it_answered(service: TableServiceClient) -> None:
    with pytest.raises(TryAgain, match="answered 400") as refused:
        TableCopies(service).put(StoredRow(NAMES, {"PartitionKey": "a/b", "RowKey": "row"}))
    assert refused.value.code == "storage-unavailable"
    with TableServiceClient.from_connection_string(NOWHERE, retry_total=0) as away:
        for act in (lambda: list(TableCopies(away).rows()), lambda: TableCopies(away).put(StoredRow(NAMES, KEY))):
            with pytest.raises(TryAgain, match="could not answer"):
                act()


def test_after_a_loss_a_rebuild_and_a_copy_bring_back_what_was_there(
    service: TableServiceClient, tmp_path: Path
) -> None:
    world = World(registry=TableRegistry(service, VirtualClock()))
    world.copies, world.policy = TableCopies(service), a_policy()
    world.services = world.new_process()
    gone = world.registered(a_resource())["registrationId"]
    world.clock.sleep(7200)
    world.delete(gone)
    world.settle()
    client = world.registered(a_resource(fhirServerUrl="https://kept.contoso.example"))["registrationId"]
    later = {"PartitionKey": gone[:8], "RowKey": f"~{gone}_9999_later", "later": EntityProperty(2**40, EdmType.INT64)}
    service.get_table_client(REGISTRATIONS).create_entity(later)
    told = {each: typed(world, "events", each, "--json").json for each in (gone, client)}
    file = tmp_path / "tables.jsonl"

    assert typed(world, "backup", str(file)).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    emptied(service)
    world.clock.sleep(3600)
    assert typed(world, "rebuild", "--apply").code == 0
    assert world.registry.get(gone) is None

    seen = list(TableCopies(service).rows())
    dry = typed(world, "restore", str(file), "--json")
    assert (dry.code, dry.json["applied"], dry.json["written"]) == (0, False, {})
    assert list(TableCopies(service).rows()) == seen
    done = typed(world, "restore", str(file), "--apply", "--json")
    assert (done.code, done.json["written"]) == (0, done.json["found"])
    assert done.json["found"].keys() == {"events", "deletedRegistrations", "heldNames"}
    assert typed(world, "restore", str(file), "--apply", "--json").json["written"] == {
        "deletedRegistrations": 0,
        "events": 0,
        "heldNames": 0,
    }

    row = world.registry.get(gone)
    assert row is not None
    assert row.status is Status.DELETED
    assert world.row(client).status is Status.ACTIVE
    assert typed(world, "events", gone, "--json").json == told[gone]
    after = typed(world, "events", client, "--json").json
    assert [each["what"] for each in after] == [*(each["what"] for each in told[client]), "rebuilt"]
    entity = service.get_table_client(REGISTRATIONS).get_entity(later["PartitionKey"], later["RowKey"])
    assert dict(entity) == later
    others = a_resource(owner="99999999-aaaa-4aaa-8aaa-000000000001")
    assert json.loads(world.post(others).body)["code"] == "fhir-server-held", "for its last owner, as before"
    world.settle()
    world.clock.time += timedelta(days=1)
    world.reconcile()
    assert world.row(client).findings == ()
