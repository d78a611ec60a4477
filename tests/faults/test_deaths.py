"""The process dies at any outside call, before it or after its effect, once or twice: nothing is lost or doubled."""

import pytest

from tests.faults.scenarios import SECRETLESS
from tests.faults.schedules import (
    answers_in_turn,
    death_pairs,
    lost_and_refused_answers,
    pairs_after_effects,
    replay,
    sampled,
    single_deaths,
)
from tests.worlds.request_bodies import REQUESTS

# Thousands of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

# A confidential client is provisioned by a service client's calls, in their order: what any two of them may meet is
# played once.
SAME_CALLS = {"confidential": "service"}


@pytest.mark.parametrize(("client_type", "other"), SAME_CALLS.items())
def test_what_is_not_played_twice_makes_the_same_calls(client_type: str, other: str) -> None:
    assert replay(f"{client_type}:").calls == replay(f"{other}:").calls


@pytest.mark.parametrize("client_type", [*REQUESTS, *SECRETLESS])
def test_a_death_at_any_outside_call_is_survived(client_type: str) -> None:
    for schedule in sampled(single_deaths(client_type)):
        replay(schedule)


@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_second_death_at_any_later_call_is_survived_too(client_type: str) -> None:
    for schedule in sampled((pairs_after_effects if client_type in SAME_CALLS else death_pairs)(client_type)):
        replay(schedule)


@pytest.mark.parametrize("client_type", [*REQUESTS, *SECRETLESS])
def test_any_answer_that_is_lost_late_or_refused_in_passing_is_survived(client_type: str) -> None:
    for schedule in sampled((answers_in_turn if client_type in SAME_CALLS else lost_and_refused_answers)(client_type)):
        replay(schedule)
