"""What nobody has used for 90 days is told to its owner, once; what is about to end says when it was last used."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.events import What
from tests.worlds.checker import check
from tests.worlds.clock import DAY
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_public_client, a_service_client
from tests.worlds.steps import live_keys, rotated_now
from tests.worlds.usage import SILENT, a_reading_world, sign_in
from tests.worlds.world import World


def passes(world: World, days: int) -> None:
    """Let time pass at once, and then have everything be looked at."""
    world.clock.sleep(days * 86_400)
    world.reconcile()


def is_called_unused(world: World, client: dict[str, Any]) -> bool:
    return "registration-unused" in [each["code"] for each in world.get(client["registrationId"])["findings"]]


def told_unused(receiver: Receiver, client: dict[str, Any]) -> int:
    """How many notices tell it of the client."""
    drift = [each for each in receiver.taken if each["type"] == "registration.drift"]
    about = [each["data"]["findings"] for each in drift if each["subject"] == client["registrationId"]]
    return sum("registration-unused" in [finding["code"] for finding in findings] for findings in about)


def test_what_nobody_has_used_for_ninety_days_is_told_once_and_never_removed(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    world = a_reading_world(receiver)
    client = world.registered(a_service_client(secretLifetime="P180D"))
    world.clock.sleep(3600)
    sign_in(world, client)
    passes(world, 89)
    assert not is_called_unused(world, client)
    passes(world, 2)
    assert is_called_unused(world, client)
    for _ in range(8):
        passes(world, 10)  # and its secret is rotated and proven meanwhile, which is nobody's use
    assert is_called_unused(world, client)
    assert told_unused(receiver, client) == 1
    assert "found:" not in caplog.text, "nobody is woken for it"
    assert world.get(client["registrationId"])["status"] == "active"
    sign_in(world, client)
    passes(world, 1)
    assert not is_called_unused(world, client)
    world.settle()
    check(world)


def test_what_was_only_proven_is_unused_too_and_the_next_proof_does_not_change_that() -> None:
    receiver = Receiver()
    world = a_reading_world(receiver)
    client = world.registered(a_service_client())
    passes(world, 91)
    assert is_called_unused(world, client)
    rotated_now(world, client["registrationId"])
    passes(world, 1)
    passes(world, 30)
    assert is_called_unused(world, client)
    assert told_unused(receiver, client) == 1


@pytest.mark.parametrize("code", SILENT)
def test_what_the_reports_do_not_show_is_not_called_unused(code: str) -> None:
    world = a_reading_world()
    client = world.registered(a_service_client())
    SILENT[code](world)
    world.services = world.new_process()
    passes(world, 100)
    assert not is_called_unused(world, client)


def test_what_is_young_or_never_was_in_a_report_is_not_called_unused() -> None:
    world = a_reading_world()
    public = world.registered(a_public_client())
    world.clock.sleep(60 * 86_400)
    young = world.registered(a_service_client())
    passes(world, 80)
    assert not is_called_unused(world, young), "it is 80 days old"
    assert not is_called_unused(world, public), "nobody ever signed in, so that no report has it"


@pytest.mark.parametrize(("age", "called"), [(90 * DAY - timedelta(seconds=1), False), (90 * DAY, True)])
def test_an_application_that_was_taken_over_unused_is_not_called_so_before_it_has_been_here_ninety_days(
    age: timedelta,
    called: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    world = a_reading_world()
    client = world.registered(a_service_client())
    world.clock.sleep(100 * 86_400)
    row = world.row(client["registrationId"])
    world.registry.replace(replace(row, created_at=world.clock.now() - age))
    world.reconcile()
    assert is_called_unused(world, client) is called


def test_a_report_that_falls_silent_neither_takes_the_finding_back_nor_tells_it_again() -> None:
    receiver = Receiver()
    world = a_reading_world(receiver)
    client = world.registered(a_service_client())
    passes(world, 91)
    SILENT["no-sign-in-reported"](world)
    passes(world, 3)
    assert is_called_unused(world, client)
    world.emulator.faults.clear()
    passes(world, 3)
    assert is_called_unused(world, client)
    assert told_unused(receiver, client) == 1
    world.services = world.but(sign_ins=None)
    passes(world, 1)
    assert not is_called_unused(world, client), "where nothing is read nothing is said"


# --- what ends says when it was last used ---------------------------------------------------------------------------


def events(world: World, client: dict[str, Any]) -> dict[str, Any]:
    """The latest event of each kind, as it is answered."""
    call = Call(f"/api/registrations/{client['registrationId']}/events", registration_id=client["registrationId"])
    listed = json.loads(world.call(web.list_events, call).body)["value"]
    return {each["what"]: each for each in listed}


def warned(world: World, handle: Any, client: dict[str, Any], body: Any = None) -> dict[str, str]:
    """The warnings of a dry run."""
    raw = b"" if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"content-type": "application/json"}
    call = Call("/api/registrations", headers, "dryRun=true", raw, registration_id=client["registrationId"])
    answer = world.call(handle, call)
    assert answer.status == 200, answer.body
    return {each["code"]: each["message"] for each in json.loads(answer.body)["warnings"]}


def a_used_client(world: World) -> tuple[dict[str, Any], str]:
    """A client that somebody used an hour after it was made, and when that was; reported since."""
    client = world.registered(a_service_client())
    world.clock.sleep(3600)
    sign_in(world, client)
    used_at = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    passes(world, 1)
    return client, used_at


def test_a_revocation_says_when_the_secret_was_last_used_and_waits_for_nobody() -> None:
    world = a_reading_world()
    client, used_at = a_used_client(world)
    revoked = {"revokePrevious": True}
    assert used_at in warned(world, web.rotate_registration, client, revoked)["last-used"]
    asked = [each for each in world.emulator.calls if "SignIns" in each.operation]
    rotated_now(world, client["registrationId"], revoked)
    assert client["secret"]["keyId"] not in live_keys(world, client["registrationId"])
    assert [each for each in world.emulator.calls if "SignIns" in each.operation] == asked
    told = events(world, client)
    assert told["revocation-requested"]["lastUsedAt"] == used_at
    assert (told["credential-removed"]["formerKeyId"], told["credential-removed"]["lastUsedAt"]) == (
        client["secret"]["keyId"],
        used_at,
    )


def test_a_deletion_says_when_it_was_last_used_in_its_answer_its_events_and_its_notice() -> None:
    receiver = Receiver()
    world = a_reading_world(receiver)
    client, used_at = a_used_client(world)
    assert used_at in warned(world, web.delete_registration, client)["last-used"]
    answer = world.delete(client["registrationId"])
    assert json.loads(answer.body)["usage"]["lastUsedAt"] == used_at
    world.settle()
    told = events(world, client)
    assert told["deletion-requested"]["lastUsedAt"] == told["deleted"]["lastUsedAt"] == used_at
    [notice] = [each for each in receiver.taken if each["type"] == "registration.deleted"]
    assert datetime.fromisoformat(notice["data"]["lastUsedAt"]).strftime("%Y-%m-%dT%H:%M:%SZ") == used_at
    assert world.get(client["registrationId"])["usage"]["lastUsedAt"] == used_at, "it stays as evidence"
    check(world)


def test_where_the_last_use_is_not_known_that_is_said_and_where_nothing_is_read_nothing_is() -> None:
    world = a_reading_world()
    client = world.registered(a_service_client())
    assert "last-use-not-known" not in warned(world, web.delete_registration, client), "nobody has looked yet"
    passes(world, 1)
    assert "last-use-not-known" in warned(world, web.delete_registration, client)
    assert "last-use-not-known" not in warned(world, web.rotate_registration, client, {"revokePrevious": False})
    silent = a_reading_world(SIGN_IN_ACTIVITY="off")
    client, _ = a_used_client(silent)
    assert not {"last-used", "last-use-not-known"} & set(warned(silent, web.delete_registration, client))
    silent.delete(client["registrationId"])
    silent.settle()
    assert "lastUsedAt" not in events(silent, client)[What.DELETED]
