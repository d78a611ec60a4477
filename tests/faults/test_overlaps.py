"""Several runs of one message at once, stalled and woken anywhere: one application, one current secret that works."""

import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from provisioning.errors import TryAgain
from provisioning.messages import read_message
from provisioning.registration import Status
from tests.checker import check
from tests.faults.overlaps import Overlap
from tests.faults.schedules import PLAYED, REQUESTS, a_world
from tests.world import World

# Thousands of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

STALL = timedelta(minutes=15)
SEEDS = 60


def deliveries(world: World, client_type: str, number: int) -> tuple[str, Overlap]:
    """Submit, and have that many processes take the one message."""
    answer = world.post(REQUESTS[client_type]())
    [queued] = world.queue
    world.queue.clear()
    message = read_message(queued.text.encode())

    def one() -> Callable[[], Any]:
        services = world.new_process()
        return lambda: world.run(services, message)

    overlap = Overlap(world, [one() for _ in range(number)])
    registration_id = json.loads(answer.body)["registrationId"]
    overlap.message = queued.text  # type: ignore[attr-defined]
    return str(registration_id), overlap


def settled(world: World, registration_id: str, overlap: Overlap) -> None:
    """Have every run that ended in an error delivered again, let the platform play, and check."""
    world.outside = lambda _name, action: action()
    for job in overlap.jobs:
        assert job.ended
        if job.error is not None:
            assert isinstance(job.error, TryAgain), job.error
            world.send(overlap.message)  # type: ignore[attr-defined]
    world.violations = [each for each in world.violations if "had a good one" not in each]  # the runs began together
    world.settle()
    check(world)
    assert world.row(registration_id).status is Status.ACTIVE


@pytest.mark.parametrize("stall", [timedelta(0), STALL], ids=["at once", "asleep for a quarter of an hour"])
@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_run_may_stall_at_any_call_while_another_finishes(client_type: str, stall: timedelta) -> None:
    stalled_at, ended = 0, False
    while not ended:
        PLAYED[f"{client_type}: stalls at {stalled_at} for {stall}"] += 1
        world = a_world(client_type)
        registration_id, overlap = deliveries(world, client_type, 2)
        ended = not all(overlap.step(0) for _ in range(stalled_at + 1))
        overlap.finish(1)
        world.clock.sleep(stall.total_seconds())
        overlap.finish(0)
        settled(world, registration_id, overlap)
        stalled_at += 1
    assert stalled_at > 5


@pytest.mark.parametrize("number", [2, 4, 8])
@pytest.mark.parametrize("client_type", REQUESTS)
def test_runs_may_interleave_in_any_order(client_type: str, number: int) -> None:
    for seed in range(SEEDS):
        PLAYED[f"{client_type}: {number} runs, seed {seed}"] += 1
        chance = random.Random(f"{client_type} {number} {seed}")  # noqa: S311 -- picks an order
        world = a_world(client_type)
        registration_id, overlap = deliveries(world, client_type, number)
        alive = list(range(number))
        while alive:
            chosen = chance.choice(alive)
            if chance.random() < 0.02:
                world.clock.sleep(chance.choice([1, 60, 400]))
            if not overlap.step(chosen):
                alive.remove(chosen)
        settled(world, registration_id, overlap)


@pytest.mark.parametrize("client_type", REQUESTS)
def test_the_same_request_sent_twice_at_once_is_one_registration_wherever_they_meet(client_type: str) -> None:
    stalled_at, ended = 0, False
    while not ended:
        PLAYED[f"{client_type}: second POST at {stalled_at}"] += 1
        world = a_world(client_type)
        body = REQUESTS[client_type]()
        overlap = Overlap(world, [lambda: world.post(body, key="same"), lambda: world.post(body, key="same")])  # noqa: B023
        ended = not all(overlap.step(0) for _ in range(stalled_at + 1))
        overlap.finish(1)
        overlap.finish(0)
        world.outside = lambda _name, action: action()
        answers = [job.result for job in overlap.jobs]
        assert [answer.status for answer in answers] == [202, 202]
        [registration_id] = {json.loads(answer.body)["registrationId"] for answer in answers}
        world.settle()
        check(world)
        assert world.row(registration_id).status is Status.ACTIVE
        stalled_at += 1
    assert stalled_at > 3
