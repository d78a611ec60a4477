"""GET /ready: what it answers, to whom, and how often it looks."""

import json
from datetime import timedelta
from typing import Any

from dev.emulator import Fault
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller, CallerKind, Role
from tests.worlds.described import faults
from tests.worlds.signed_in import ENTRA, headers_of
from tests.worlds.world import World

PERSON = "5e1f0000-0000-4000-8000-000000000001"


def asked(world: World, headers: dict[str, str] | None = None) -> Answer:
    return world.call(web.show_readiness, Call("/api/ready", headers or {}))


def content(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body))


def test_nothing_lacking_is_200_and_each_check() -> None:
    answer = asked(World())
    assert (answer.status, content(answer)["ready"]) == (200, True)
    assert faults("Readiness", content(answer), strict=True) == []


def test_a_lack_is_503_and_named_with_its_remedy() -> None:
    world = World()
    world.emulator.faults.set(vault_denied=True)
    answer = asked(world)
    assert (answer.status, content(answer)["code"]) == (503, "not-ready")
    assert content(answer)["detail"] == "Something is lacking; see checks: vault."
    lacking = [each for each in content(answer)["checks"] if each["state"] == "lacking"]
    assert {each["dependency"] for each in lacking} == {"vault"}
    assert all("Key Vault Secrets Officer" in each["remedy"] for each in lacking)
    assert faults("Problem", content(answer), strict=True) == []


def test_no_answer_names_a_host_or_a_setting_of_this_installation() -> None:
    world = World()
    for each in (Fault("status", "vault.*", times=None), Fault("status", "graph.*", times=None)):
        world.emulator.faults.add(each)
    body = asked(world).body
    for internal in (world.emulator.origin, world.emulator.tenant_id, "localhost", "devstoreaccount"):
        assert internal not in body


def test_a_process_looks_at_most_every_thirty_seconds() -> None:
    world = World()
    assert asked(world).status == 200
    calls = len(world.emulator.calls)
    world.emulator.faults.set(vault_denied=True)
    world.clock.time += timedelta(seconds=29)
    assert asked(world).status == 200
    assert len(world.emulator.calls) == calls
    world.clock.time += timedelta(seconds=1)
    assert asked(world).status == 503


def test_a_lack_that_is_mended_is_seen_within_thirty_seconds() -> None:
    world = World()
    world.emulator.faults.set(vault_denied=True)
    assert asked(world).status == 503
    world.emulator.faults.clear()
    world.clock.time += timedelta(seconds=30)
    assert asked(world).status == 200


def test_whoever_has_no_role_is_told_nothing_and_nothing_is_looked_at_for_it() -> None:
    world = World(settings=ENTRA)
    person = Caller(PERSON, CallerKind.USER, name="Somebody")
    answer = asked(world, headers_of(person, world.emulator))
    assert (answer.status, content(answer)["code"]) == (403, "role-required")
    assert not [call for call in world.emulator.calls if call.operation.startswith("vault.")]


def test_one_role_is_enough() -> None:
    world = World(settings=ENTRA)
    person = Caller(PERSON, CallerKind.USER, frozenset({Role.CREATE}), name="Somebody")
    assert asked(world, headers_of(person, world.emulator)).status == 200
