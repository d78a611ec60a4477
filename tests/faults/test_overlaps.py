"""Several runs of one message at once, stalled and woken anywhere: one application, one current secret that works."""

import json
import random
from datetime import timedelta

import pytest

from provisioning.registration import Status
from tests.checker import check
from tests.faults.overlaps import STALL, Overlap, deliveries, play_stall, settled
from tests.faults.schedules import PLAYED, REQUESTS, a_world

# Thousands of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

SEEDS = 60


@pytest.mark.parametrize("stall", [timedelta(0), STALL], ids=["at once", "asleep for a quarter of an hour"])
@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_run_may_stall_at_any_call_while_another_finishes(client_type: str, stall: timedelta) -> None:
    stalled_at = 0
    while play_stall(client_type, stalled_at, stall) is not None:
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
