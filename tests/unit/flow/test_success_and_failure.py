"""Of two deliveries of one operation one may do it and the other be refused: what was done has succeeded."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any, Final

import pytest

from dev.emulator import Fault
from provisioning.domain.errors import StaleRegistration
from provisioning.domain.operation import DueEntry, OperationStatus
from provisioning.domain.registration import Status
from tests.faults.overlaps import Overlap, deliveries_of
from tests.faults.schedules import MINT
from tests.worlds.checker import check
from tests.worlds.outside import straight
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.steps import submitted, text_of, works
from tests.worlds.world import World

REVOKE: Final = {"revokePrevious": True}
ASKS: Final[dict[str, Callable[[World, str], Any]]] = {
    "rotate": lambda world, registration_id: world.rotate(registration_id),
    "revoke": lambda world, registration_id: world.rotate(registration_id, REVOKE),
    "change": lambda world, registration_id: world.change(registration_id, {"displayName": "New"}),
}
REQUESTS: Final[dict[str, Any]] = {
    "resource": a_resource(fhirServerUrl="https://second.contoso.example"),
    "public": a_public_client(),
    "service": a_service_client(),
}


def asked(what: str, receiver: Receiver | None = None) -> tuple[World, str, str]:
    """Ask for it; return the world, the registration's id and the message, which is not queued any more."""
    world = World(receiver=receiver)
    world.registered(a_resource())
    if what in ASKS:
        registration_id = str(world.registered(a_service_client())["registrationId"])
        world.clock.sleep(3600)
        assert ASKS[what](world, registration_id).status == 202
    else:
        registration_id = submitted(world, REQUESTS[what])
    [queued] = [each for each in world.queue if not each.about_notices]
    world.queue.remove(queued)
    return world, registration_id, queued.text


def finish_refused(runs: Overlap, number: int, world: World) -> None:
    """Have a run end to which Graph and the vault refuse whatever it asks."""
    refusals = [
        world.emulator.faults.add(Fault("status", each, times=None, status=403)) for each in ("graph.*", "vault.*")
    ]
    runs.finish(number)
    for refusal in refusals:
        world.emulator.faults.remove(refusal)


def has_succeeded(world: World, registration_id: str) -> None:
    row = world.row(registration_id)
    assert (row.status, row.operation.status) == (Status.ACTIVE, OperationStatus.SUCCEEDED), row.operation.failure


@pytest.mark.parametrize("what", [*ASKS, *REQUESTS])
def test_an_operation_that_one_delivery_calls_failed_and_another_has_done_has_succeeded(what: str) -> None:
    receiver = Receiver()
    world, registration_id, text = asked(what, receiver)
    runs = Overlap(world, deliveries_of(world, text, 2))
    while runs.jobs[0].next_call != "registry.replace":  # all is done, and not saved
        assert runs.step(0)
    finish_refused(runs, 1, world)
    assert world.row(registration_id).operation.status is OperationStatus.FAILED
    runs.finish(0)
    world.outside = straight
    world.settle()
    has_succeeded(world, registration_id)
    kinds = [each["type"] for each in receiver.taken if each["subject"] == registration_id]
    assert kinds[-2].endswith("failed")
    assert kinds[-1] in ("registration.active", "registration.rotated", "registration.changed")
    check(world)


@pytest.mark.parametrize("what", [*ASKS, *REQUESTS])
def test_a_refusal_that_strikes_a_single_call_fails_nothing(what: str) -> None:
    assert next(call for call in count() if not is_done_though_refused_at(call, what)) > 1


def is_done_though_refused_at(call: int, what: str) -> bool:
    """Refuse one call of all that are made over HTTP; tell whether there were so many."""
    world, registration_id, text = asked(what)
    left = [call]

    def outside(name: str, action: Callable[[], Any]) -> Any:
        if "/" in name:
            if left[0] == 0:
                world.emulator.faults.add(Fault("status", "*", status=403))
            left[0] -= 1
        return action()

    world.outside = outside
    world.send(text)
    world.settle()
    has_succeeded(world, registration_id)
    check(world)
    return left[0] < 0


