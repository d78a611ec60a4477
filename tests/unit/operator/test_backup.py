"""`backup` and `restore`: what is refused, what may be put back, and that nothing is written over."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.domain.copies import StoredRow
from provisioning.domain.errors import TryAgain
from tests.worlds.command_line import Ran, typed
from tests.worlds.memory import MemoryCopies
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.world import World

CLIENT = a_service_client(resource=MANAGED, appRoles=[])


def row(table: str, key: str, **columns: Any) -> StoredRow:
    return StoredRow(table, {"PartitionKey": key[:8], "RowKey": key, **columns})


EVENT = row("registrations", "~one_2026", what="requested")
DELETED = row("registrations", "one", status="deleted")
HELD = row("names", "hash", registrationId="one", heldFor="team", heldUntil="2026-02-01")
LIVING = (
    row("registrations", "two", status="active"),
    row("registrations", "three", status="accepted"),
    row("registrations", "four", status="a status of another version"),
    row("names", "other", registrationId="two"),
    row("due", "2026_two"),
    row("owners", "two"),
    row("notices", "note"),
    row("clients", "two"),
)


def copied(path: Path) -> World:
    """A world whose rows are in the file, and gone."""
    world = World()
    for each in (EVENT, DELETED, HELD, *LIVING):
        world.services.copies.put(each)
    assert typed(world, "backup", str(path)).code == 0
    world.copies = MemoryCopies()
    world.services = world.new_process()
    return world


def test_only_what_a_rebuild_does_not_bring_back_is_put_back(tmp_path: Path) -> None:
    world = copied(tmp_path / "copy")
    ran = typed(world, "restore", str(tmp_path / "copy"))
    assert ran.out == (
        "1 deletedRegistrations, 1 events, 1 heldNames may be put back. Nothing was written. --apply does it.\n"
    )
    assert list(world.copies.rows()) == []
    ran = typed(world, "restore", str(tmp_path / "copy"), "--apply")
    assert (ran.code, list(world.copies.rows())) == (0, [EVENT, DELETED, HELD])


def test_how_many_rows_of_each_kind_were_copied_is_said(tmp_path: Path) -> None:
    world = World()
    for each in (EVENT, DELETED, HELD):
        world.services.copies.put(each)
    file = str(tmp_path / "copy")
    ran = typed(world, "backup", file, "--json")
    assert ran.json == {"file": file, "rows": {"registrations": 2, "names": 1}}
    assert typed(world, "backup", f"{file}-2").out == (
        f"1 names, 2 registrations are in {file}-2. It has names and addresses, and no secret.\n"
    )


class Choosy(MemoryCopies):
    """Storage that cannot hold the row of a name, as Table storage cannot hold a column of a type that it has not."""

    def put(self, row: StoredRow) -> bool:
        if row.table == "names":
            raise ValueError("no type of a table")
        return super().put(row)


def test_a_row_that_no_table_could_hold_is_refused_and_those_before_it_stay(tmp_path: Path) -> None:
    world = copied(tmp_path / "copy")
    world.copies = Choosy()
    world.services = world.new_process()
    ran = typed(world, "restore", str(tmp_path / "copy"), "--apply")
    assert code_of(ran) == (2, "backup-unreadable")
    assert "Those before it were put back." in ran.err
    assert list(world.copies.rows()) == [EVENT, DELETED]


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    world = copied(tmp_path / "copy")
    younger = row("registrations", "one", status="active")
    world.copies.put(younger)
    assert typed(world, "restore", str(tmp_path / "copy"), "--apply", "--json").json["written"] == {
        "events": 1,
        "deletedRegistrations": 0,
        "heldNames": 1,
    }
    assert younger in world.copies.rows()


def test_a_deleted_registration_that_is_there_again_is_named_and_is_1(tmp_path: Path) -> None:
    world = World()
    identity = str(world.registered(CLIENT)["registrationId"])
    world.services.copies.put(row("registrations", identity, status="deleted"))
    assert typed(world, "backup", str(tmp_path / "copy")).code == 0
    ran = typed(world, "restore", str(tmp_path / "copy"), "--json")
    assert ran.code == 1
    assert [(each["registrationId"], each["status"]) for each in ran.json["notDeleted"]] == [(identity, "active")]
    told = typed(world, "restore", str(tmp_path / "copy")).out.splitlines()
    assert [identity in line and "active" in line for line in told] == [False, True, False]


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_text("mine")
    assert code_of(typed(World(), "backup", str(file))) == (2, "backup-not-written")
    assert file.read_text() == "mine"


class CutShort(MemoryCopies):
    """Storage that goes away after the first row."""

    def rows(self) -> Iterator[StoredRow]:
        yield EVENT
        raise TryAgain("storage-unavailable", "Constant.")


def test_a_copy_that_does_not_come_to_its_end_leaves_no_file_and_can_be_tried_again(tmp_path: Path) -> None:
    world = World()
    world.copies = CutShort()
    world.services = world.new_process()
    assert code_of(typed(world, "backup", str(tmp_path / "copy"))) == (4, "storage-unavailable")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [lines[0].replace("-1", "-2"), *lines[1:]],
        lambda lines: ["[]", *lines[1:]],
        lambda lines: [lines[0], lines[1][:-5], *lines[2:]],
        lambda lines: [lines[0], "{}", *lines[2:]],
        lambda _: ["what backup never wrote"],
        lambda _: [],
    ],
)
def test_a_file_that_is_not_whole_is_refused_and_nothing_is_written(tmp_path: Path, spoil: Any) -> None:
    file = tmp_path / "copy"
    world = copied(file)
    file.write_text("\n".join(spoil(file.read_text().splitlines())))
    assert code_of(typed(world, "restore", str(file), "--apply")) == (2, "backup-unreadable")
    assert list(world.copies.rows()) == []


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert code_of(typed(World(), "restore", str(tmp_path / "none"))) == (2, "backup-unreadable")


def test_the_copy_of_another_tenant_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "copy"
    world = copied(file)
    head, *rest = file.read_text().splitlines()
    other = json.loads(head) | {"tenant": "99999999-aaaa-4aaa-8aaa-000000000001"}
    file.write_text("\n".join([json.dumps(other), *rest]))
    assert code_of(typed(world, "restore", str(file))) == (2, "backup-of-another")


def code_of(ran: Ran) -> tuple[int, str]:
    return ran.code, ran.err.partition(":")[0]
