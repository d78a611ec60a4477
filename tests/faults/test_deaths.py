"""The process dies at any outside call, before it or after its effect, once or twice: nothing is lost or doubled."""

import pytest

from tests.faults.scenarios import SECRETLESS
from tests.faults.schedules import death_pairs, lost_and_refused_answers, replay, single_deaths
from tests.worlds.request_bodies import REQUESTS

# Thousands of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("client_type", [*REQUESTS, *SECRETLESS])
def test_a_death_at_any_outside_call_is_survived(client_type: str) -> None:
    for schedule in single_deaths(client_type):
        replay(schedule)


@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_second_death_at_any_later_call_is_survived_too(client_type: str) -> None:
    for schedule in death_pairs(client_type):
        replay(schedule)


@pytest.mark.parametrize("client_type", [*REQUESTS, *SECRETLESS])
def test_any_answer_that_is_lost_late_or_refused_in_passing_is_survived(client_type: str) -> None:
    for schedule in lost_and_refused_answers(client_type):
        replay(schedule)