def test_a_revocation_that_was_asked_for_before_the_rotation_was_called_failed_is_carried_out() -> None:
    world, registration_id, text = asked("rotate")
    leaked = text_of(world, registration_id)
    runs = Overlap(world, deliveries_of(world, text, 2))
    while runs.jobs[0].next_call != MINT:
        assert runs.step(0)
    assert world.rotate(registration_id, REVOKE).status == 202
    world.queue.clear()
    finish_refused(runs, 1, world)
    world.clock.sleep(1)
    runs.finish(0)
    world.outside = straight
    world.settle(timedelta(hours=2))
    has_succeeded(world, registration_id)
    assert not works(world, registration_id, leaked)
    check(world)


@pytest.mark.parametrize("ends", [OperationStatus.SUCCEEDED, OperationStatus.PENDING])
def test_what_a_late_run_made_of_a_deleted_registration_is_deleted_at_once(ends: OperationStatus) -> None:
    world, registration_id, text = asked("service")
    runs = Overlap(world, deliveries_of(world, text, 2))
    runs.go_on_to(0, "POST /*/applications")
    finish_refused(runs, 1, world)
    assert world.delete(registration_id).status == 202
    world.deliver()
    assert world.row(registration_id).status is Status.DELETED
    if ends is OperationStatus.PENDING:
        world.emulator.faults.add(Fault("status", "graph.createServicePrincipal", status=503, times=None))
    runs.finish(0)
    world.outside = straight
    application = world.emulator.directory.application(unique_name=world.row(registration_id).unique_name)
    assert application is not None
    assert application.deleted_at is None
    world.deliver()
    assert application.deleted_at is not None
    check(world)


def test_a_run_that_was_overtaken_leaves_the_next_operation_and_when_it_is_due_alone() -> None:
    world, registration_id, text = asked("rotate")
    runs = Overlap(world, deliveries_of(world, text, 2))
    runs.go_on_to(0, MINT)
    runs.finish(1)
    world.clock.sleep(1)
    assert ASKS["change"](world, registration_id).status == 202
    before = world.row(registration_id)
    runs.finish(0)
    world.outside = straight
    assert isinstance(runs.jobs[0].error, StaleRegistration)
    assert world.row(registration_id) == before
    world.settle()
    has_succeeded(world, registration_id)
    world.reconcile()  # the row shows the other run's secret until somebody looks
    check(world)


def test_of_two_runs_that_both_publish_the_row_shows_the_later_secret_and_names_when_it_is_due() -> None:
    world, registration_id, text = asked("rotate")
    runs = Overlap(world, deliveries_of(world, text, 2))
    runs.go_on_to(0, MINT)
    runs.finish(1)
    world.clock.sleep(60)
    runs.finish(0)
    row = world.row(registration_id)
    current = world.services.vault.current(row.secret_name)
    assert current is not None
    assert row.secret is not None
    assert (runs.jobs[0].error, row.secret.key_id) == (None, current.key_id)
    assert row.due_at == row.clean_up_at == current.created_at + OVERLAP_AND_A_MOMENT
    assert row.due_at is not None
    assert DueEntry(registration_id, row.due_at) in world.registry.due(row.due_at, 100)


OVERLAP_AND_A_MOMENT: Final = timedelta(days=7, seconds=2)


@pytest.mark.parametrize("what", ["public", "service"])
def test_of_two_deliveries_that_did_the_same_the_slower_writes_nothing_and_asks_no_vault_for_what_is_not_there(
    what: str,
) -> None:
    world, registration_id, text = asked(what)
    runs = Overlap(world, deliveries_of(world, text, 2))
    runs.go_on_to(0, "registry.replace")
    runs.finish(1)
    before = world.row(registration_id)
    runs.finish(0)
    assert world.row(registration_id) == before
    assert isinstance(runs.jobs[0].error, StaleRegistration) is (what == "public")
    assert any(each.operation.startswith("vault.") for each in world.emulator.calls) is (what == "service")
