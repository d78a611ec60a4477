"""The planner and the poison function: nothing that was accepted vanishes, and nothing piles up."""

import json
from dataclasses import replace
from datetime import timedelta

from dev.emulator import Fault
from provisioning.domain.operation import DueEntry
from provisioning.domain.registration import Status
from provisioning.flow.conclude import GIVEN_UP_AFTER
from provisioning.flow.plan import DUE_AGAIN_AFTER, STALLED_AFTER
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.world import World

MINUTE = timedelta(minutes=1)


def submitted(world: World) -> str:
    return str(json.loads(world.post(a_public_client()).body)["registrationId"])


def pass_time(world: World, duration: timedelta) -> None:
    world.clock.sleep(duration.total_seconds())


def test_a_registration_whose_message_was_lost_is_found_once_it_has_stalled(world: World) -> None:
    registration_id = submitted(world)
    world.queue.clear()
    assert world.plan() == 0, "its message may still be on its way"
    pass_time(world, STALLED_AFTER)
    assert world.plan() == 1
    world.deliver()
    assert world.row(registration_id).status is Status.ACTIVE
    check(world)


def test_the_due_entry_is_there_before_the_row_and_goes_when_the_operation_has_ended(world: World) -> None:
    registration_id = submitted(world)
    [entry] = world.registry.due(world.clock.now() + timedelta(days=1), 10)
    assert entry == DueEntry(registration_id, world.clock.now() + STALLED_AFTER)
    world.deliver()
    assert world.registry.due(world.clock.now() + timedelta(days=1), 10) == []


def test_a_stale_entry_of_a_finished_registration_is_removed_by_its_check_and_nothing_else_happens(
    world: World,
) -> None:
    registration_id = submitted(world)
    world.deliver()
    row = world.row(registration_id)
    world.emulator.calls.clear()
    world.registry.put_due(DueEntry(registration_id, world.clock.now()))
    assert world.plan() == 1
    world.deliver()
    assert world.registry.due(world.clock.now(), 10) == []
    assert (world.emulator.calls, world.row(registration_id)) == ([], row)


def test_an_entry_whose_row_is_still_on_its_way_is_kept_and_one_whose_row_never_came_is_not(world: World) -> None:
    entry = DueEntry("cf4c4732-00000000-0000-4000-8000-000000000000", world.clock.now())
    world.registry.put_due(entry)
    world.plan()
    world.deliver()
    assert world.registry.due(world.clock.now(), 10) == [entry]
    pass_time(world, 10 * MINUTE)
    world.plan()
    world.deliver()
    assert world.registry.due(world.clock.now(), 10) == []


def test_planning_twice_at_once_does_no_harm(world: World) -> None:
    submitted(world)
    pass_time(world, STALLED_AFTER)
    world.plan()
    world.plan()
    world.settle()
    check(world)


def test_the_planner_enqueues_oldest_first_and_writes_nothing(world: World) -> None:
    now = world.clock.now()
    entries = [DueEntry(f"cf4c4732-0000000{n}-0000-4000-8000-000000000000", now - n * MINUTE) for n in range(5)]
    for entry in entries:
        world.registry.put_due(entry)
    world.plan()
    enqueued = [json.loads(queued.text) for queued in world.queue]
    assert [message["registrationId"] for message in enqueued] == [entry.registration_id for entry in reversed(entries)]
    assert {message["operation"] for message in enqueued} == {"check"}
    assert all("operationId" not in message for message in enqueued)
    assert len(world.registry.due(now, 10)) == 5


def test_a_message_of_an_operation_that_is_not_the_rows_does_nothing(world: World) -> None:
    registration_id = submitted(world)
    row = world.row(registration_id)
    world.registry.replace(replace(row, operation=replace(row.operation, id="another")))
    world.emulator.calls.clear()
    world.deliver()
    assert world.row(registration_id).status is Status.ACCEPTED
    assert world.emulator.calls == []


def test_during_an_outage_the_planner_does_not_pile_up_messages(world: World) -> None:
    world.emulator.faults.add(Fault("status", "graph.*", times=None, status=503))
    submitted(world)
    most = 0
    for minute in range(180):
        pass_time(world, MINUTE)
        if minute % 5 == 0:
            world.plan()
        world.deliver()
        most = max(most, len(world.queue))
    assert most <= 3


