"""Whatever dies or stalls while something waits for an approval: what was agreed to is done, and nothing else."""

import itertools

import pytest

from tests.faults.crossings import PASTS
from tests.faults.schedules import pairs_after_effects, replay, sampled

# Hundreds of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("scenario", ["approve", "deny", "lapse", "approve-change", "deny-change", "lapse-change"])
def test_deaths_at_any_two_outside_calls_are_survived(scenario: str) -> None:
    for schedule in sampled(pairs_after_effects(scenario)):
        replay(schedule)


# What a caller asks for while a run stands still: one that provisions, changes, ends or tells what waits.
@pytest.mark.parametrize(
    ("scenario", "asked"),
    [
        *itertools.product(["approve", "deny", "lapse", "approve-change", "deny-change", "lapse-change"], ["delete"]),
        *itertools.product(["lapse", "lapse-change"], ["approve"]),
        *itertools.product(["ask", "ask-new", "rotate-beside"], ["approve", "deny"]),
        *itertools.product(["ask", "ask-new"], ["delete"]),
        *itertools.product(["approve-change", "deny-change", "lapse-change"], ["contact"]),
    ],
)
def test_a_caller_may_ask_for_something_else_at_any_call_of_a_run(scenario: str, asked: str) -> None:
    assert calls_reached(f"{scenario} meets {asked} at {{}} for 0 min") > 2


# The first stops at each of its calls, while the second is answered.
@pytest.mark.parametrize("past", [past for past in PASTS if past != "secret"])
@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(["approve", "deny", "delete"], 2)])
def test_of_two_callers_who_decide_or_delete_at_once_each_is_told_what_happened(
    past: str, first: str, second: str
) -> None:
    assert calls_reached(f"{past}: {first} crosses {second} at {{}}") > 2


@pytest.mark.parametrize("decision", ["approve", "deny"])
@pytest.mark.parametrize("asked", ["rotate", "revoke"])
def test_a_decision_about_a_change_crosses_a_rotation_that_is_asked_for(decision: str, asked: str) -> None:
    assert calls_reached(f"secret: {decision} crosses {asked} at {{}}") > 2
    assert calls_reached(f"secret: {asked} crosses {decision} at {{}}") > 2


def calls_reached(schedule: str) -> int:
    """Play the schedule at each call in turn, until there are no more; return how many there were."""
    return next(call for call in itertools.count() if not replay(schedule.format(call)))
