"""Whatever dies, stalls or is refused in passing: the owner of a registration reads its secret, and nobody else."""

import itertools
from collections.abc import Iterable, Iterator

import pytest

from tests.faults.misgranted import compare_no_more, trust_the_row_alone
from tests.faults.overlaps import calls_of
from tests.faults.readers import ASSIGNMENTS, READERS, hand_over
from tests.faults.schedules import answers_in_turn, deaths_between, replay, sampled

# Hundreds of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


def about_readers(schedules: Iterable[str]) -> Iterator[str]:
    """Yield those that strike from the first call to Azure on: what comes before is played of clients without it."""
    begins = dict[str, int]()
    for schedule in schedules:
        scenario = schedule.partition(":")[0]
        if scenario not in begins:
            calls = replay(f"{scenario}:").calls
            begins[scenario] = 1 + next(number for number, name in enumerate(calls) if ASSIGNMENTS in name)
        if int(schedule.rpartition("-")[2]) >= begins[scenario]:
            yield schedule


@pytest.mark.parametrize("scenario", READERS)
def test_a_death_at_any_outside_call_is_survived(scenario: str) -> None:
    for schedule in sampled(about_readers(deaths_between(scenario))):
        replay(schedule)


@pytest.mark.parametrize("scenario", READERS)
def test_an_answer_that_is_lost_late_or_refused_in_passing_is_survived_at_any_call(scenario: str) -> None:
    for schedule in sampled(about_readers(answers_in_turn(scenario))):
        replay(schedule)


@pytest.mark.parametrize("scenario", [scenario for scenario in READERS if scenario != "reads"])
def test_a_run_may_stall_at_any_call_while_another_finishes(scenario: str) -> None:
    calls = len(calls_of(scenario))
    assert calls > 2
    for schedule in sampled(f"{scenario}: stalls at {call} for 9 min" for call in range(calls)):
        replay(schedule)


@pytest.mark.parametrize("then", ["goes on", "dies"])
def test_a_run_that_stands_still_while_the_owner_changes_lets_no_former_owner_read(then: str) -> None:
    assert calls_reached(f"reads: handed over at {{}}, and then it {then}") > 2


def calls_reached(schedule: str) -> int:
    """Play the schedule at each call in turn, until there are no more; return how many there were."""
    return next(call for call in itertools.count() if not replay(schedule.format(call)))


@pytest.mark.parametrize("weakened", [trust_the_row_alone, compare_no_more])
def test_a_service_that_does_not_ask_azure_who_reads_is_found_out(weakened: object) -> None:
    calls = calls_reached("reads: handed over at {}, and then it dies")
    with pytest.raises(AssertionError, match="others read a secret than its owner"):
        all(hand_over(call, "dies", weakened) for call in range(calls))  # type: ignore[arg-type]
