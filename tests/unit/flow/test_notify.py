"""Notices on their way: each is taken once in the good case, in order, and none is lost in any other."""

import json
import logging
from datetime import timedelta

import pytest

from provisioning import trail
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import notice_message
from provisioning.domain.notices import HEARTBEAT, REGISTRAR, Notice
from provisioning.flow.notify import announce, send_notices
from provisioning.flow.plan import DUE_AGAIN_AFTER, STALLED_AFTER, waiting_notices
from tests.worlds.checker import check
from tests.worlds.queued import MAX_DEQUEUE_COUNT, PLANNER_PERIOD
from tests.worlds.receiver import WEBHOOK_SECRET, WEBHOOK_TOKEN, Receiver
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.world import World

MINUTE = timedelta(minutes=1)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def world(receiver: Receiver) -> World:
    return World(receiver=receiver)


A, B = ("0badc0de-aaaaaaaa-0000-4000-8000-000000000000", "0badc0de-bbbbbbbb-0000-4000-8000-000000000000")
SHORT = {A: "a", B: "b"}


def put(world: World, subject: str, name: str) -> list[str]:
    """Have a notice wait; return the messages that have it sent."""
    world.clock.sleep(0.001)
    notice = Notice(f"{SHORT.get(subject, subject)}-{name}", HEARTBEAT, subject, world.clock.now(), {"name": name})
    return announce(world.services, notice, None)


def tell(world: World, subject: str, *names: str) -> None:
    for name in names:
        world.send(*put(world, subject, name), about_notices=True)


def pass_time(world: World, duration: timedelta) -> None:
    """Play the platform for so long, a minute at a time."""
    end, next_plan = world.clock.now() + duration, world.clock.now() + PLANNER_PERIOD
    while world.clock.now() < end:
        world.clock.sleep(60)
        if world.clock.now() >= next_plan:
            world.plan()
            next_plan += PLANNER_PERIOD
        world.deliver()


def test_each_notice_is_taken_once_and_in_order(world: World, receiver: Receiver) -> None:
    tell(world, A, "1", "2")
    tell(world, B, "1")
    tell(world, A, "3")
    world.deliver()
    assert [name for name in receiver.ids if name.startswith("a")] == ["a-1", "a-2", "a-3"]
    assert receiver.ids.count("b-1") == 1
    assert (world.registry.notices(), world.queue) == ([], [])
    world.settle()
    assert len(receiver.ids) == 4


def test_a_notice_belongs_to_the_trace_in_which_it_was_put_unless_it_has_its_own(world: World) -> None:
    own = Notice("b-1", HEARTBEAT, B, world.clock.now(), {}, trace_id="b" * 32)
    with trail.following("a" * 32):
        put(world, A, "1")
        announce(world.services, own, None)
    assert {each.id: each.trace_id for each in world.registry.notices()} == {"a-1": "a" * 32, "b-1": "b" * 32}


def test_a_line_about_a_notice_names_the_registration_that_it_is_about_if_it_is_about_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for subject in (A, REGISTRAR):
        put(world, subject, "1")
        send_notices(world.services, subject)
    told = [each.partition(" [")[0] for each in caplog.messages if each.partition(" [")[0].endswith("-1: taken")]
    assert told == [f"registration {A}: notice a-1: taken", f"notice {REGISTRAR}-1: taken"]


def test_what_a_registration_became_reaches_the_receiver_without_a_secret(world: World, receiver: Receiver) -> None:
    world.registered(a_resource())
    client = world.registered(a_service_client())
    world.settle()
    [event] = [each for each in receiver.taken if each["subject"] == client["registrationId"]]
    assert (event["type"], event["subject"]) == ("registration.active", client["registrationId"])
    assert event["data"]["clientId"] == client["clientId"]
    assert event["data"]["secretId"] == client["secret"]["id"]
    assert event["data"]["secretExpiresAt"].startswith(client["secret"]["expiresAt"].removesuffix("Z"))
    check(world)


def test_a_lost_message_is_found_by_the_planner_after_two_minutes(world: World, receiver: Receiver) -> None:
    put(world, A, "1")
    put(world, B, "1")
    assert world.plan() == 0, "its message may still be on its way"
    world.clock.sleep(STALLED_AFTER.total_seconds())
    assert world.plan() == 2, "one message for each subject"
    assert {json.dumps({"subject": name}) for name in (A, B)} == {queued.text for queued in world.queue}
    world.deliver()
    assert sorted(receiver.ids) == ["a-1", "b-1"]
    assert world.plan() == 0


