"""Whatever dies, stalls or is refused in passing: what was changed is so at the end, and nothing is lost on the way."""

import pytest

from tests.faults.changes import CHANGES, keep_one_certificate, know_no_overlap
from tests.faults.schedules import answers_in_turn, deaths_between, play, replay, sampled
from tests.faults.test_grants import calls_reached

# Hundreds of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("scenario", CHANGES)
def test_a_death_at_any_outside_call_is_survived(scenario: str) -> None:
    for schedule in sampled(deaths_between(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", CHANGES)
def test_an_answer_that_is_lost_late_or_refused_in_passing_is_survived_at_any_call(scenario: str) -> None:
    for schedule in sampled(answers_in_turn(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", ["exchange"])
def test_a_run_may_stall_at_any_call_while_another_finishes(scenario: str) -> None:
    assert calls_reached(f"{scenario}: stalls at {{}} for 9 min") > 2


@pytest.mark.parametrize("scenario", ["roll", "exchange"])
def test_a_run_that_stands_still_through_a_later_change_does_not_undo_it(scenario: str) -> None:
    assert calls_reached(f"{scenario}: changed again while a run stands still at {{}}") > 2


def test_a_service_that_exchanges_the_list_of_certificates_is_found_out() -> None:
    with pytest.raises(AssertionError, match="one of the two is not there"):
        play("roll:", keep_one_certificate)


def test_a_service_that_knows_no_overlap_is_found_out() -> None:
    with pytest.raises(AssertionError, match="one of the two is not there"):
        play("roll:", know_no_overlap)
