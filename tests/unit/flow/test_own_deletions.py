"""A deletion that is delivered after its own effect believes what it finds, and keeps nobody waiting."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.domain.registration import Status
from tests.faults.overlaps import Overlap, deliveries_of
from tests.worlds.checker import check
from tests.worlds.outside import Died, straight
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import live_keys, operations
from tests.worlds.world import World

ANOTHER_SERVER = {"fhirServerUrl": "https://second.contoso.example"}
UPDATE, DELETE, REMOVE_SECRET = "PATCH /*/applications/*", "DELETE /*/applications/*", "DELETE /secrets/*"


def is_deleted(world: World, registration_id: str, within: timedelta) -> None:
    """Deliver what is queued, and nothing else, until it is deleted, which has to be in time."""
    ends_at = world.clock.now() + within
    world.deliver()
    while world.row(registration_id).status is not Status.DELETED:
        world.clock.time = max(world.clock.now(), min(each.visible_at for each in world.queue))
        assert world.clock.now() <= ends_at, "it takes too long"
        world.deliver()
    world.settle()
    check(world)


def has_vault_secret(world: World, registration_id: str) -> bool:
    return world.row(registration_id).secret_name in world.emulator.vault.secrets


@pytest.mark.parametrize(
    "body", [a_service_client(), a_confidential_client(), a_public_client(), a_resource(**ANOTHER_SERVER)]
)
def test_a_young_registration_is_deleted_in_minutes_though_the_answer_to_its_deletion_was_lost(
    world: World, body: Any
) -> None:
    registration_id = str(world.registered(body)["registrationId"])
    world.emulator.faults.add(Fault("reset", "graph.deleteApplication", "after"))
    assert world.delete(registration_id).status == 202
    world.deliver()
    assert not has_vault_secret(world, registration_id)
    is_deleted(world, registration_id, timedelta(minutes=7))


@pytest.mark.parametrize(
    ("body", "call"),
    [(a_resource(**ANOTHER_SERVER), UPDATE), (a_service_client(), DELETE), (a_service_client(), REMOVE_SECRET)],
)
def test_a_young_registration_is_deleted_as_soon_as_the_message_of_a_run_that_died_is_back(
    world: World, body: Any, call: str
) -> None:
    registration_id = str(world.registered(body)["registrationId"])
    world.delete(registration_id)

    def outside(name: str, action: Callable[[], Any]) -> Any:
        result = action()
        if name == call:
            raise Died
        return result

    world.outside = outside
    world.deliver()
    world.outside = straight
    is_deleted(world, registration_id, timedelta(minutes=11))


def test_a_deletion_that_is_delivered_once_more_has_nothing_to_wait_for(world: World) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.delete(registration_id)
    [queued] = world.queue
    world.deliver()
    assert world.row(registration_id).status is Status.DELETED
    world.send(queued.text)
    world.deliver()
    assert (world.queue, world.errors) == ([], [])
    check(world)


def test_two_deliveries_of_a_deletion_are_over_soon_wherever_they_meet() -> None:
    for call in count():
        world = World()
        world.registered(a_resource())
        registration_id = str(world.registered(a_service_client())["registrationId"])
        world.delete(registration_id)
        [queued] = world.queue
        world.queue.clear()
        runs = Overlap(world, deliveries_of(world, queued.text, 2))
        reached = all(runs.step(0) for _ in range(call + 1))
        runs.finish(1)
        runs.finish(0)
        world.outside = straight
        world.send(*(queued.text for job in runs.jobs if job.error is not None))
        met_at = world.clock.now()
        world.settle()
        assert world.row(registration_id).status is Status.DELETED
        assert world.clock.now() - met_at <= timedelta(minutes=15)
        check(world)
        if not reached:
            break


def test_while_no_replica_knows_a_young_application_its_secret_is_gone_from_the_vault_already(world: World) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.emulator.faults.set(replication_lag=20 * 60)
    world.delete(registration_id)
    world.deliver()
    assert world.row(registration_id).status is Status.DELETING
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "not-replicated-yet"
    assert not has_vault_secret(world, registration_id)
    assert live_keys(world, registration_id)
    is_deleted(world, registration_id, timedelta(minutes=25))


def test_while_the_vault_refuses_a_deletion_the_application_is_gone_already(world: World) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    world.emulator.faults.set(vault_denied=True)
    world.delete(registration_id)
    world.deliver()
    assert application.deleted_at is not None
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "vault-denied"
    world.emulator.faults.clear()
    is_deleted(world, registration_id, timedelta(hours=1))


@pytest.mark.parametrize("reads", range(3))
@pytest.mark.parametrize("replicas", [2, 3])
@pytest.mark.parametrize("lost", ["before", None])
def test_a_deletion_that_reached_no_replica_that_knows_the_application_is_sent_again(
    world: World, replicas: int, reads: int, lost: Any
) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.emulator.faults.set(replication_lag=120, replicas=replicas)
    for _ in range(reads):  # whose turn it is to answer
        world.services.directory.find_application("nobody")
    if lost is not None:
        world.emulator.faults.add(Fault("reset", "graph.deleteApplication", lost))
    world.delete(registration_id)
    is_deleted(world, registration_id, timedelta(minutes=12))


def test_a_read_that_finds_nothing_is_believed_five_minutes_after_the_deletion_was_sent_and_no_sooner(
    world: World,
) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.emulator.faults.add(Fault("reset", "graph.deleteApplication", "after"))
    assert world.delete(registration_id).status == 202
    world.deliver()
    [queued] = world.queue
    sent_at = world.row(registration_id).deletion_sent_at
    assert sent_at is not None
    for since, status in ((timedelta(minutes=4), Status.DELETING), (timedelta(minutes=5), Status.DELETED)):
        world.clock.time = queued.visible_at = sent_at + since
        world.deliver()
        assert world.row(registration_id).status is status
    assert world.clock.now() == sent_at + timedelta(minutes=5), "it waits no longer"


def test_of_a_registration_of_more_than_an_hour_it_is_not_kept_when_its_deletion_was_sent(world: World) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.clock.sleep(3600)
    world.delete(registration_id)
    world.deliver()
    row = world.row(registration_id)
    assert (row.status, row.deletion_sent_at) == (Status.DELETED, None)
    assert operations(world)["graph.updateApplication"] == 0, "it had no identifier URI to free"
