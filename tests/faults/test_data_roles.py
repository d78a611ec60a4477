"""Whatever dies, stalls or is refused in passing: a client has the data roles that somebody agreed to, and no other."""

import itertools
from collections.abc import Iterable, Iterator

import pytest

from tests.faults.data_roles import ASSIGNMENTS, GIVEN, take_back
from tests.faults.misgranted import grant_what_is_declared, look_once_at_what_was_taken_back, take_no_data_role_back
from tests.faults.schedules import answers_in_turn, deaths_between, play, replay, sampled

# Hundreds of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


def about_azure(schedules: Iterable[str]) -> Iterator[str]:
    """Yield those that strike from the first call to Azure on: what comes before is played of clients without it."""
    begins = dict[str, int]()
    for schedule in schedules:
        scenario = schedule.partition(":")[0]
        if scenario not in begins:
            calls = replay(f"{scenario}:").calls
            begins[scenario] = 1 + next(number for number, name in enumerate(calls) if ASSIGNMENTS in name)
        if int(schedule.rpartition("-")[2]) >= begins[scenario]:
            yield schedule


@pytest.mark.parametrize("scenario", GIVEN)
def test_a_death_at_any_outside_call_is_survived(scenario: str) -> None:
    for schedule in sampled(about_azure(deaths_between(scenario))):
        replay(schedule)


@pytest.mark.parametrize("scenario", ["data-changed", "data-revoked"])
def test_an_answer_that_is_lost_late_or_refused_in_passing_is_survived_at_any_call(scenario: str) -> None:
    for schedule in sampled(about_azure(answers_in_turn(scenario))):
        replay(schedule)


@pytest.mark.parametrize("then", ["goes on", "dies"])
def test_a_run_that_stands_still_while_it_is_taken_back_leaves_nothing(then: str) -> None:
    assert calls_reached(f"data-changed: revoked at {{}}, and then it {then}") > 2


def test_a_run_that_stands_still_while_its_client_is_deleted_leaves_nothing() -> None:
    assert calls_reached("data-changed: deleted at {}") > 2


def calls_reached(schedule: str) -> int:
    """Play the schedule at each call in turn, until there are no more; return how many there were."""
    return next(call for call in itertools.count() if not replay(schedule.format(call)))


def test_a_service_that_does_not_ask_whether_it_was_agreed_to_is_found_out() -> None:
    with pytest.raises(AssertionError, match="something else was agreed to"):
        play("data-revoked:", grant_what_is_declared)


def test_a_service_that_takes_nothing_back_is_found_out() -> None:
    with pytest.raises(AssertionError, match="other data roles than were agreed to"):
        play("data-revoked:", take_no_data_role_back)


def test_a_service_that_looks_once_at_what_was_taken_back_is_found_out() -> None:
    calls = calls_reached("data-changed: revoked at {}, and then it dies")
    with pytest.raises(AssertionError, match="other data roles than were agreed to"):
        all(take_back(call, "dies", look_once_at_what_was_taken_back) for call in range(calls))
