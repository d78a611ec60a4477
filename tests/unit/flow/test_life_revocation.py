"""A leaked secret is dead as soon as a new one is current, whatever else is under way."""

from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.domain.messages import read_message
from provisioning.flow.plan import STALLED_AFTER
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_service_client
from tests.worlds.steps import live_keys, rotated_now, text_of, works
from tests.worlds.world import World


def test_a_leaked_secret_is_dead_as_soon_as_a_new_one_is_current(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    asked = world.clock.now()
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert not works(world, registration_id, leaked)
    assert world.clock.now() - asked < world.settings.secrets.publish_bound + timedelta(minutes=1)
    check(world)


def test_a_leaked_secret_that_was_already_replaced_is_dead_too(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.clock.sleep(3600)
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert not works(world, registration_id, leaked)
    assert len(live_keys(world, registration_id)) == 1


def test_a_secret_leaked_in_its_first_minute_is_dead_when_no_run_can_publish_it_any_more(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(1)
    asked = world.clock.now()
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    world.deliver()
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "revocation-waits"
    while works(world, registration_id, leaked):
        world.clock.time = min(each.visible_at for each in world.queue)
        world.deliver()
    assert world.clock.now() - asked <= world.settings.secrets.publish_bound + timedelta(minutes=1)
    world.settle()
    check(world)


def test_a_revocation_is_not_refused_while_an_operation_is_pending_and_loses_nothing(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    assert world.change(registration_id, {"displayName": "Another name"}).status == 202
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    assert world.row(registration_id).due_at == world.clock.now() + STALLED_AFTER
    world.settle()
    assert not works(world, registration_id, leaked)
    assert world.get(registration_id)["displayName"] == "Another name"
    check(world)


def test_a_revocation_during_a_rotation_has_the_run_go_round_again(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    world.rotate(registration_id)
    first: list[str] = []

    def revoke_before_publication(name: str, action: Any) -> Any:
        if name.startswith("PUT /secrets") and not first:
            first.append(name)
            world.clock.sleep(1)
            assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
        return action()

    world.outside = revoke_before_publication
    world.deliver()
    world.outside = lambda _name, action: action()
    world.settle()
    versions = world.emulator.vault.secrets[world.row(registration_id).secret_name.lower()].versions
    assert len(versions) == 3
    assert len(live_keys(world, registration_id)) == 1
    check(world)


def test_a_revocation_whose_own_secret_entra_lost_removes_nothing_and_calls_a_person_after_an_hour(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    [before] = live_keys(world, registration_id)
    world.clock.sleep(60)
    world.rotate(registration_id, {"revokePrevious": True})
    world.deliver()
    [minted] = set(live_keys(world, registration_id)) - {before}
    world.services.directory.remove_secret(world.row(registration_id).application_object_id or "", minted)
    world.live(timedelta(minutes=55))
    shown = world.get(registration_id)
    assert (shown["operation"]["status"], works(world, registration_id, leaked)) == ("pending", True)
    world.live(timedelta(minutes=40))
    shown = world.get(registration_id)
    assert (shown["operation"]["status"], shown["operation"]["failure"]["code"]) == ("failed", "new-secret-lost")
    assert works(world, registration_id, leaked)


def test_a_secret_that_nobody_may_begin_to_use_any_more_is_not_published_and_is_removed_at_once(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    [before] = live_keys(world, registration_id)
    world.clock.sleep(3600)
    world.rotate(registration_id)
    [rotation] = world.queue
    minted: list[str] = []

    def revoke_while_it_is_proven(name: str, action: Any) -> Any:
        if name.endswith("/token") and not minted and len(live_keys(world, registration_id)) > 1:
            minted.extend(set(live_keys(world, registration_id)) - {before})
            world.clock.sleep(1)
            assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
        return action()

    world.outside = revoke_while_it_is_proven
    world.run(world.services, read_message(rotation.text.encode()))
    world.outside = lambda _name, action: action()
    versions = world.emulator.vault.secrets[world.row(registration_id).secret_name.lower()].versions
    assert len(versions) == 2
    assert minted
    assert not set(minted) & set(live_keys(world, registration_id))
    world.settle()
    check(world)


def test_a_revocation_that_waits_is_in_the_log_at_each_daily_look(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    world.emulator.faults.set(vault_denied=True)
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    world.settle()
    assert world.get(registration_id)["operation"]["status"] == "failed"
    caplog.clear()
    world.clock.sleep(24 * 3600)
    world.reconcile()
    assert f"registration {registration_id}: a revocation waits: the secret in use is a revoked one" in caplog.text
    world.emulator.faults.clear()
    world.emulator.faults.add(Fault("status", "vault.setSecret", status=403, times=None))
    for day in range(1, 4):
        caplog.clear()
        world.clock.sleep(24 * 3600)
        world.reconcile()
        assert f"registration {registration_id}: a revocation waits: 1 revoked secret" in caplog.text, day
        assert works(world, registration_id, leaked)
    world.emulator.faults.clear()
    world.clock.sleep(24 * 3600)
    world.reconcile()
    world.settle()
    assert not works(world, registration_id, leaked)
    caplog.clear()
    world.clock.sleep(24 * 3600)
    world.reconcile()
    assert "a revocation waits" not in caplog.text
    world.emulator.faults.set(vault_denied=True)
    world.clock.sleep(24 * 3600)
    world.reconcile()
    assert [each["code"] for each in world.get(registration_id)["findings"]] == ["vault-denied"]
    assert "a revocation waits" not in caplog.text, "the secret in use is no revoked one"
