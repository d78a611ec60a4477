"""The notices of a life: each comes once, in order, and says what happened."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.domain.messages import Message
from provisioning.domain.operation import Failure, LastError, OperationStatus, OperationType
from provisioning.domain.registration import Registration
from provisioning.flow.conclude import announce_again
from tests.worlds.certificates import a_certificate
from tests.worlds.checker import check
from tests.worlds.clock import DAY
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import MANAGED, a_confidential_client, a_resource, a_service_client
from tests.worlds.steps import rotated_now, submitted
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


@pytest.mark.parametrize(
    ("reconciled", "days"),
    [(DAY, [30, 14, 7, 1]), (99 * DAY, [14, 7, 1])],
    ids=["by whoever looks daily", "by the planner alone"],
)
def test_a_certificate_that_ends_is_told_too(
    reconciled: timedelta, days: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    certificate = a_certificate(world.clock.now() - DAY, 21 * DAY).pem
    registration_id = world.registered(
        a_service_client(credential={"type": "certificate", "certificate": certificate})
    )["registrationId"]
    world.live(21 * DAY, reconciled=reconciled)
    told = [each for each in receiver.taken if each["type"] == "registration.expiring"]
    assert {each["subject"] for each in told} == {registration_id}
    assert [each["data"]["days"] for each in told] == days
    assert f"registration {registration_id}: its certificate ends in 14 days, and nothing replaces it" in caplog.text


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


# --- of a change ----------------------------------------------------------------------------------------------------

NEW_URIS = ["https://new.contoso.example/cb"]
TOLD: dict[str, tuple[dict[str, Any], list[str], str | None]] = {
    "redirect URIs alone": ({"redirectUris": NEW_URIS}, ["redirectUris"], None),
    "a contact alone": ({"contact": "new@contoso.example"}, ["contact"], "team@contoso.example"),
    "both": (
        {"redirectUris": NEW_URIS, "contact": "new@contoso.example"},
        ["contact", "redirectUris"],
        "team@contoso.example",
    ),
    "a field that is taken out": ({"description": None}, ["description"], None),
    "what is as it was beside what is not": (
        {"displayName": "New", "contact": "team@contoso.example"},
        ["displayName"],
        None,
    ),
}


def told_world(**fields: Any) -> tuple[World, str, Receiver]:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    registration_id = world.registered(a_confidential_client(description="d", **fields))["registrationId"]
    world.settle()
    return world, registration_id, receiver


def told_of_change(receiver: Receiver) -> list[tuple[str, Any, Any, Any]]:
    """Return type, contact, former contact and changed fields of each notice about a change."""
    events = [event for event in receiver.taken if "changed" in event["data"]]
    return [(e["type"], e["data"]["contact"], e["data"]["formerContact"], e["data"]["changed"]) for e in events]


@pytest.mark.parametrize(("body", "changed", "former"), TOLD.values(), ids=TOLD)
def test_a_notice_of_a_change_names_the_changed_fields_and_goes_to_the_former_contact_too(
    body: dict[str, Any], changed: list[str], former: str | None
) -> None:
    world, registration_id, receiver = told_world()
    assert world.change(registration_id, body).status == 202
    world.settle()
    contact = body.get("contact", "team@contoso.example")
    assert told_of_change(receiver) == [("registration.changed", contact, former, changed)]
    check(world)


def test_a_former_contact_is_told_of_a_change_that_failed_and_of_the_one_that_brings_it_after_all() -> None:
    world, registration_id, receiver = told_world()
    world.emulator.faults.add(Fault("status", "graph.updateApplication", status=403, times=None))
    world.change(registration_id, {"contact": "new@contoso.example"})
    world.settle()
    world.emulator.faults.clear()
    world.change(registration_id, {"redirectUris": NEW_URIS})
    world.settle()
    assert told_of_change(receiver) == [
        ("registration.change-failed", "new@contoso.example", "team@contoso.example", ["contact"]),
        ("registration.changed", "new@contoso.example", "team@contoso.example", ["contact", "redirectUris"]),
    ]


def test_a_former_contact_is_told_of_the_deletion_that_overtook_the_change() -> None:
    world, registration_id, receiver = told_world()
    world.change(registration_id, {"contact": "new@contoso.example"})
    world.delete(registration_id)
    world.settle()
    assert told_of_change(receiver) == [
        ("registration.deleted", "new@contoso.example", "team@contoso.example", ["contact"])
    ]


def test_whom_a_change_was_told_to_is_forgotten_with_the_next_operation() -> None:
    world, registration_id, receiver = told_world()
    world.change(registration_id, {"contact": "new@contoso.example"})
    world.settle()
    world.rotate(registration_id)
    world.settle()
    assert [each[0] for each in told_of_change(receiver)] == ["registration.changed"]
    assert world.row(registration_id).former_contact is None


@pytest.mark.parametrize("lasts", [True, False])
def test_of_a_deletion_that_was_given_up_somebody_is_told_only_where_a_person_is_needed(lasts: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    world = World(receiver=Receiver())
    identity = world.registered(a_service_client(resource=MANAGED, appRoles=[]))["registrationId"]
    world.settle()
    denied = Fault("status", "vault.*", status=403 if lasts else 503, times=None)
    world.emulator.faults.add(denied)
    world.delete(identity)
    world.deliver()
    [message] = world.queue
    message.poison, message.visible_at = True, world.clock.now()
    world.deliver()
    assert [each.type for each in world.registry.notices()] == (["registration.drift"] if lasts else [])


def test_how_an_operation_ended_is_told_again_for_an_entry_of_its_own_and_of_nothing_that_has_not_ended() -> None:
    world = World(receiver=Receiver())
    row = world.row(world.registered(a_service_client(resource=MANAGED, appRoles=[]))["registrationId"])
    asked_at = row.operation.requested_at
    last = asked_at + timedelta(hours=25)  # a day until it is given up, and two looks of half an hour

    def told(due_at: datetime | None, row: Registration = row) -> bool:
        return announce_again(world.services, Message(row.id, "check", due_at=due_at), row) != []

    times = (asked_at, last - timedelta(seconds=1), last, None)
    assert [told(each) for each in times] == [True, True, False, False]
    assert not told(asked_at, replace(row, due_at=asked_at)), "it is there to be acted on"
    others = (
        replace(row, last_error=LastError(Failure("a", "b", "c"), passing=True)),
        replace(row, operation=replace(row.operation, status=OperationStatus.AWAITING_APPROVAL)),
        replace(row, operation=replace(row.operation, type=OperationType("another"))),
    )
    assert [told(asked_at, each) for each in others] == [False, False, False]


@pytest.mark.parametrize(
    ("age", "told"), [(DAY - timedelta(seconds=1), []), (DAY, ["registration.failed"])], ids=["young", "a day old"]
)
def test_that_an_operation_was_given_up_is_told_and_it_is_not_given_up_within_a_day(
    age: timedelta, told: list[str]
) -> None:
    world = World(receiver=Receiver())
    registration_id = submitted(world, a_service_client(resource=MANAGED, appRoles=[]))
    [message] = world.queue
    world.clock.time = message.visible_at = world.row(registration_id).operation.requested_at + age
    message.poison = True
    world.deliver()
    assert [each.type for each in world.registry.notices()] == told
    assert world.row(registration_id).status == ("failed" if told else "accepted")
    due_at = None if told else world.clock.now() + timedelta(minutes=30)
    assert (world.row(registration_id).due_at, world.errors) == (due_at, [])
    entries = world.registry.due(world.clock.now() + DAY, 99)
    assert [each.due_at for each in entries] == ([] if told else [due_at])


def test_a_message_that_was_given_up_decides_about_no_other_operation() -> None:
    world = World(receiver=Receiver())
    registration_id = world.registered(a_service_client(resource=MANAGED, appRoles=[]))["registrationId"]
    world.settle()
    world.rotate(registration_id)
    [rotation] = world.queue
    world.delete(registration_id)
    world.queue[:], rotation.poison, before = [rotation], True, world.row(registration_id)
    world.deliver()
    assert (world.row(registration_id), world.queue, world.registry.notices()) == (before, [], [])
