"""GET /ready: what it answers, to whom, and how often it looks."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.settings import Settings
from tests.worlds.described import faults
from tests.worlds.request_bodies import MARKER
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


def wrong(settings: dict[str, str]) -> Callable[[], Any]:
    return lambda: Settings.from_env(settings)


def test_wrong_settings_are_503_and_named_to_whoever_had_to_have_a_key() -> None:
    env = {"KEY_VAULT_URL": f"ftp://{MARKER}", "SECRET_OVERLAP": MARKER, "CALLER_AUTH": "key"}
    answer = web.answer(wrong(env), web.show_readiness, Call("/api/ready"))
    told = content(answer)
    assert (answer.status, told["code"], told["ready"]) == (503, "not-ready", False)
    named = {each["what"]: each for each in told["checks"]}
    assert {"KEY_VAULT_URL", "SECRET_OVERLAP", "AZURE_TENANT_ID", "AzureWebJobsStorage"} <= named.keys()
    assert {(each["dependency"], each["state"], each["code"]) for each in told["checks"]} == {
        ("settings", "lacking", "misconfigured")
    }
    assert named["SECRET_OVERLAP"]["message"].startswith("SECRET_OVERLAP: must be an ISO 8601 duration")
    assert MARKER not in answer.body
    assert faults("Problem", told, strict=True) == []


@pytest.mark.parametrize("name", ["show_caller", "show_policy", "list_registrations"])
def test_another_call_is_told_no_name_of_a_wrong_setting(name: str) -> None:
    answer = web.answer(wrong({"KEY_VAULT_URL": "vault"}), web.CALLS[name], Call("/api/me"))
    assert (answer.status, "KEY_VAULT_URL" in answer.body) == (500, False)


@pytest.mark.parametrize("headers", [{}, {"x-ms-client-principal": "e30=", "authorization": "Bearer x"}])
def test_where_callers_sign_in_nobody_is_told_which_setting_is_wrong(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    env = {"KEY_VAULT_URL": "vault", "CALLER_AUTH": "entra", "WEBSITE_AUTH_ENABLED": "True"}
    answer = web.answer(wrong(env), web.show_readiness, Call("/api/ready", headers))
    told = content(answer)
    assert (answer.status, told["code"], len(told["checks"])) == (503, "not-ready", 1)
    assert "KEY_VAULT_URL" not in answer.body
    assert "The app settings are wrong: " in caplog.text
    assert "KEY_VAULT_URL" in caplog.text
    assert faults("Problem", told, strict=True) == []


def test_who_is_told_is_decided_as_the_host_decides_who_has_to_have_a_key() -> None:
    root = Path(__file__).parents[3]
    triggers, settings = ((root / each).read_text() for each in ("function_app.py", "provisioning/settings.py"))
    assert 'ENTRA = os.environ.get("CALLER_AUTH", "").strip() == "entra"' in triggers
    assert 'keys_are_asked = env.get("CALLER_AUTH", "").strip() != "entra"' in settings
