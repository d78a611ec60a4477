"""`plan` says what would be done, by the code that does it, and does nothing."""

from datetime import timedelta

import pytest

from dev.emulator import Fault
from provisioning import telemetry
from provisioning.domain.approval import LAPSES_AFTER
from provisioning.operator.rehearsal import NotRehearsed, rehearsed
from tests.worlds.approvals import awaiting, decided
from tests.worlds.command_line import typed
from tests.worlds.memory import MemoryRegistry
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import MANAGED, a_public_client, a_resource, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA
from tests.worlds.steps import post_as
from tests.worlds.world import World

CLIENT = a_service_client(resource=MANAGED, appRoles=[])


def a_world() -> tuple[World, str]:
    world = World()
    return world, str(world.registered(CLIENT)["registrationId"])


def state(world: World) -> object:
    """All that a plan must leave as it is."""
    registry = world.registry
    assert isinstance(registry, MemoryRegistry)
    passwords = [
        (each.key_id, each.removed_at) for one in world.emulator.directory.records.values() for each in one.passwords
    ]
    bodies = [one.last_body for one in world.emulator.directory.records.values()]
    versions = {name: len(each.versions) for name, each in world.emulator.vault.secrets.items()}
    remembered = (dict(registry.rows), set(registry.entries), dict(registry.names), dict(registry.waiting))
    return remembered, passwords, bodies, versions, list(world.queue)


def planned(world: World, *options: str) -> list[tuple[str, list[str]]]:
    """Return who would do what, having seen that nothing was done."""
    before = state(world)
    writes = len([call for call in world.emulator.calls if call.method not in ("GET", "HEAD")])
    ran = typed(world, "plan", "--json", *options)
    assert state(world) == before
    assert len([call for call in world.emulator.calls if call.method not in ("GET", "HEAD")]) == writes
    return [(each["by"], each["would"]) for each in ran.json]


def test_nothing_is_to_be_done_where_everything_is_well() -> None:
    world = World()
    for body in (a_resource(), CLIENT, a_public_client(resource=MANAGED, scopes=["patient.Observation.rs"])):
        world.registered(body)
    assert planned(world) == []
    assert typed(world, "plan").out == "Nothing would be done.\n"


def test_what_is_only_planned_is_not_measured() -> None:
    world, _ = a_world()
    world.live(timedelta(days=10))
    world.clock.time += timedelta(days=150)
    measured = list[str]()
    forget = telemetry.listen_to_measures(lambda name, *_: measured.append(name))
    assert planned(world)
    assert measured == []
    world.settle()
    forget()
    assert "registrar.secrets.late" in measured


def test_a_secret_that_is_due_would_be_replaced_and_then_is() -> None:
    world, identity = a_world()
    world.live(timedelta(days=10))
    before = world.get(identity)["secret"]["keyId"]
    world.clock.time += timedelta(days=150)
    assert planned(world, "--due-only") == [("planner", ["replace its secret"])]
    world.settle()
    assert world.get(identity)["secret"]["keyId"] != before


def test_a_replaced_secret_would_be_removed_once_the_overlap_is_over() -> None:
    world, identity = a_world()
    old = world.get(identity)["secret"]["keyId"]
    world.clock.time += timedelta(hours=1)
    world.rotate(identity)
    world.settle()
    world.clock.time += timedelta(days=8)
    assert planned(world, "--due-only") == [("planner", [f"remove credential {old}"])]


def test_an_operation_that_stalled_would_go_on() -> None:
    world, identity = a_world()
    world.rotate(identity)
    world.queue.clear()
    world.clock.time += timedelta(minutes=3)
    [(by, [would])] = planned(world, "--due-only")
    assert (by, would.partition(",")[0]) == ("planner", "go on with rotate")


def test_what_somebody_changed_by_hand_would_be_found() -> None:
    world, _ = a_world()
    [application] = world.emulator.directory.records.values()
    application.last_body = application.last_body | {"notes": "somebody's own"}
    application.body.put(world.clock.now(), application.last_body)
    assert planned(world) == [("reconciliation", ["find notes-changed"])]
    world.reconcile()
    assert planned(world) == []


def test_where_callers_sign_in_it_is_looked_for_owners_too() -> None:
    world = World(settings=ENTRA)
    post_as(world, ALICE, CLIENT | {"owner": ALICE.object_id})
    world.deliver()
    assert planned(world) == []


