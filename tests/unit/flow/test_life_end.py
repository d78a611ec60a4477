"""A registration ends: nothing of it stays live, whatever crosses its deletion."""

import json
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from provisioning.domain.registration import Status
from tests.worlds.checker import check
from tests.worlds.outside import Died, straight
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import code_of, submitted
from tests.worlds.world import World


@pytest.mark.parametrize("body", [a_service_client(), a_confidential_client(), a_public_client()])
def test_a_deleted_registration_leaves_nothing_live_and_stays_as_evidence(world: World, body: Any) -> None:
    registration_id = world.registered(body)["registrationId"]
    answer = world.delete(registration_id)
    assert (answer.status, json.loads(answer.body)["status"]) == (202, "deleting")
    world.deliver()
    assert world.get(registration_id)["status"] == "deleted"
    assert registration_id not in [each["registrationId"] for each in world.list()["value"]]
    assert [each["registrationId"] for each in world.list(status="deleted")["value"]] == [registration_id]
    check(world)


@pytest.mark.parametrize("version", [1, 2])
def test_the_same_fhir_server_can_be_registered_right_after_its_registration_was_deleted(version: int) -> None:
    world = World()
    first = world.registered(a_resource(accessTokenVersion=version))
    world.delete(first["registrationId"])
    world.deliver()
    second = world.registered(a_resource(accessTokenVersion=version))
    assert second["registrationId"] != first["registrationId"]
    world.registered(a_service_client())
    check(world)


def test_a_deletion_is_safe_to_repeat(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    answers = [world.delete(registration_id) for _ in range(2)]
    world.settle()
    answers.append(world.delete(registration_id))
    assert [answer.status for answer in answers] == [202, 202, 202]
    assert answers[2].message is None
    world.settle()
    check(world)


def test_what_is_being_provisioned_cannot_be_deleted_and_what_failed_can(world: World) -> None:
    registration_id = json.loads(world.post(a_service_client(resource="https://fhir.contoso.example")).body)[
        "registrationId"
    ]
    answer = world.delete(registration_id)
    assert (answer.status, code_of(answer)) == (409, "registration-in-progress")
    world.emulator.faults.set(directory_quota_exceeded=True)
    world.deliver()
    assert world.get(registration_id)["status"] == "failed"
    assert world.delete(registration_id).status == 202
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"


def test_a_deletion_supersedes_a_pending_operation_and_says_so(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    rotation = json.loads(world.rotate(registration_id).body)["operation"]["id"]
    assert json.loads(world.delete(registration_id).body)["operation"]["supersedes"] == rotation
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"
    check(world)


@pytest.mark.parametrize("point", ["addPassword", "secrets"])
def test_a_rotation_in_flight_while_its_registration_is_deleted_leaves_nothing(world: World, point: str) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    world.rotate(registration_id)
    [rotation] = world.queue
    done: list[str] = []

    def delete_first(name: str, action: Any) -> Any:
        if name.startswith(("POST", "PUT")) and point in name and not done:
            done.append(name)
            world.delete(registration_id)
            world.queue.remove(rotation)
            world.outside = lambda _name, action: action()
            world.deliver()
            world.queue.append(rotation)
        return action()

    world.outside = delete_first
    world.deliver()
    assert done
    world.settle()
    world.reconcile()
    check(world)


def test_a_deletion_that_cannot_be_done_is_never_given_up_and_says_why(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.set(vault_denied=True)
    world.delete(registration_id)
    with pytest.raises(AssertionError, match="does not settle"):
        world.settle()
    shown = world.get(registration_id)
    assert shown["status"] == "deleting"
    assert shown["operation"]["lastError"]["code"] == "vault-denied"
    world.emulator.faults.clear()
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"
    check(world)


def test_what_a_late_run_left_of_a_deleted_registration_is_gone_after_a_reconciliation(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    world.delete(registration_id)
    world.settle()
    application.deleted_at = None
    application.body.put(world.clock.now(), application.last_body)
    world.emulator.vault.deleted.clear()
    world.emulator.vault.set(row.secret_name, {"value": "late", "tags": {"id": registration_id}})
    world.emulator.faults.set(vault_denied=True)
    with pytest.raises(AssertionError, match="does not settle"):
        world.reconcile()
    failed = world.row(registration_id).last_error
    assert failed is not None
    assert failed.failure.code == "vault-denied"
    world.emulator.faults.clear()
    world.settle()
    assert world.row(registration_id).last_error is None
    assert world.row(registration_id).due_at is None
    check(world)


@pytest.mark.parametrize("asked", ["rotate", "change"])
def test_a_deleted_registration_cannot_be_rotated_or_changed(world: World, asked: str) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.delete(registration_id)
    world.settle()
    answer = world.rotate(registration_id) if asked == "rotate" else world.change(registration_id, {"displayName": "x"})
    assert (answer.status, code_of(answer)) == (409, "registration-not-active")


def test_a_registration_whose_name_somebody_else_holds_can_be_deleted_and_theirs_stays(world: World) -> None:
    registration_id = json.loads(world.post(a_public_client()).body)["registrationId"]
    theirs = {"displayName": "Theirs", "uniqueName": f"fhir-registrar-{registration_id}"}
    assert Client(world.emulator).graph("POST", "/applications", theirs).status_code == 201
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "application-not-ours"
    world.delete(registration_id)
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"
    application = world.emulator.directory.application(unique_name=f"fhir-registrar-{registration_id}")
    assert application is not None
    assert application.deleted_at is None


def test_an_application_of_which_nobody_learnt_is_deleted_with_its_registration(world: World) -> None:
    died: list[str] = []

    def dies_after_the_creation(name: str, action: Any) -> Any:
        answer = action()
        if name == "POST /*/applications" and not died:
            died.append(name)
            raise Died
        return answer

    registration_id = submitted(world, a_service_client())
    world.outside = dies_after_the_creation
    world.deliver()
    world.outside = straight
    world.emulator.faults.add(Fault("status", "graph.*", status=403, times=None))
    world.settle()
    row = world.row(registration_id)
    assert (row.status, row.application_object_id) == (Status.FAILED, None)
    world.emulator.faults.clear()
    world.delete(registration_id)
    world.settle()
    application = world.emulator.directory.application(unique_name=row.unique_name)
    assert application is None or application.deleted_at is not None
    check(world)
