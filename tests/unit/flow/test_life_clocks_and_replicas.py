"""Clocks that differ and replicas that lag cut nobody off, and let nothing live on."""

import json
from datetime import timedelta

import pytest

from tests.faults.conditions import WrongClock
from tests.worlds.checker import check
from tests.worlds.clock import DAY
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import body_in_entra, rotated_now, text_of, works
from tests.worlds.world import World


@pytest.mark.parametrize("seconds", [-300, -5, 5, 300])
def test_no_secret_outlives_its_revocation_or_ends_early_because_the_clock_of_entra_differs(seconds: int) -> None:
    world = World()
    world.clock = WrongClock(world.clock, timedelta(seconds=seconds))
    world.services = world.new_process()
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert not works(world, registration_id, leaked)
    replaced = text_of(world, registration_id)
    world.live(8 * DAY)
    rotated_now(world, registration_id)
    assert works(world, registration_id, replaced)


@pytest.mark.parametrize("body", [{}, {"revokePrevious": True}], ids=["replaced", "revoked"])
@pytest.mark.parametrize("seconds", [-300, -3, 3, 300])
def test_one_secret_is_minted_and_the_old_one_revoked_though_the_clock_of_whoever_asks_differs(
    world: World, seconds: int, body: dict[str, bool]
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    old, skew = text_of(world, registration_id), timedelta(seconds=seconds)
    world.clock.sleep(120)
    world.clock.time += skew
    assert world.rotate(registration_id, body).status == 202
    world.clock.time -= skew
    mints = world.mints
    world.queue[0].visible_at = world.clock.now()
    world.settle()
    assert world.mints == mints + 1
    assert works(world, registration_id, old) is not bool(body)
    world.live(DAY)
    assert world.mints == mints + 1


def test_a_bound_is_only_ever_raised_though_the_clock_of_whoever_asks_differs(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    world.clock.time += timedelta(minutes=5)
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    raised = world.row(registration_id).revoke_before
    world.clock.time -= timedelta(minutes=5)
    assert raised is not None
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    assert (world.row(registration_id).revoke_before or raised) >= raised
    assert (world.row(registration_id).replace_before or raised) >= raised
    world.settle()
    assert not works(world, registration_id, leaked)
    check(world)


def test_a_redirect_uri_that_was_removed_stays_removed_though_a_replica_still_shows_it(world: World) -> None:
    registration_id = world.registered(a_confidential_client())["registrationId"]
    world.clock.sleep(3600)
    world.emulator.faults.set(replication_lag=600)
    for name in ("b", "c"):
        assert world.change(registration_id, {"redirectUris": [f"https://{name}.contoso.example/cb"]}).status == 202
        world.deliver()
    assert body_in_entra(world, registration_id)["web"]["redirectUris"] == ["https://c.contoso.example/cb"]


def test_a_registration_deleted_while_no_replica_knows_its_application_leaves_nothing(world: World) -> None:
    world.emulator.faults.set(replication_lag=90)
    registration_id = json.loads(world.post(a_public_client()).body)["registrationId"]
    while world.get(registration_id)["status"] != "active":
        world.clock.sleep(1)
        world.deliver()
    world.delete(registration_id)
    world.settle()
    check(world)
