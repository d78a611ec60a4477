"""Rotation, clean-up, revocation, change and deletion survive what the beginning survives: deaths, stalls, overlaps."""

import itertools

import pytest

from tests.faults.scenarios import LIVES
from tests.faults.schedules import answers_in_turn, deaths_between, replay, sampled, some_death_pairs

# Thousands of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

# Some differ little from others: in how long they wait, or in what was there before.
NOT_PLAYED_EVERYWHERE = {"revoke-newborn", "ended", "by-hand", "rotate-beside"}
STRUCK = [name for name in LIVES if name not in NOT_PLAYED_EVERYWHERE]
# A page of a reconciliation has no run of a registration that could stall.
STALLED = [name for name in STRUCK if name != "leftovers"]
PAIRS = 4
SEEDS = 4


@pytest.mark.parametrize("scenario", STRUCK)
def test_a_death_at_any_outside_call_is_survived(scenario: str) -> None:
    for schedule in sampled(deaths_between(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", LIVES)
def test_two_deaths_are_survived(scenario: str) -> None:
    for schedule in sampled(some_death_pairs(scenario, PAIRS)):
        replay(schedule)


@pytest.mark.parametrize("scenario", STRUCK)
def test_an_answer_that_is_lost_late_or_refused_in_passing_is_survived_at_any_call(scenario: str) -> None:
    for schedule in sampled(answers_in_turn(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", STALLED)
def test_a_run_may_stall_at_any_call_while_another_finishes(scenario: str) -> None:
    calls_reached(f"{scenario}: stalls at {{}} for 0 min")


@pytest.mark.parametrize("scenario", ["rotate", "due", "revoke", "clean-up", "change", "delete"])
def test_a_run_may_sleep_for_a_quarter_of_an_hour_at_any_call_while_another_finishes(scenario: str) -> None:
    calls_reached(f"{scenario}: stalls at {{}} for 15 min")


@pytest.mark.parametrize("scenario", STALLED)
def test_runs_may_interleave_in_any_order(scenario: str) -> None:
    for schedule in sampled(f"{scenario}: {2 + seed % 3} runs, seed {seed}" for seed in range(SEEDS)):
        replay(schedule)


# What a caller asks for while a run stands still; a rotation or a change may be refused until the run has ended.
@pytest.mark.parametrize(
    ("scenario", "asked"),
    [
        *itertools.product(["rotate", "due", "clean-up", "change"], ["delete", "revoke"]),
        *itertools.product(["clean-up"], ["rotate", "rename"]),
    ],
)
def test_a_caller_may_ask_for_something_else_at_any_call_of_a_run(scenario: str, asked: str) -> None:
    calls_reached(f"{scenario} meets {asked} at {{}} for 0 min")


@pytest.mark.parametrize("scenario", ["rotate", "due", "change"])
def test_what_a_run_leaves_that_wakes_long_after_a_deletion_is_gone_after_a_reconciliation(scenario: str) -> None:
    calls_reached(f"{scenario} meets delete at {{}} for 15 min")


def calls_reached(schedule: str) -> None:
    """Play the schedule at each call in turn, until there are no more."""
    assert next(call for call in itertools.count() if not replay(schedule.format(call))) > 2
