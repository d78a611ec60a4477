"""Waiting inside one delivery: jittered, bounded, obedient, and never for what time does not heal."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.emulator import Fault
from provisioning.domain.errors import NeedsOperator, OutcomeUnknown, ProvisioningError, StaleRegistration, TryAgain
from provisioning.flow.patience import FIRST_WAIT, LONGEST_WAIT, Patience, waits
from tests.worlds.clock import VirtualClock
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.world import World

BUDGET = timedelta(minutes=1)


class Failing:
    """An action that raises the given errors in turn, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def throttled(retry_after: float | None = None) -> TryAgain:
    return TryAgain("graph-throttled", "…", retry_after=retry_after)


@given(failures=st.lists(st.one_of(st.none(), st.floats(0, 120)), max_size=40))
@settings(max_examples=200, deadline=None, database=None)
def test_the_budget_is_never_passed_and_each_retry_after_is_obeyed(failures: list[float | None]) -> None:
    clock = VirtualClock()
    began = clock.now()
    action = Failing(*map(throttled, failures))
    try:
        assert Patience(clock, BUDGET).through(action) == "done"
    except TryAgain:
        assert action.calls <= len(failures)
    assert clock.now() - began <= BUDGET
    for pause, asked in zip(clock.slept, failures, strict=False):
        assert pause >= (asked or 0)
        assert pause > 0


@pytest.mark.parametrize("operation", ["graph.createApplication", "token.clientCredentials", "vault.setSecret"])
def test_what_was_not_answered_once_is_asked_again_within_half_a_second(operation: str) -> None:
    world = World()
    world.registered(a_resource())
    world.emulator.faults.add(Fault("status", operation, status=503))
    world.clock.slept.clear()
    world.registered(a_service_client())
    assert 0 < max(world.clock.slept) <= FIRST_WAIT == 0.5


def test_one_budget_is_shared_by_all_that_a_delivery_does() -> None:
    clock = VirtualClock()
    patience = Patience(clock, BUDGET)
    for seconds in (50, 10):  # to its very end
        assert patience.through(Failing(throttled(seconds))) == "done"
    with pytest.raises(TryAgain):
        patience.through(Failing(throttled()))


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("x", "…"), StaleRegistration(), NeedsOperator("x", "…"), ValueError("x")], ids=type
)
def test_what_must_not_be_repeated_is_raised_at_once(error: Exception) -> None:
    clock, action = VirtualClock(), Failing(error)
    with pytest.raises(type(error)):
        Patience(clock, BUDGET).through(action)
    assert (action.calls, clock.slept) == (1, [])


def test_waits_double_from_half_a_second_to_a_bound_and_differ_between_runs() -> None:
    runs = [list(itertools.islice(waits(), 10)) for _ in range(20)]
    for run in runs:
        assert 0.25 <= run[0] <= 0.5
        assert all(0 < wait <= LONGEST_WAIT for wait in run)
        assert run[-1] >= LONGEST_WAIT / 2
    assert len({run[0] for run in runs}) > 1


def test_every_family_carries_code_message_and_remedy() -> None:
    error = NeedsOperator("code", "message", remedy="remedy", graph_request_id="id")
    assert isinstance(error, ProvisioningError)
    assert (error.code, error.message, error.remedy, error.graph_request_id) == ("code", "message", "remedy", "id")
