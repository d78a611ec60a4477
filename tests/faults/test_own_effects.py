"""A run trips over nothing that its own operation did: near the limits, after each effect, and beside a refusal."""

import itertools

import pytest

from tests.faults.overlaps import calls_of
from tests.faults.scenarios import SECRETLESS, TIGHT
from tests.faults.schedules import after_effects, replay, sampled
from tests.worlds.request_bodies import REQUESTS

# Hundreds of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("scenario", TIGHT)
def test_a_death_or_a_lost_answer_after_any_effect_is_survived_near_the_limits(scenario: str) -> None:
    for schedule in sampled(after_effects(scenario)):
        replay(schedule)


@pytest.mark.parametrize("scenario", [*REQUESTS, *SECRETLESS, "rotate", "revoke", "change", "delete"])
@pytest.mark.parametrize("other", ["done", "unsaved", "dead"])
def test_what_one_delivery_did_has_succeeded_whatever_the_other_is_refused(scenario: str, other: str) -> None:
    calls = (call for call, name in enumerate(calls_of(scenario)) if "/" in name)
    for schedule in sampled(f"{scenario}: refused at {call}, the other {other}" for call in calls):
        replay(schedule)


@pytest.mark.parametrize("scenario", ["rotate", "rotate-full", "rotate-crowded"])
def test_a_run_never_fails_for_what_another_is_doing(scenario: str) -> None:
    schedule = f"{scenario}: overtaken at {{}}"
    assert next(call for call in itertools.count() if not replay(schedule.format(call))) > 3
