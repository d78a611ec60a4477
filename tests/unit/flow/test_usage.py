"""When a registration and its credentials were last used: learned once a day, and never by a call for each."""

from datetime import timedelta
from typing import Any

import pytest

from tests.worlds.certificates import a_certificate
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.usage import SILENT, a_reading_world, sign_in
from tests.worlds.world import World

DAY = timedelta(days=1)


def used(world: World, client: dict[str, Any]) -> str:
    """Sign in as the client does, with what the vault has; return the time as it is answered."""
    assert sign_in(world, client)
    return world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def usage_of(world: World, client: dict[str, Any]) -> dict[str, Any]:
    return dict(world.get(client["registrationId"])["usage"])


def test_a_use_is_told_of_the_registration_and_of_its_secret_in_an_answer_and_in_a_list() -> None:
    world = a_reading_world()
    client = world.registered(a_service_client())
    world.clock.sleep(3600)
    used_at = used(world, client)
    assert usage_of(world, client)["reason"] == "not-looked-yet"
    world.clock.sleep(3600)
    world.reconcile()
    usage = usage_of(world, client)
    assert usage == {
        "lastUsedAt": used_at,
        "reason": None,
        "credentials": [{"keyId": client["secret"]["keyId"], "lastUsedAt": used_at, "reason": None, "keptUntil": None}],
    }
    listed = {each["registrationId"]: each["usage"] for each in world.list()["value"]}
    assert listed[client["registrationId"]] == usage
    check(world)


def test_the_proof_of_a_secret_is_nobodys_use() -> None:
    world = a_reading_world()
    client = world.registered(a_service_client())
    world.clock.sleep(3600)
    world.reconcile()
    usage = usage_of(world, client)
    assert (usage["lastUsedAt"], usage["reason"]) == (None, "only-own-sign-ins-reported")
    assert [each["lastUsedAt"] for each in usage["credentials"]] == [None]


def test_what_is_used_by_people_or_with_a_certificate_or_as_a_resource_is_told_too() -> None:
    world = a_reading_world()
    directory = world.emulator.directory
    public = world.registered(a_public_client())
    certificate = a_certificate()
    client = world.registered(a_service_client(credential={"type": "certificate", "certificate": certificate.pem}))
    server = world.list(clientType="resource")["value"][0]
    world.clock.sleep(3600)
    now = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    person_at, served, by_certificate = (directory.principal_of(each["clientId"]) for each in (public, server, client))
    assert person_at is not None
    assert served is not None
    assert by_certificate is not None
    directory.sign_ins.of_a_person(person_at, served)
    [key] = directory.records[client["applicationObjectId"]].last_body["keyCredentials"]
    directory.sign_ins.with_credential(by_certificate, served, key["keyId"])
    world.reconcile()
    for each in (public, server, client):
        assert usage_of(world, each)["lastUsedAt"] == now, each["clientType"]
    assert [(each["keyId"], each["lastUsedAt"]) for each in usage_of(world, client)["credentials"]] == [
        (key["keyId"], now)
    ]


def test_where_it_is_off_nothing_is_asked_and_the_answer_says_so() -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(a_service_client())
    world.clock.sleep(3600)
    sign_in(world, client)
    world.reconcile()
    usage = usage_of(world, client)
    assert (usage["lastUsedAt"], usage["reason"]) == (None, "sign-in-activity-off")
    assert [each["reason"] for each in usage["credentials"]] == ["sign-in-activity-off"]
    assert not [each for each in world.emulator.calls if "SignIns" in each.operation]


@pytest.mark.parametrize("reason", SILENT)
def test_reports_that_cannot_be_read_say_why_hold_up_nothing_and_take_nothing_back(
    reason: str,
) -> None:
    world = a_reading_world()
    client, other = world.registered(a_service_client()), world.registered(a_confidential_client())
    world.clock.sleep(3600)
    used_at = used(world, client)
    world.reconcile()
    before = world.get(client["registrationId"])
    SILENT[reason](world)
    world.services = world.new_process()
    world.clock.sleep(DAY.total_seconds())
    world.emulator.calls.clear()
    world.reconcile()
    usage = usage_of(world, client)
    assert usage["lastUsedAt"] == used_at, "what was known is not forgotten"
    assert usage["reason"] == reason, "and nothing newer is known"
    assert usage_of(world, other)["lastUsedAt"] is None
    assert usage_of(world, other)["reason"] == reason
    asked = [each for each in world.emulator.calls if "SignIns" in each.operation]
    most = {"no-sign-in-reported": 2, "graph-throttled": 3}.get(reason, 1)
    assert len(asked) <= most, "whoever is refused is not asked for each registration"
    assert world.get(client["registrationId"])["updatedAt"] == before["updatedAt"], "being used changes nothing"
    check(world)


def test_all_of_a_page_are_known_by_one_request_for_each_report() -> None:
    world = a_reading_world()
    clients = [world.registered(a_service_client(displayName=f"Client {number}")) for number in range(6)]
    world.clock.sleep(3600)
    for each in clients:
        sign_in(world, each)
    world.emulator.calls.clear()
    world.reconcile()
    assert all(usage_of(world, each)["lastUsedAt"] is not None for each in clients)
    asked = sorted(each.operation for each in world.emulator.calls if "SignIns" in each.operation)
    assert asked == ["graph.listCredentialSignIns", "graph.listPrincipalSignIns"]


def test_a_report_is_read_to_its_end_although_graph_lets_few_requests_through() -> None:
    world = a_reading_world()
    clients = [world.registered(a_service_client(displayName=f"Client {number}")) for number in range(8)]
    world.clock.sleep(3600)
    for each in clients:
        used(world, each)
    world.emulator.faults.set(page_size=2, reports_per_ten_seconds=5)
    world.emulator.calls.clear()
    world.reconcile()
    assert all(usage_of(world, each)["lastUsedAt"] is not None for each in clients)
    asked = [each.status for each in world.emulator.calls if "SignIns" in each.operation]
    assert asked.count(200) <= 12, "what was read is not read again"
    assert 1 <= asked.count(429) <= 3
