"""A run that comes after an effect of its own operation takes it for that: a rotation, and what a check finds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.domain.operation import DueEntry, OperationStatus, OperationType
from provisioning.flow.mint import current_secret
from provisioning.flow.plan import next_due
from provisioning.flow.rotate import MOST_CREDENTIALS
from tests.faults.overlaps import Overlap, deliveries_of
from tests.faults.scenarios import has_succeeded
from tests.faults.schedules import MINT, PUBLISH, SAVE
from tests.worlds.checker import check
from tests.worlds.outside import Died, straight
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.steps import live_keys, operations, text_of, works
from tests.worlds.world import World

DAY = timedelta(days=1)
REVOKE = {"revokePrevious": True}
REMOVE = "POST /*/applications/*/removePassword"


def add_credentials(world: World, registration_id: str, number: int, label: str = "by hand") -> None:
    object_id = world.row(registration_id).application_object_id or ""
    for _ in range(number):
        world.services.directory.add_secret(object_id, label, world.clock.now() + 300 * DAY)


def a_full_application(world: World) -> str:
    """Return the id of a registration whose application has room for one secret more."""
    registration_id = str(world.registered(a_service_client())["registrationId"])
    add_credentials(world, registration_id, MOST_CREDENTIALS - 2)
    world.clock.sleep(1)
    return registration_id


def is_rotated(world: World, registration_id: str) -> None:
    has_succeeded(OperationType.ROTATE, world.row(registration_id))


def dies_after(call: str) -> Callable[[str, Callable[[], Any]], Any]:
    """Let the first call of that name take its effect, and nobody live to tell of it."""
    left = [call]

    def outside(name: str, action: Callable[[], Any]) -> Any:
        result = action()
        if name in left:
            left.remove(name)
            raise Died
        return result

    return outside


# --- room for one secret more ---------------------------------------------------------------------------------------


def test_a_leaked_secret_of_a_full_application_is_dead_as_soon_as_it_cannot_be_published_any_more(world: World) -> None:
    registration_id = a_full_application(world)
    leaked, asked_at = text_of(world, registration_id), world.clock.now()
    assert world.rotate(registration_id, REVOKE).status == 202
    world.deliver()
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "revocation-waits"
    while works(world, registration_id, leaked):
        world.clock.time = min(each.visible_at for each in world.queue)
        world.deliver()
    assert world.clock.now() - asked_at <= world.settings.secrets.publish_bound + timedelta(minutes=2)
    is_rotated(world, registration_id)
    world.settle()
    check(world)


@pytest.mark.parametrize(
    ("body", "call"),
    [
        *((None, call) for call in (MINT, PUBLISH, "registry.replace")),
        *((REVOKE, call) for call in (MINT, PUBLISH, REMOVE, "registry.replace")),
    ],
)
def test_a_rotation_of_a_full_application_is_not_failed_by_what_its_own_run_did_before_it_died(
    world: World, body: Any, call: str
) -> None:
    registration_id = a_full_application(world)
    replaced = text_of(world, registration_id)
    assert world.rotate(registration_id, body).status == 202
    world.outside = dies_after(call)
    world.settle()
    is_rotated(world, registration_id)
    assert text_of(world, registration_id) != replaced
    assert works(world, registration_id, replaced) is (body is None)
    check(world)


def test_secrets_that_a_rotation_minted_and_lost_take_no_room_from_it(world: World) -> None:
    registration_id = a_full_application(world)
    world.emulator.faults.add(Fault("reset", "graph.addPassword", "after", times=3))
    world.rotate(registration_id)
    world.settle()
    is_rotated(world, registration_id)
    assert len(live_keys(world, registration_id)) == MOST_CREDENTIALS + 3
    world.live(world.settings.secrets.overlap + 2 * DAY)
    world.settle()
    assert len(live_keys(world, registration_id)) == MOST_CREDENTIALS - 1
    check(world)


def test_a_rotation_that_loses_whatever_it_mints_ends_once_it_has_lost_ten(world: World) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.emulator.faults.add(Fault("reset", "graph.addPassword", "after", times=None))
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.settle()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "too-many-credentials"
    assert len(live_keys(world, registration_id)) == 1 + MOST_CREDENTIALS


def test_what_an_earlier_operation_left_does_take_room(world: World) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    add_credentials(world, registration_id, MOST_CREDENTIALS - 1, world.row(registration_id).credential_label)
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.settle()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "too-many-credentials"


def test_what_two_runs_remove_at_once_is_gone_for_both() -> None:
    """With an overlap of minutes Entra's "I know none" may also be said of what a replica has not heard of."""
    world = World(settings={"SECRET_OVERLAP": "PT20M", "SECRET_ROTATE_BEFORE": "PT6H", "SECRET_LIFETIME": "PT20H"})
    world.registered(a_resource())
    registration_id = str(world.registered(a_service_client())["registrationId"])
    add_credentials(world, registration_id, MOST_CREDENTIALS + 2, world.row(registration_id).credential_label)
    world.clock.sleep(25 * 60)
    world.emulator.faults.set(replication_lag=60)  # the list goes on showing what is gone
    world.rotate(registration_id)
    [queued] = world.queue
    world.queue.clear()
    runs = Overlap(world, deliveries_of(world, queued.text, 2))
    while runs.jobs[0].next_call != REMOVE:
        assert runs.step(0)
    while runs.jobs[1].next_call != MINT:
        assert runs.step(1)
    runs.finish(0)
    is_rotated(world, registration_id)
    runs.finish(1)
    world.outside = straight
    assert [job.error for job in runs.jobs] == [None, None]
    is_rotated(world, registration_id)
    world.settle()
    check(world)