def test_an_outage_longer_than_all_deliveries_ends_active_once_it_is_over(world: World) -> None:
    rule = world.emulator.faults.add(Fault("status", "graph.*", times=None, status=503))
    registration_id = submitted(world)
    began = world.clock.now()
    while world.clock.now() - began < timedelta(hours=6):
        world.deliver()
        pass_time(world, MINUTE)
        world.plan()
    assert world.row(registration_id).status is Status.ACCEPTED
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "graph-unavailable"
    world.emulator.faults.remove(rule)
    world.settle()
    assert world.row(registration_id).status is Status.ACTIVE
    check(world)


def test_a_passing_error_that_lasts_a_day_ends_failed_with_its_remedy_and_not_before(world: World) -> None:
    world.emulator.faults.add(Fault("status", "graph.*", times=None, status=503))
    registration_id = submitted(world)
    began = world.clock.now()
    world.settle(timedelta(hours=48))
    row = world.row(registration_id)
    assert row.status is Status.FAILED
    assert row.operation.failure is not None
    assert (row.operation.failure.code, bool(row.operation.failure.remedy)) == ("graph-unavailable", True)
    assert GIVEN_UP_AFTER <= row.updated_at - began <= GIVEN_UP_AFTER + timedelta(hours=2)


def test_a_retry_starts_the_day_anew(world: World) -> None:
    world.emulator.faults.add(Fault("status", "graph.*", times=None, status=503))
    registration_id = submitted(world)
    world.settle(timedelta(hours=48))
    world.emulator.faults.clear()
    world.emulator.faults.add(Fault("status", "graph.*", times=30, status=503))
    assert world.retry(registration_id).status == 202
    world.settle()
    assert world.row(registration_id).status is Status.ACTIVE


def test_runs_that_died_without_a_word_are_tried_again_in_half_an_hour(world: World) -> None:
    registration_id = submitted(world)
    [queued] = world.queue
    queued.poison = True
    world.deliver()
    assert world.row(registration_id).status is Status.ACCEPTED
    [entry] = world.registry.due(world.clock.now() + timedelta(days=1), 10)
    assert entry.due_at == world.clock.now() + DUE_AGAIN_AFTER
    world.settle()
    check(world)


def test_runs_that_died_without_a_word_for_a_day_end_failed_with_a_remedy(world: World) -> None:
    registration_id = submitted(world)
    [queued] = world.queue
    queued.poison = True
    pass_time(world, GIVEN_UP_AFTER)
    world.deliver()
    failure = world.row(registration_id).operation.failure
    assert failure is not None
    assert (failure.code, bool(failure.remedy)) == ("provisioning-interrupted", True)


def test_an_unknown_error_ends_failed_with_its_type_and_nothing_of_its_text() -> None:
    world = World()
    world.registered(a_resource())
    marker = "text of the error"

    class Broken:
        def current(self, name: str) -> None:
            raise ZeroDivisionError(marker + name)

    world.services = world.but(vault=Broken())
    registration_id = json.loads(world.post(a_service_client()).body)["registrationId"]
    world.settle()
    row = world.row(registration_id)
    assert row.status is Status.FAILED
    assert row.operation.failure is not None
    assert row.operation.failure.code == "unexpected-error"
    assert "ZeroDivisionError" in row.operation.failure.message
    assert marker not in repr(row)


def test_the_poison_message_of_an_ended_operation_changes_nothing(world: World) -> None:
    registration_id = submitted(world)
    message = world.queue[0].text
    world.deliver()
    row = world.row(registration_id)
    world.send(message)
    world.queue[0].poison = True
    world.deliver()
    assert world.row(registration_id) == row


def test_a_late_message_of_an_earlier_operation_leaves_the_pending_one_its_due_entry(world: World) -> None:
    world.emulator.faults.set(directory_quota_exceeded=True)
    registration_id = submitted(world)
    late = world.queue[0].text
    world.deliver()
    world.emulator.faults.clear()
    world.retry(registration_id)
    world.queue.clear()
    world.send(late)
    world.deliver()
    world.settle()
    assert world.row(registration_id).status is Status.ACTIVE
