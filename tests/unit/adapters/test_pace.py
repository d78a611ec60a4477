"""How writes to Graph are spaced out once Graph has asked for patience."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.emulator.faults import Fault
from provisioning.adapters.pace import MOST_PER_SECOND, Pace
from provisioning.domain.errors import TryAgain
from tests.worlds.clock import VirtualClock
from tests.worlds.world import World


def turns(pace: Pace, clock: VirtualClock, count: int) -> list[float]:
    """Return the seconds from now at which so many writes are sent, one after the other."""
    begun, sent = clock.now(), list[float]()
    for _ in range(count):
        pace.wait()
        sent.append((clock.now() - begun).total_seconds())
    return sent


def busy(pace: Pace, clock: VirtualClock) -> None:
    """Have it write for ten seconds as fast as Graph lets it."""
    for _ in range(200):
        clock.time += timedelta(seconds=1 / MOST_PER_SECOND)
        pace.let_through()


def test_a_process_that_is_alone_goes_on_a_little_slower_than_the_limit() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    busy(pace, clock)
    pace.slow_down(1)
    sent = turns(pace, clock, 20)
    assert 0.9 < 19 / (sent[-1] - sent[0]) / MOST_PER_SECOND < 1


@pytest.mark.parametrize(("lull", "share"), [(3, MOST_PER_SECOND / 2), (3.1, MOST_PER_SECOND), (60, MOST_PER_SECOND)])
def test_what_it_wrote_before_a_lull_takes_nothing_from_its_share(lull: float, share: float) -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    for _ in range(10):  # a caller now and then, and then five hundred at once
        pace.wait()
        pace.let_through()
        clock.time += timedelta(seconds=lull)
    for _ in range(200):
        pace.wait()
        clock.time += timedelta(seconds=1 / MOST_PER_SECOND)
        pace.let_through()
    pace.slow_down(1)
    sent = turns(pace, clock, 20)
    assert 0.9 < 19 / (sent[-1] - sent[0]) / share < 1


def test_nor_does_it_add_to_its_share() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    busy(pace, clock)
    clock.time += timedelta(seconds=4)
    for _ in range(150):
        pace.wait()
        clock.time += timedelta(seconds=1 / 15)
        pace.let_through()
    pace.slow_down(1)
    sent = turns(pace, clock, 20)
    assert 0.9 < 19 / (sent[-1] - sent[0]) / 15 < 1


def test_a_share_is_that_of_the_last_two_and_a_half_minutes() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    busy(pace, clock)
    for _ in range(160 * 15):
        clock.time += timedelta(seconds=1 / 15)
        pace.let_through()
    clock.time += timedelta(seconds=20)
    pace.slow_down(1)
    sent = turns(pace, clock, 20)
    assert 0.9 < 19 / (sent[-1] - sent[0]) / (15 * 130 / 150) < 1


def test_a_share_is_that_of_the_whole_time_since_it_became_busy() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    for _ in range(150):  # fifteen a second, for ten seconds: all that Graph lets through of this process
        clock.time += timedelta(seconds=1 / 15)
        pace.let_through()
    pace.slow_down(1)
    sent = turns(pace, clock, 20)
    assert 0.9 < 19 / (sent[-1] - sent[0]) / 15 < 1


def test_nothing_waits_before_graph_refuses_a_write() -> None:
    clock = VirtualClock()
    assert set(turns(Pace(clock), clock, 1000)) == {0.0}


@pytest.mark.parametrize(("asked_for", "waited"), [(7.0, 7.0), (None, 1.0), (0.0, 1.0)])
def test_after_a_refusal_all_wait_as_long_as_graph_says_and_a_second_at_least(
    asked_for: float | None, waited: float
) -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    pace.let_through()
    pace.slow_down(asked_for)
    [sent] = turns(pace, clock, 1)
    assert waited <= sent <= waited + 0.2
    clock.time += timedelta(seconds=2)
    pace.wait()
    assert len(clock.slept) == 1, "whose turn has come does not wait"


def test_a_refusal_at_the_end_of_the_pause_is_another_one() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    pace.slow_down(1)
    clock.time += timedelta(seconds=1)
    pace.slow_down(1)
    assert turns(pace, clock, 1)[0] >= 2


@pytest.mark.parametrize("asked_for", [31.0, 3600.0])
def test_what_is_longer_than_half_a_minute_is_left_to_the_queue_and_takes_nobodys_turn(asked_for: float) -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    pace.slow_down(asked_for)
    for _ in range(3):
        with pytest.raises(TryAgain) as left:
            pace.wait()
        assert left.value.retry_after == pytest.approx(asked_for, abs=0.2)
    assert clock.slept == []
    clock.time += timedelta(seconds=asked_for)
    assert turns(pace, clock, 1)[0] <= 0.2


def test_refusals_in_succession_are_waited_out_twice_as_long_each_time() -> None:
    clock, waited = VirtualClock(), list[float]()
    pace = Pace(clock)
    for _ in range(5):
        pace.slow_down(None)
        waited += turns(pace, clock, 1)
    assert all(2**number <= each <= 2**number + 9 for number, each in enumerate(waited)), waited
    pace.let_through()
    pace.slow_down(None)
    assert turns(pace, clock, 1)[0] <= 16, "not 32"


@settings(deadline=None)
@given(refusals=st.lists(st.floats(0, 30), min_size=1, max_size=20), writes=st.integers(20, 200))
def test_after_a_refusal_no_second_has_more_writes_than_graph_lets_through(refusals: list[float], writes: int) -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    for seconds in refusals:
        pace.slow_down(seconds)
    pace.let_through()
    clock.time += timedelta(seconds=60)
    sent = turns(pace, clock, writes)
    assert all(sum(each <= other < each + 1 for other in sent) <= MOST_PER_SECOND for each in sent)


def test_refusals_of_what_was_sent_before_the_pause_count_once() -> None:
    paces = []
    for refusals in (1, 50):
        clock = VirtualClock()
        pace = Pace(clock)
        for _ in range(refusals):
            pace.slow_down(1)
        paces.append(turns(pace, clock, 100)[-1])
    assert paces[0] == pytest.approx(paces[1], abs=0.2)


def test_each_later_refusal_makes_it_slower() -> None:
    clock, lasted = VirtualClock(), list[float]()
    pace = Pace(clock)
    for _ in range(5):
        pace.slow_down(1)
        sent = turns(pace, clock, 100)
        lasted.append(sent[-1] - sent[0])
    assert lasted == sorted(lasted)
    assert lasted[-1] > 1.3 * lasted[0]


def test_however_often_it_is_refused_a_write_a_minute_is_sent() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    for _ in range(100):
        pace.slow_down(0)
        clock.time += timedelta(seconds=151)
    began, sent = clock.now(), 0
    while clock.now() - began < timedelta(minutes=5):
        try:
            pace.wait()
            sent += 1
        except TryAgain as error:
            clock.sleep(error.retry_after or 0)
    assert 5 <= sent <= 7


@pytest.mark.parametrize("refusals", [1, 1000])
def test_after_years_nothing_waits(refusals: int) -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    for _ in range(refusals):
        pace.slow_down(0)
    clock.time += timedelta(days=4000)
    assert set(turns(pace, clock, 1000)) == {0.0}


def test_without_another_refusal_nothing_waits_in_the_end() -> None:
    clock = VirtualClock()
    pace = Pace(clock)
    busy(pace, clock)
    pace.slow_down(1)
    clock.time += timedelta(minutes=5)
    between = turns(pace, clock, 11)
    assert 1 / MOST_PER_SECOND > (between[-1] - between[0]) / 10 > 0
    clock.time += timedelta(minutes=6)
    assert set(turns(pace, clock, 1000)) == {0.0}


def test_what_one_run_is_refused_all_writes_of_the_process_wait_for_and_no_read() -> None:
    world = World()
    directory = world.services.directory
    application = directory.create_application({"displayName": "An application", "signInAudience": "AzureADMyOrg"})
    world.emulator.faults.add(Fault("throttle", "graph.createApplication", retry_after=9))
    begun = world.clock.now()
    with pytest.raises(TryAgain):
        directory.create_application({"displayName": "Another", "signInAudience": "AzureADMyOrg"})
    assert directory.read_application(application.object_id) is not None
    assert world.clock.now() == begun
    directory.create_service_principal(application.client_id)
    spread = (
        2 / MOST_PER_SECOND / 0.95
    )  # by chance it comes back within its first turn, at little less than half the pace
    assert 9 <= (world.clock.now() - begun).total_seconds() <= 9 + spread


def test_a_write_that_went_through_between_two_refusals_has_them_wait_no_longer_than_at_first() -> None:
    world = World()
    directory, body = world.services.directory, {"displayName": "An application", "signInAudience": "AzureADMyOrg"}
    for _ in range(5):
        world.emulator.faults.add(Fault("throttle", "graph.createApplication", retry_after=0))
        with pytest.raises(TryAgain):
            directory.create_application(body)
        begun = world.clock.now()
        directory.create_application(body)
        assert world.clock.now() - begun < timedelta(seconds=2)
        world.clock.sleep(3600)


def test_another_process_does_not_wait() -> None:
    world = World()
    world.emulator.faults.add(Fault("throttle", "graph.createApplication", retry_after=9))
    begun = world.clock.now()
    body = {"displayName": "An application", "signInAudience": "AzureADMyOrg"}
    with pytest.raises(TryAgain):
        world.services.directory.create_application(body)
    world.new_process().directory.create_application(body)
    assert world.clock.now() == begun
