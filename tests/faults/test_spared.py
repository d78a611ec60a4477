"""Whatever dies, stalls or is refused in passing: who uses a replaced secret is not cut off, and nobody for ever."""

import pytest

from tests.faults.overlaps import calls_of
from tests.faults.schedules import answers_in_turn, deaths_between, play, replay, sampled
from tests.faults.spared import (
    SPARED,
    ask_nobody_who_uses_it,
    know_no_limit,
    take_silence_for_disuse,
)

# Runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("scenario", SPARED)
def test_a_death_at_any_outside_call_is_survived(scenario: str) -> None:
    for schedule in sampled(deaths_between(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", SPARED)
def test_an_answer_that_is_lost_late_or_refused_in_passing_is_survived_at_any_call(scenario: str) -> None:
    for schedule in sampled(answers_in_turn(scenario)):
        replay(schedule)


def test_a_run_may_stall_at_any_call_while_another_finishes() -> None:
    for schedule in sampled(f"spare: stalls at {call} for 0 min" for call in range(len(calls_of("spare")))):
        assert replay(schedule)


def test_a_service_that_does_not_ask_who_uses_a_secret_is_found_out() -> None:
    play("spare:")
    with pytest.raises(AssertionError, match="a secret was removed that is used still"):
        play("spare:", ask_nobody_who_uses_it)


def test_a_service_that_knows_no_limit_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"outlives its limit|what nobody uses any more lives"):
        play("spare-limit:", know_no_limit)


def test_a_service_that_takes_silence_for_disuse_is_found_out() -> None:
    play("rotate:")
    with pytest.raises(AssertionError, match="a secret was removed that somebody may still use"):
        play("rotate:", take_silence_for_disuse)
