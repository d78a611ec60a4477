"""Whatever dies, stalls or is refused in passing: what is granted is what the owner of the resource agreed to."""

import itertools

import pytest

from tests.faults.grants import GRANTS, at_once, take_back
from tests.faults.misgranted import grant_what_is_declared, look_once_at_the_list, look_once_at_what_was_taken_back
from tests.faults.schedules import after_effects, answers_in_turn, deaths_between, play, replay, sampled

# Hundreds of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

SEEDS = 3
# What comes before the grant is played of clients that are granted nothing.
LIVES = [scenario for scenario in GRANTS if not scenario.startswith("grant-")]


@pytest.mark.parametrize("scenario", GRANTS)
def test_a_death_at_any_outside_call_is_survived(scenario: str) -> None:
    for schedule in sampled((deaths_between if scenario in LIVES else after_effects)(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", LIVES)
def test_an_answer_that_is_lost_late_or_refused_in_passing_is_survived_at_any_call(scenario: str) -> None:
    for schedule in sampled(answers_in_turn(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", GRANTS)
def test_a_run_may_stall_at_any_call_while_another_finishes(scenario: str) -> None:
    assert calls_reached(f"{scenario}: stalls at {{}} for 9 min") > 2


@pytest.mark.parametrize("then", ["goes on", "dies"])
@pytest.mark.parametrize("scenario", ["agree-service", "agree-public"])
def test_a_run_that_stands_still_while_the_owner_takes_it_back_grants_nothing(scenario: str, then: str) -> None:
    assert calls_reached(f"{scenario}: taken back at {{}}, and then it {then}") > 2


@pytest.mark.parametrize("client_type", ["service", "public"])
@pytest.mark.parametrize("number", [2, 5])
def test_of_clients_that_are_granted_at_once_none_is_lost(number: int, client_type: str) -> None:
    for seed in range(SEEDS):
        replay(f"{number} {client_type} clients at once, seed {seed}")


def calls_reached(schedule: str) -> int:
    """Play the schedule at each call in turn, until there are no more; return how many there were."""
    return next(call for call in itertools.count() if not replay(schedule.format(call)))


def test_a_service_that_does_not_ask_whether_it_was_agreed_to_is_found_out() -> None:
    play("withdraw-service:")
    with pytest.raises(AssertionError, match="more than was agreed to"):
        play("withdraw-service:", grant_what_is_declared)


def test_a_service_that_looks_once_at_what_was_taken_back_is_found_out() -> None:
    calls = calls_reached("agree-service: taken back at {}, and then it dies")
    with pytest.raises(AssertionError, match="other roles than agreed"):
        all(take_back("agree-service", call, "dies", look_once_at_what_was_taken_back) for call in range(calls))


def test_a_service_that_writes_the_list_and_does_not_look_again_is_found_out() -> None:
    # In few orders of their calls do two of them read the list before either writes it.
    with pytest.raises(AssertionError, match="other scopes than were agreed to"):
        [at_once(5, "public", seed, look_once_at_the_list) for seed in range(30)]