def two_deliveries_of_a_rotation() -> tuple[World, str, Overlap]:
    world = World()
    world.registered(a_resource())
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.clock.sleep(3600)
    world.rotate(registration_id)
    [queued] = world.queue
    world.queue.clear()
    runs = Overlap(world, deliveries_of(world, queued.text, 2))
    return world, registration_id, runs


def test_the_row_shows_the_secret_that_the_vault_calls_current_though_another_run_ended_the_rotation_before() -> None:
    world, registration_id, runs = two_deliveries_of_a_rotation()
    for number in (0, 1):
        while runs.jobs[number].next_call != PUBLISH:
            assert runs.step(number)
    runs.finish(0)
    first = world.row(registration_id)
    assert first.operation.status is OperationStatus.SUCCEEDED
    runs.finish(1)
    world.outside = straight
    assert [job.error for job in runs.jobs] == [None, None]
    row, current = world.row(registration_id), current_secret(world.services, first)
    assert row.secret is not None
    assert current is not None
    assert first.secret is not None
    assert current.key_id not in (None, first.secret.key_id)
    assert (row.secret.key_id, row.secret.id) == (current.key_id, current.id)
    assert row.clean_up_at is not None
    assert row.due_at is not None
    assert row.due_at == next_due(row, world.services.secrets, world.clock.now())
    assert DueEntry(registration_id, row.due_at) in world.services.registry.due(row.due_at, 9)


@pytest.mark.parametrize("meanwhile", ["nothing", "the secret is deleted"])
def test_a_run_that_ended_late_writes_nothing_where_there_is_no_other_secret_to_show(meanwhile: str) -> None:
    world, registration_id, runs = two_deliveries_of_a_rotation()
    while runs.jobs[1].next_call != SAVE:
        assert runs.step(1)
    runs.finish(0)
    before = world.row(registration_id)
    if meanwhile == "the secret is deleted":
        world.services.vault.remove(before.secret_name)
    runs.finish(1)
    world.outside = straight
    assert [job.error for job in runs.jobs] == [None, None]
    assert world.row(registration_id) == before


# --- what a check finds ---------------------------------------------------------------------------------------------


def test_a_check_does_not_report_what_it_has_just_removed() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    registration_id = str(world.registered(a_service_client())["registrationId"])
    add_credentials(world, registration_id, MOST_CREDENTIALS, world.row(registration_id).credential_label)
    world.clock.sleep((world.settings.secrets.overlap + DAY).total_seconds())
    world.reconcile()
    assert len(live_keys(world, registration_id)) == 1
    assert world.get(registration_id)["findings"] == []
    assert [each for each in receiver.taken if each["type"] == "registration.drift"] == []


def test_a_secret_that_was_published_within_the_hour_is_not_reported_as_lost(world: World) -> None:
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.clock.sleep(2 * 86_400)
    world.emulator.faults.set(replication_lag=90 * 60)
    world.rotate(registration_id)
    world.deliver()
    is_rotated(world, registration_id)
    found = []
    for _ in range(3):
        world.reconcile()
        found.append([each["code"] for each in world.get(registration_id)["findings"]])
        world.clock.sleep(3660)
    assert found == [[], ["current-secret-not-listed"], []]


# --- what a tenant was heard to refuse ------------------------------------------------------------------------------


def test_a_tenant_that_refuses_a_secret_in_the_create_call_is_not_asked_again_for_an_hour(world: World) -> None:
    world.emulator.faults.set(inline_secret_refused=True)
    asked = []
    for minutes in (0, 1, 58, 1):
        world.clock.sleep(60 * minutes)
        world.emulator.calls.clear()
        world.registered(a_service_client())
        asked.append(operations(world)["graph.createApplication"])
    assert asked == [2, 1, 1, 2]
    world.emulator.faults.clear()
    world.clock.sleep(3600)
    world.emulator.calls.clear()
    world.registered(a_service_client())
    assert operations(world)["graph.addPassword"] == 0
    check(world)
