"""How rows are printed for people, and how far a long work is told to be."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from provisioning.domain.copies import StoredRow
from provisioning.domain.operation import DueEntry
from provisioning.operator.shown import as_table
from tests.worlds.command_line import typed
from tests.worlds.memory import MemoryCopies, MemoryRegistry
from tests.worlds.request_bodies import MANAGED, a_resource, a_service_client
from tests.worlds.world import World

CLIENT = a_service_client(resource=MANAGED, appRoles=[])


def test_a_column_is_as_wide_as_it_needs_to_be_up_to_sixty_and_the_last_one_is_whole() -> None:
    rows: list[dict[str, Any]] = [
        {"a": "x" * 60, "b": ["one", 2], "c": "y" * 70},
        {"a": "x" * 61, "b": [], "c": ""},
        {"a": "ä\n\x1b", "b": ()},
    ]
    assert as_table(rows, {"a": "A", "b": "WORDS", "c": "C"}).splitlines() == [
        f"A{' ' * 59}  WORDS   C",
        f"{'x' * 60}  one, 2  {'y' * 70}",
        f"{'x' * 59}…  -       -",
        f"ä??{' ' * 57}  -       -",
    ]


def test_json_is_indented_for_whoever_reads_it() -> None:
    world = World()
    identity = str(world.registered(CLIENT)["registrationId"])
    assert typed(world, "show", identity, "--json").out == json.dumps(world.get(identity), indent=2) + "\n"


class Slow(MemoryCopies):
    """Storage that takes five seconds for each row."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def rows(self) -> Iterator[StoredRow]:
        for each in super().rows():
            self._world.clock.time += timedelta(seconds=5)
            yield each

    def put(self, row: StoredRow) -> bool:
        self._world.clock.time += timedelta(seconds=5)
        return super().put(row)


def told(world: World, *arguments: str) -> list[str]:
    return typed(world, *arguments).err.splitlines()


def test_how_far_a_copy_is_is_told_every_five_seconds(tmp_path: Path) -> None:
    world, file = World(), str(tmp_path / "copy")
    world.copies = Slow(world)
    world.services = world.new_process()
    for number in range(3):
        key = f"~{number}_2026"
        world.copies.put(StoredRow("registrations", {"PartitionKey": key[:8], "RowKey": key, "what": "requested"}))
    assert told(world, "backup", file) == ["… 2 rows written", "… 3 rows written"]
    assert told(world, "restore", file, "--apply") == ["… 2 of 3 rows done", "… 3 of 3 rows done"]


def slow(world: World, begins: str) -> World:
    """Return the world, in which each such call takes five seconds from now on."""

    def outside(name: str, action: Callable[[], Any]) -> Any:
        if name.startswith(begins):
            world.clock.time += timedelta(seconds=5)
        return action()

    world.outside = outside
    return world


def test_how_far_a_plan_is_is_told() -> None:
    world = World()
    for _ in range(3):
        identity = str(world.registered(CLIENT)["registrationId"])
        world.registry.put_due(DueEntry(identity, world.clock.now()))
    slow(world, "registry.get")
    planned = ["… 1 of 3 due entries looked at", "… 2 of 3 due entries looked at"]
    assert told(world, "plan", "--due-only") == planned
    assert told(world, "plan") == planned + [f"… {count} registrations looked at" for count in (0, 1, 2)]


def test_how_many_applications_are_listed_and_done_by_a_rebuild_is_told() -> None:
    world = World()
    for body in (a_resource(), CLIENT, CLIENT):
        world.registered(body)
    assert isinstance(world.registry, MemoryRegistry)
    world.registry.rows.clear()
    world.emulator.faults.set(page_size=1)
    done = ["… 1 of 3 applications done", "… 3 of 3 applications done"]
    assert told(slow(world, "GET "), "rebuild") == ["… 2 applications listed", *done]
