"""What is ours and used no more is removed from Entra, and nothing else ever."""

from datetime import datetime, timedelta

import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from provisioning.domain.events import What
from tests.unit.flow.test_life_reconciliation import look_at
from tests.worlds.checker import check
from tests.worlds.clock import DAY
from tests.worlds.outside import done_twice, straight
from tests.worlds.request_bodies import a_service_client
from tests.worlds.steps import live_keys, rotated_now
from tests.worlds.world import World


def test_a_credential_that_is_not_ours_is_reported_and_never_touched(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    minted = world.services.directory.add_secret(application.id, "by hand", world.clock.now() + 300 * DAY)
    world.live(9 * DAY)
    assert minted.key_id in live_keys(world, registration_id)
    assert [each["code"] for each in world.get(registration_id)["findings"]] == ["foreign-credentials"]


def test_a_stray_of_a_crash_is_gone_after_the_overlap(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    stray = world.services.directory.add_secret(
        row.application_object_id or "", row.credential_label, world.clock.now() + 100 * DAY
    )
    world.live(7 * DAY - timedelta(hours=1))
    assert stray.key_id in live_keys(world, registration_id)
    world.live(2 * DAY)
    world.settle()
    assert stray.key_id not in live_keys(world, registration_id)
    check(world)


def test_a_removal_that_fails_is_tried_until_it_is_done(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.emulator.faults.add(Fault("status", "graph.removePassword", status=503, times=None))
    world.live(7 * DAY + timedelta(hours=2))
    assert len(live_keys(world, registration_id)) == 2
    world.emulator.faults.clear()
    world.live(timedelta(hours=2))
    assert len(live_keys(world, registration_id)) == 1


def test_a_secret_that_somebody_else_removes_at_the_same_moment_is_removed_and_the_clean_up_is_over(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.outside = done_twice("POST /*/applications/*/removePassword")
    world.live(8 * DAY)
    world.outside = straight
    assert (len(live_keys(world, registration_id)), world.errors) == (1, [])
    told = [each.what for each in world.registry.events(registration_id, top=99).events]
    assert told.count(What.CREDENTIAL_REMOVED) == 1
    assert world.row(registration_id).clean_up_at is None


def minted_at(world: World, registration_id: str) -> datetime:
    current = world.services.vault.current(world.row(registration_id).secret_name)
    assert current is not None
    return current.minted_at


def test_an_application_full_of_secrets_is_reported_and_not_rotated_any_more_but_a_leak_is_still_revoked(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    for _ in range(8):
        world.services.directory.add_secret(row.application_object_id or "", "by hand", world.clock.now() + 300 * DAY)
    world.live(DAY + timedelta(hours=1))
    assert "credentials-near-limit" in [each["code"] for each in world.get(registration_id)["findings"]]
    rotated_now(world, registration_id)
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "too-many-credentials"
    world.clock.sleep(3600)
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert len(live_keys(world, registration_id)) == 9
    assert world.row(registration_id).revoke_before == minted_at(world, registration_id), "as early as may be"
    world.services.directory.add_secret(row.application_object_id or "", "by hand", world.clock.now() + 300 * DAY)
    world.services.directory.add_secret(row.application_object_id or "", "by hand", world.clock.now() + 300 * DAY)
    world.clock.sleep(3600)
    world.rotate(registration_id)
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "too-many-credentials"


def test_it_is_cleaned_up_when_the_overlap_ends_and_a_day_later_where_entra_does_not_list_what_is_current(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    row = world.row(registration_id)
    assert row.secret is not None
    assert row.secret.published_at is not None
    overlap_ends = row.secret.published_at + world.settings.secrets.overlap + timedelta(seconds=2)
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    application.passwords[:] = [each for each in application.passwords if each.key_id != row.secret.key_id]
    world.clock.sleep(3600)
    look_at(world, registration_id)
    assert world.row(registration_id).clean_up_at == overlap_ends
    world.clock.time = overlap_ends
    look_at(world, registration_id)
    assert world.row(registration_id).clean_up_at == world.row(registration_id).due_at == overlap_ends + DAY
    assert len(live_keys(world, registration_id)) == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_leak_is_revoked_however_full_the_application_is(world: World, *, is_lost: bool) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    for _ in range(10):
        world.services.directory.add_secret(row.application_object_id or "", "by hand", world.clock.now() + 300 * DAY)
    if is_lost:
        for path in (f"/secrets/{row.secret_name}", f"/deletedsecrets/{row.secret_name}"):
            assert Client(world.emulator).vault("DELETE", path).ok
    world.clock.sleep(3600)
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert len(live_keys(world, registration_id)) == 11


def test_a_change_after_the_overlap_does_not_lose_the_clean_up(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.clock.sleep(7 * 86_400 + 60)
    world.change(registration_id, {"displayName": "Renamed"})
    world.settle()
    assert len(live_keys(world, registration_id)) == 1
