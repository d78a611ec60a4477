"""Secrets are replaced in time, by the planner or when somebody asks, and nobody who uses one is cut off."""

from datetime import timedelta
from typing import Any

import pytest

from dev.emulator.client import Client
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Status
from tests.faults.schedules import MINT
from tests.worlds.checker import check
from tests.worlds.clock import DAY
from tests.worlds.outside import Died, straight
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import code_of, live_keys, operations, rotated_now, text_of, works
from tests.worlds.world import World


def test_the_secret_of_a_service_client_is_replaced_before_it_ends_and_the_old_one_works_on(world: World) -> None:
    client = world.registered(a_service_client())
    registration_id, old = client["registrationId"], text_of(world, client["registrationId"])
    world.live(timedelta(days=165))
    world.settle()
    assert text_of(world, registration_id) != old
    check(world)
    shown = world.get(registration_id)
    assert shown["operation"]["type"] == "rotate"
    assert shown["operation"]["status"] == "succeeded"
    assert len(live_keys(world, registration_id)) == 1


def test_both_secrets_work_during_the_overlap_and_only_the_new_one_after_it(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    old = text_of(world, registration_id)
    rotated_now(world, registration_id)
    new = text_of(world, registration_id)
    world.live(timedelta(days=6, hours=23))
    assert works(world, registration_id, old)
    assert works(world, registration_id, new)
    world.live(timedelta(hours=2))
    assert not works(world, registration_id, old)
    assert works(world, registration_id, new)


def test_rotates_at_tells_when_the_planner_will_do_it(world: World) -> None:
    client = world.registered(a_service_client())
    world.live(8 * DAY)
    row = world.row(client["registrationId"])
    assert row.due_at is not None
    assert row.due_at.strftime("%Y-%m-%dT%H:%M:%SZ") == client["secret"]["rotatesAt"]


@pytest.mark.parametrize(("auto_rotate", "rotations"), [(False, 0), (True, 1)])
def test_a_confidential_client_rotates_by_itself_only_when_it_asked_for_it(
    world: World,
    auto_rotate: bool,  # noqa: FBT001 -- a parameter of the test
    rotations: int,
) -> None:
    client = world.registered(a_confidential_client(autoRotate=auto_rotate))
    world.live(timedelta(days=155))
    versions = world.emulator.vault.secrets[world.row(client["registrationId"]).secret_name.lower()].versions
    assert len(versions) == 1 + rotations
    assert (world.get(client["registrationId"])["secret"]["rotatesAt"] is None) is not auto_rotate


def test_a_confidential_client_without_auto_rotate_rotates_when_somebody_asks(world: World) -> None:
    registration_id = world.registered(a_confidential_client())["registrationId"]
    old = text_of(world, registration_id)
    rotated_now(world, registration_id)
    assert text_of(world, registration_id) != old
    check(world)


def test_a_rotation_whose_run_died_is_due_again_in_two_minutes_and_for_nothing_else(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(160 * 86_400)

    def dies_before_the_mint(name: str, action: Any) -> Any:
        if name == MINT:
            raise Died
        return action()

    world.outside = dies_before_the_mint
    world.plan()
    world.deliver()
    world.outside = straight
    row = world.row(registration_id)
    assert (row.operation.type, row.operation.status) == (OperationType.ROTATE, OperationStatus.PENDING)
    assert row.due_at == row.operation.requested_at + timedelta(minutes=2)
    entries = world.registry.due(world.clock.now() + 999 * DAY, 99)
    assert [each.due_at for each in entries if each.registration_id == registration_id] == [row.due_at]


def test_a_planner_that_comes_late_catches_up(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(175 * 86_400)
    world.plan()
    world.settle()
    check(world)
    assert world.row(registration_id).operation.type is OperationType.ROTATE


def test_two_planners_at_once_rotate_once(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(8 * DAY)
    world.clock.sleep(160 * 86_400)
    assert (world.plan(), world.plan()) == (1, 1)
    world.settle()
    assert len(live_keys(world, registration_id)) == 2
    check(world)


def test_a_rotation_costs_two_vault_reads_one_graph_read_one_mint_the_proof_and_one_write(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.emulator.calls.clear()
    world.deliver()
    operations = [call.operation for call in world.emulator.calls]
    assert sorted(operations) == sorted(
        [
            *2 * ["vault.getSecret"],
            "graph.readApplication",
            "graph.addPassword",
            *3 * ["token.clientCredentials"],
            "vault.setSecret",
        ]
    ), operations


def test_a_rotation_is_refused_while_another_operation_is_pending(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    assert world.rotate(registration_id).status == 202
    answer = world.rotate(registration_id)
    assert (answer.status, code_of(answer)) == (409, "operation-in-progress")


@pytest.mark.parametrize("body", [a_public_client(), a_resource(fhirServerUrl="https://second.contoso.example")])
def test_what_holds_no_secret_cannot_be_rotated(world: World, body: Any) -> None:
    answer = world.rotate(world.registered(body)["registrationId"])
    assert (answer.status, code_of(answer)) == (409, "registration-holds-no-secret")


def test_a_rotation_whose_proof_fails_leaves_the_old_secret_current_and_nothing_behind(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    old, keys = text_of(world, registration_id), live_keys(world, registration_id)
    principal = f"/servicePrincipals/{world.row(registration_id).service_principal_id}"
    assert Client(world.emulator).graph("PATCH", principal, {"accountEnabled": False}).status_code == 204
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.deliver()
    row = world.row(registration_id)
    assert (row.status, row.operation.status) == (Status.ACTIVE, OperationStatus.FAILED)
    assert row.operation.failure is not None
    assert (row.operation.failure.code, bool(row.operation.failure.remedy)) == ("secret-refused", True)
    assert text_of(world, registration_id) == old
    assert live_keys(world, registration_id) == keys


def test_an_application_that_somebody_took_our_mark_from_gets_no_secret(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    mints, object_id = world.mints, world.row(registration_id).application_object_id or ""
    world.services.directory.update_application(object_id, {"tags": ["another"]})
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "application-not-ours"
    assert world.mints == mints


@pytest.mark.parametrize(("age", "is_waited_for"), [(timedelta(minutes=30), True), (timedelta(hours=1), False)])
def test_a_missing_application_is_waited_for_while_a_replica_may_not_have_heard_of_it(
    world: World,
    age: timedelta,
    is_waited_for: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    world.services.directory.delete_application(row.application_object_id or "")
    asked = world.clock.time = row.created_at + age
    world.rotate(registration_id)
    world.deliver()
    operation = world.get(registration_id)["operation"]
    assert (operation["status"], operation["lastError" if is_waited_for else "failure"]["code"]) == (
        ("pending", "not-replicated-yet") if is_waited_for else ("failed", "application-missing")
    )
    assert (world.clock.now() > asked) is is_waited_for


def test_a_failed_rotation_is_tried_again_in_a_day_and_not_before(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(8 * DAY)
    world.emulator.faults.set(password_addition_blocked=True)
    world.clock.sleep(160 * 86_400)
    world.plan()
    world.settle()
    assert world.row(registration_id).operation.status is OperationStatus.FAILED
    world.emulator.faults.clear()
    world.live(timedelta(hours=22))
    assert world.row(registration_id).operation.status is OperationStatus.FAILED
    world.live(timedelta(hours=4))
    assert world.row(registration_id).operation.status is OperationStatus.SUCCEEDED
    check(world)


def test_a_rotation_that_keeps_failing_is_tried_once_a_day_also_when_a_clean_up_is_due(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    world.emulator.faults.set(password_addition_blocked=True)
    world.rotate(registration_id)
    world.live(7 * DAY - timedelta(hours=2))
    world.clock.sleep(3 * 3600)  # the end of the overlap that follows a publication is over
    world.emulator.calls.clear()
    world.plan()
    for _ in range(3):
        world.deliver()
    assert operations(world)["graph.addPassword"] == 2  # once, and once more before the refusal is believed
    assert world.queue == []
    world.emulator.faults.clear()
    world.live(DAY + timedelta(hours=1))
    assert world.row(registration_id).operation.status is OperationStatus.SUCCEEDED
    check(world)
