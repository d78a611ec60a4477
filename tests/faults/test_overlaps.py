"""Several runs of one message at once, stalled and woken anywhere: one application, one current secret that works."""

import itertools

import pytest

from tests.faults.schedules import replay, sampled
from tests.faults.test_deaths import SAME_CALLS
from tests.worlds.request_bodies import REQUESTS

# Thousands of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

SEEDS = 40


def calls_reached(schedule: str) -> int:
    """Play the schedule at each call in turn, until there are no more; return how many there were."""
    return next(call for call in itertools.count() if not replay(schedule.format(call)))


@pytest.mark.parametrize("minutes", [0, 15], ids=["at once", "asleep for a quarter of an hour"])
@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_run_may_stall_at_any_call_while_another_finishes(client_type: str, minutes: int) -> None:
    assert calls_reached(f"{client_type}: stalls at {{}} for {minutes} min") > 4


@pytest.mark.parametrize("number", [2, 4, 8])
@pytest.mark.parametrize("client_type", REQUESTS)
def test_runs_may_interleave_in_any_order(client_type: str, number: int) -> None:
    seeds = range(SEEDS // 4 if client_type in SAME_CALLS else SEEDS)
    for schedule in sampled(f"{client_type}: {number} runs, seed {seed}" for seed in seeds):
        replay(schedule)


@pytest.mark.parametrize("client_type", REQUESTS)
def test_the_same_request_sent_twice_at_once_is_one_registration_wherever_they_meet(client_type: str) -> None:
    assert calls_reached(f"{client_type}: second POST at {{}}") > 2
