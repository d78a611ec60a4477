"""The notices of a life: each comes once, in order, and says what happened."""

from tests.worlds.certificates import a_certificate
from tests.worlds.clock import DAY
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_confidential_client, a_resource, a_service_client
from tests.worlds.steps import rotated_now
from tests.worlds.world import World


def test_each_notice_of_a_life_comes_once_and_in_order() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    registration_id = world.registered(a_confidential_client(secretLifetime="P60D"))["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.change(registration_id, {"displayName": "Renamed"})
    world.live(61 * DAY)
    world.delete(registration_id)
    world.settle()
    told = [each for each in receiver.taken if each["subject"] == registration_id]
    assert len({each["id"] for each in told}) == len(told)
    kinds = [each["type"].removeprefix("registration.") for each in told]
    assert kinds == ["active", "rotated", "changed", "expiring", "expiring", "expiring", "expiring", "deleted"]
    assert [each["data"]["days"] for each in told if each["type"].endswith("expiring")] == [30, 14, 7, 1]
    beats = [each for each in receiver.taken if each["type"] == "registrar.heartbeat"]
    assert 60 <= len(beats) <= 61
    assert beats[-1]["data"]["counts"]["registrations"] == 2


def test_a_certificate_that_ends_is_told_too() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    certificate = a_certificate(world.clock.now() - DAY, 21 * DAY).pem
    registration_id = world.registered(
        a_service_client(credential={"type": "certificate", "certificate": certificate})
    )["registrationId"]
    world.live(21 * DAY)
    told = [each for each in receiver.taken if each["type"] == "registration.expiring"]
    assert {each["subject"] for each in told} == {registration_id}
    assert [each["data"]["days"] for each in told] == [30, 14, 7, 1]


def test_a_rotation_that_failed_is_told_and_the_registration_stays_active() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.set(password_addition_blocked=True)
    world.clock.sleep(60)
    world.rotate(registration_id)
    world.settle()
    assert world.get(registration_id)["status"] == "active"
    [failed] = [each for each in receiver.taken if each["type"] == "registration.rotation-failed"]
    assert failed["data"]["failure"]["code"] == "secrets-forbidden"
    assert failed["data"]["status"] == "active"
