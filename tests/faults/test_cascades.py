"""Whatever dies or comes between, a resource goes after its clients, and none that works is left without it."""

import itertools

import pytest

from tests.faults.cascades import (
    CASCADES,
    a_client_comes,
    a_resource_goes,
    list_nobody,
    look_once_for_clients,
    outside_calls,
)
from tests.faults.schedules import answers_in_turn, deaths_between, replay, sampled
from tests.faults.test_grants import calls_reached

# Hundreds of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("scenario", CASCADES)
def test_a_death_at_any_outside_call_is_survived(scenario: str) -> None:
    for schedule in sampled(deaths_between(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", CASCADES)
def test_an_answer_that_is_lost_late_or_refused_in_passing_is_survived_at_any_call(scenario: str) -> None:
    for schedule in sampled(answers_in_turn(scenario)):
        replay(schedule)


@pytest.mark.parametrize("asked", ["deletion", "cascade"])
def test_a_client_may_come_before_any_outside_call_of_its_resources_deletion(asked: str) -> None:
    calls = outside_calls(asked)
    assert calls > 10
    schedules = sampled(f"{asked}: a client comes at {call}" for call in range(calls))
    assert all(replay(schedule) is not None for schedule in schedules)


@pytest.mark.parametrize("how", ["alone", "with it"])
def test_a_resource_may_be_deleted_before_any_outside_call_of_a_clients_request(how: str) -> None:
    assert calls_reached(f"public: its resource is deleted at {{}}, {how}") > 10


def test_a_service_that_lists_no_client_before_its_row_is_found_out() -> None:
    with pytest.raises(AssertionError, match="a client that works has lost its resource"):
        all(a_resource_goes("public", call, "alone", list_nobody) for call in itertools.count())


def test_a_service_whose_runs_do_not_look_for_clients_again_is_found_out() -> None:
    with pytest.raises(AssertionError, match="a client that works has lost its resource"):
        all(a_client_comes("deletion", call, look_once_for_clients) for call in itertools.count())
