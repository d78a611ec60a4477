"""Many instances share one limit of Graph's, and none knows of another: in virtual time, with the real `Pace`."""

import heapq
import itertools
import random
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.adapters.pace import MOST_PER_SECOND, WINDOW, Pace
from provisioning.domain.errors import TryAgain

BEGAN = datetime(2026, 1, 15, 12, tzinfo=UTC)
THREADS = 24  # batchSize 16 and newBatchThreshold 8
COMES_BACK = 60.0  # the visibility time-out of host.json
SETTLED = 900.0
LASTS = 1500.0


class Limit:
    """3,000 writes in any 150 s, as Graph documents it; a refused write counts as well, or does not."""

    def __init__(self, *, refused_count: bool) -> None:
        self._refused_count = refused_count
        self._taken: deque[float] = deque()

    def takes(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - WINDOW.total_seconds():
            self._taken.popleft()
        taken = len(self._taken) < MOST_PER_SECOND * WINDOW.total_seconds()
        if taken or self._refused_count:
            self._taken.append(now)
        return taken


class InstanceClock:
    """The time of one instance: sleeping moves its own time alone."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Fleet:
    """Instances whose threads write as fast as their pace lets them; the queue brings back what is left to it."""

    def __init__(self, size: int, limit: Limit, retry_after: float | None) -> None:
        self._limit = limit
        self._retry_after = retry_after
        self._rng = random.Random(size)  # noqa: S311 -- latencies
        self._clocks = [InstanceClock() for _ in range(size)]
        self._paces = [Pace(clock) for clock in self._clocks]
        self._events: list[tuple[float, int, str, int]] = []
        self._numbers = itertools.count()
        self.taken: list[float] = []
        self.refused: list[float] = []
        self.by_instance = [0] * size
        for instance in range(size):
            for _ in range(THREADS):
                self._then(self._rng.random(), "ask", instance)

    def _then(self, when: float, what: str, instance: int) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), what, instance))

    def live(self, seconds: float) -> None:
        """Let so much time pass."""
        while self._events[0][0] < seconds:
            now, _, what, instance = heapq.heappop(self._events)
            self._clocks[instance].seconds = now
            getattr(self, f"_{what}")(now, instance)

    def _ask(self, now: float, instance: int) -> None:
        try:
            self._paces[instance].wait()
        except TryAgain as left:
            self._then(now + min(left.retry_after or 0, COMES_BACK) + self._rng.random(), "ask", instance)
        else:
            self._then(self._clocks[instance].seconds, "write", instance)

    def _write(self, now: float, instance: int) -> None:
        answered = now + self._rng.uniform(0.1, 0.3)
        if self._limit.takes(now):
            self.taken.append(now)
            self.by_instance[instance] += 1
            self._then(answered, "took", instance)
        else:
            self.refused.append(now)
            self._then(answered, "refused", instance)

    def _took(self, now: float, instance: int) -> None:
        self._paces[instance].let_through()
        self._then(now, "ask", instance)

    def _refused(self, now: float, instance: int) -> None:
        self._paces[instance].slow_down(self._retry_after)
        self._then(now + self._rng.random(), "ask", instance)


@pytest.mark.parametrize("retry_after", [None, 30.0])
@pytest.mark.parametrize("refused_count", ["refused writes count", "refused writes do not count"])
@pytest.mark.parametrize("size", [5, 20, 100])
def test_a_fleet_finds_the_limit_uses_half_of_it_at_least_and_nobody_is_left_out(
    size: int, refused_count: str, retry_after: float | None
) -> None:
    fleet = Fleet(size, Limit(refused_count=refused_count == "refused writes count"), retry_after)
    fleet.live(LASTS)
    taken = sum(when > SETTLED for when in fleet.taken) / (LASTS - SETTLED)
    refused = sum(when > SETTLED for when in fleet.refused) / (LASTS - SETTLED)
    assert taken >= MOST_PER_SECOND / 2, f"{taken:.1f} a second are let through"
    assert refused <= taken / 3, f"{refused:.1f} a second are refused"
    assert min(fleet.by_instance) >= sum(fleet.by_instance) / size / 10