@pytest.mark.parametrize("status", [None, 301, 404, 410, 429, 500, 503])
def test_a_receiver_that_does_not_take_them_loses_nothing_and_changes_no_order(
    world: World, receiver: Receiver, status: int | None
) -> None:
    receiver.status = status
    tell(world, A, "1", "2", "3")
    pass_time(world, timedelta(hours=9))
    tell(world, A, "4")
    assert receiver.taken == []
    receiver.status = 200
    world.settle()
    assert receiver.ids == ["a-1", "a-2", "a-3", "a-4"]


def test_while_the_receiver_is_down_no_messages_pile_up_and_each_subject_is_tried_every_minute_for_a_while(
    world: World, receiver: Receiver
) -> None:
    receiver.status = 503
    subjects = [f"0badc0de-{number:08}-0000-4000-8000-000000000000" for number in range(5)]
    for subject in subjects:
        tell(world, subject, "1", "2")
    pass_time(world, timedelta(hours=1))
    counts = []
    for _ in range(16):
        pass_time(world, timedelta(minutes=30))
        counts.append(len([queued for queued in world.queue if queued.about_notices]))
    assert max(counts) <= len(subjects), "one message for each subject, or none"
    cycle = MAX_DEQUEUE_COUNT * MINUTE + DUE_AGAIN_AFTER
    assert receiver.attempts <= len(subjects) * MAX_DEQUEUE_COUNT * (3 + timedelta(hours=9) / cycle)
    receiver.status = 200
    recovered = world.clock.now()
    world.settle()
    assert world.clock.now() - recovered <= DUE_AGAIN_AFTER + PLANNER_PERIOD + MINUTE
    assert sorted(receiver.ids) == sorted(f"{subject}-{name}" for subject in subjects for name in "12")


def test_a_receiver_that_is_down_delays_no_registration(world: World, receiver: Receiver) -> None:
    receiver.status = None
    tell(world, A, "1")
    world.registered(a_resource())
    world.registered(a_public_client())
    assert world.clock.slept == [0.001], "nothing waited"
    receiver.status = 200
    world.settle()
    check(world)


def test_one_subject_does_not_wait_for_another(world: World, receiver: Receiver) -> None:
    receiver.status = 500
    tell(world, A, "1")
    world.deliver()
    receiver.status = 204
    tell(world, B, "1")
    world.deliver()
    assert receiver.ids == ["b-1"]


def test_a_failed_run_raises_for_the_queue_to_deliver_again(world: World, receiver: Receiver) -> None:
    receiver.status = 500
    put(world, A, "1")
    with pytest.raises(TryAgain) as raised:
        send_notices(world.services, A)
    assert (raised.value.code, raised.value.message) == ("notice-not-taken", "The receiver of notices answered 500.")
    assert receiver.attempts == 1, "it repeats nothing by itself"
    world.clock.sleep(DUE_AGAIN_AFTER.total_seconds() - 1)
    assert waiting_notices(world.services) == []
    world.clock.sleep(1)
    assert waiting_notices(world.services) == [notice_message(A)]


def test_a_message_for_a_subject_without_notices_sends_nothing(world: World, receiver: Receiver) -> None:
    send_notices(world.services, "nobody")
    assert receiver.attempts == 0


def test_where_nobody_is_to_be_told_nothing_is_put_or_sent() -> None:
    world = World()
    assert put(world, A, "1") == []
    assert world.registry.notices() == []
    send_notices(world.services, A)
    world.clock.sleep(3600)
    assert world.plan() == 0


def test_notices_that_waited_when_the_webhook_was_unset_are_no_longer_sent_and_stop_nothing(receiver: Receiver) -> None:
    before = World(receiver=receiver)
    put(before, A, "1")
    after = World(registry=before.registry)
    after.clock.sleep(3600)
    assert after.plan() == 0
    send_notices(after.services, A)
    assert [notice.id for notice in after.registry.notices()] == ["a-1"]


@pytest.mark.parametrize("status", [None, 302, 500, 204])
def test_neither_the_token_in_the_url_nor_the_key_is_logged_raised_or_shown(
    world: World, receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = status
    tell(world, A, "1")
    world.deliver()
    assert "notice a-1: " in caplog.text
    shown = [caplog.text, repr(world.settings), repr(world.registry.notices()), *map(repr, world.errors)]
    for text in (WEBHOOK_TOKEN, WEBHOOK_SECRET, WEBHOOK_SECRET.removeprefix("whsec_"), repr(bytes(range(32)))):
        assert not [each for each in shown if text in each]