def test_whose_a_name_is_a_rehearsal_tells_and_claims_nothing() -> None:
    world = World()
    server = str(world.registered(a_resource())["registrationId"])
    services, _ = rehearsed(world.services)
    held = str(world.row(server).client_id)
    assert services.registry.claim(held, "another") == server
    assert services.registry.claim(held, "another", instead_of=server) == "another"
    assert services.registry.claim("a free name", "another") == "another"
    assert world.registry.holder("a free name") is None
    assert not services.registry.list_client(server, "another")
    assert not world.registry.clients(server, top=10).clients


def test_an_application_that_is_gone_would_be_found() -> None:
    world, _ = a_world()
    world.clock.time += timedelta(hours=2)
    [application] = world.emulator.directory.records.values()
    application.body.put(world.clock.now(), None)
    assert planned(world) == [("reconciliation", ["find application-missing"])]


def test_an_entry_of_no_registration_would_be_forgotten() -> None:
    world, identity = a_world()
    assert isinstance(world.registry, MemoryRegistry)
    del world.registry.rows[identity]
    world.clock.time += timedelta(days=30)
    assert planned(world, "--due-only") == [("planner", ["forget the entry, which is stale"])]


def test_what_cannot_be_looked_at_is_1() -> None:
    world, _ = a_world()
    world.clock.time += timedelta(days=30)
    world.emulator.faults.set(vault_denied=True)
    ran = typed(world, "plan", "--due-only", "--json")
    assert [each["would"] for each in ran.json] == [["find vault-denied"]]


def test_while_the_vault_does_not_answer_nobody_can_say_what_would_be_done() -> None:
    world, _ = a_world()
    world.clock.time += timedelta(days=30)
    world.emulator.faults.add(Fault("status", "vault.*", status=503, times=None))
    assert planned(world, "--due-only") == [("planner", ["cannot be looked at now: vault-unavailable"])]
    assert typed(world, "plan", "--due-only").code == 1


def test_a_row_of_a_newer_version_would_be_left_to_it() -> None:
    world, identity = a_world()
    assert isinstance(world.registry, MemoryRegistry)
    world.clock.time += timedelta(days=30)
    world.registry.unreadable.add(identity)
    assert planned(world, "--due-only") == [("planner", ["leave it to the version that wrote it"])]


def test_a_request_that_waits_is_left_alone_and_one_that_lapsed_or_was_denied_would_end() -> None:
    world = World()
    row = awaiting(world, CLIENT)
    ended = [("planner", ["end the request, which was denied or has lapsed"])]
    world.clock.time += LAPSES_AFTER - timedelta(seconds=1)
    assert planned(world, "--due-only") == []
    world.clock.time += timedelta(seconds=1)
    assert planned(world, "--due-only") == ended
    world = World()
    row = awaiting(world, CLIENT)
    decided(world, row, "deny")
    world.queue.clear()
    world.clock.time += timedelta(hours=1)
    assert planned(world, "--due-only") == ended


def test_what_somebody_changed_by_hand_would_be_set_again() -> None:
    world, _ = a_world()
    [application] = world.emulator.directory.records.values()
    application.last_body = application.last_body | {"displayName": "Changed by hand"}
    world.clock.time += timedelta(hours=2)
    application.body.put(world.clock.now(), application.last_body)
    assert planned(world) == [("reconciliation", ["send a change that Entra lacks"])]


def test_whoever_is_told_of_what_is_found_would_be_told() -> None:
    world = World(receiver=Receiver())
    world.registered(CLIENT)
    world.settle()
    [application] = world.emulator.directory.records.values()
    world.clock.time += timedelta(hours=2)
    application.body.put(world.clock.now(), application.last_body | {"notes": "somebody's own"})
    assert planned(world) == [("reconciliation", ["find notes-changed", "tell registration.drift"])]


def test_a_rehearsal_refuses_whatever_it_does_not_know() -> None:
    world, identity = a_world()
    services, _ = rehearsed(world.services)
    for write in (
        lambda: services.directory.delete_application("x"),
        lambda: services.vault.remove("x"),
        lambda: services.registry.insert(world.row(identity)),
        lambda: services.queues.send("registrations", "x"),
    ):
        with pytest.raises(NotRehearsed):
            write()
    assert (services.grants, services.azure_roles, services.data_roles) == (False, None, {})
