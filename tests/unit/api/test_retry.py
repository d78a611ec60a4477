"""A registration that failed is tried again, once for each time that somebody asks."""

import json
from datetime import timedelta

from provisioning.domain.operation import DueEntry
from provisioning.domain.registration import Registration
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.steps import body_of, failed_registration, id_of, passes
from tests.worlds.world import World


def test_a_failed_registration_is_retried_with_a_new_operation() -> None:
    world = World()
    registration_id = failed_registration(world)
    before = world.get(registration_id)
    passes(world, hours=1)
    answer = world.retry(registration_id)
    shown = body_of(answer)
    assert (answer.status, shown["status"], shown["operation"]["status"]) == (202, "accepted", "pending")
    assert shown["operation"]["id"] != before["operation"]["id"]
    assert shown["operation"]["failure"] is None
    assert answer.headers["Location"] == f"/api/registrations/{registration_id}"
    assert answer.headers["Retry-After"] == "2"
    assert answer.message is not None
    assert json.loads(answer.message)["operationId"] == shown["operation"]["id"]
    due = world.registry.due(world.clock.now() + timedelta(days=1), 10)
    assert DueEntry(registration_id, world.clock.now() + timedelta(minutes=2)) in due


def test_a_retry_succeeds_once_its_cause_is_mended() -> None:
    world = World()
    world.registered(a_resource())
    world.emulator.faults.set(service_management_reference_required=True)
    registration_id = id_of(world.post(a_service_client()))
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "service-management-reference-required"
    world.emulator.faults.clear()
    world.retry(registration_id)
    world.deliver()
    assert world.get(registration_id)["status"] == "active"


def test_a_second_retry_is_a_conflict() -> None:
    world = World()
    registration_id = failed_registration(world)
    assert world.retry(registration_id).status == 202
    again = world.retry(registration_id)
    assert (again.status, body_of(again)["code"], again.message) == (409, "registration-not-failed", None)


class OvertakenRegistry(MemoryRegistry):
    """A registry in which somebody else writes a row between the moment that it is read and the one it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.overtaking = False

    def get(self, registration_id: str) -> Registration | None:
        row = super().get(registration_id)
        if row is not None and self.overtaking:
            self.overtaking = False
            super().replace(row)
        return row


def test_a_retry_that_somebody_overtook_is_judged_anew() -> None:
    registry = OvertakenRegistry()
    world = World(registry=registry)
    registration_id = failed_registration(world)
    registry.overtaking = True
    answers = [world.retry(registration_id) for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 409]
    assert len([each for each in world.queue if not each.poison]) == 1
