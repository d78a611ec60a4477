"""No outage by rotation: whoever takes the secret from the vault twice in each overlap is never refused a token."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.faults.consumer import TALLY, consume
from tests.faults.schedules import some_of
from tests.faults.weakened import Rule, remove_strays_by_label_alone
from tests.worlds.world import World

# One life told at length: tracing it would double the time.
pytestmark = pytest.mark.no_cover

ROTATIONS = some_of(50)


def ignore_the_overlap(world: World) -> None:
    """Have the service think of an overlap that is a twentieth of what consumers were told."""
    a_minute = timedelta(minutes=1)
    world.exchange(lambda services: replace(services, secrets=replace(services.secrets, overlap=a_minute)))


def test_a_consumer_is_never_refused_through_rotations_with_crashes_lag_and_flapping() -> None:
    consumer, calls = consume(ROTATIONS, one_of=20, seed=1)
    TALLY.update(tokens=consumer.asked, rotations=consumer.rotations, refusals=len(consumer.refused))
    assert consumer.refused == []
    assert consumer.rotations >= ROTATIONS
    deaths = [blow for blow in calls.blows.values() if blow in ("before", "after")]
    assert len(deaths) > ROTATIONS / 2, "hardly anything went wrong"


@pytest.mark.parametrize(("rule", "rotations"), [(remove_strays_by_label_alone, 2), (ignore_the_overlap, 8)])
def test_a_consumer_is_refused_by_a_service_that_removes_too_soon(rule: Rule, rotations: int) -> None:
    consumer, _ = consume(rotations, one_of=20, seed=1, prepare=rule)
    assert any("AADSTS7000215" in refusal for refusal in consumer.refused)
