"""How fast this process writes to Microsoft Graph, once Graph has asked it for patience."""

import random
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.domain.errors import TryAgain
from provisioning.ports import Clock

# An app may write 3,000 times in 150 s in one tenant, and refused writes count, too.
# Sources: "Microsoft Graph service-specific throttling limits", "Microsoft Graph throttling guidance".
MOST_PER_SECOND: Final = 20.0
WINDOW: Final = timedelta(seconds=150)
LEAST_PER_SECOND: Final = 1 / 60  # a thousand processes, as many as an app can have, stay below the limit with it
LONGEST_WAIT: Final = 30.0  # what is longer, each run leaves to the queue for itself
_SHARE: Final = 0.95
_DOUBLES_IN: Final = timedelta(minutes=10)
_MOST_DOUBLINGS: Final = 12.0  # from the least to more than twice the most
_FIRST_PAUSE: Final = 1.0
# So long after its turn nobody has come who wants to write.
_LULL: Final = timedelta(seconds=3)


class Pace:
    """Has the threads of a process share what Graph lets through, and the process find its share among others.

    Nothing waits until Graph refuses a write. Then all wait as long as it says, and go on one after the other, a little
    slower than Graph has let them through so far: that is this process's share of the limit, however many others there
    are. Refusals in succession are waited out twice as long each time, because refused writes count, and only waiting
    makes room. The pace doubles in ten minutes without a refusal, until nothing waits again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._let_through: deque[datetime] = deque()
        self._busy_since = datetime.min.replace(tzinfo=UTC)
        self._slowed_at: datetime | None = None
        self._per_second = MOST_PER_SECOND
        self._turn = self._pause_ends = datetime.min.replace(tzinfo=UTC)
        self._in_succession = 0

    def wait(self) -> None:
        """Return when it is the caller's turn to write; raise TryAgain where that is more than half a minute away."""
        with self._lock:
            now = self._clock.now()
            self._forget_before_a_lull(now)
            per_second = self._pace(now)
            if per_second is None:
                return
            turn = max(now, self._turn)
            away = (turn - now).total_seconds()
            if away > LONGEST_WAIT:
                raise TryAgain(
                    "graph-throttled",
                    "Microsoft Graph asks for fewer requests.",
                    remedy="If it lasts, see who else writes to Entra by this app's identity, then retry.",
                    retry_after=away,
                )
            self._turn = turn + timedelta(seconds=1 / per_second)
        if away > 0:
            self._clock.sleep(away)

    def let_through(self) -> None:
        """Note that Graph took a write, or refused it for another reason than the number of writes."""
        with self._lock:
            now = self._clock.now()
            self._forget(now)
            if not self._let_through and self._slowed_at is None:
                self._busy_since = now
            self._let_through.append(now)
            self._in_succession = 0

    def slow_down(self, retry_after: float | None) -> None:
        """Have the writes that have no turn yet wait so many seconds, and then come more slowly.

        Refusals that come while all wait are of writes that were sent before, and tell nothing new.
        """
        with self._lock:
            now = self._clock.now()
            if now < self._pause_ends:
                return
            share = self._share(now, self._pace(now) or MOST_PER_SECOND)
            self._per_second = max(_SHARE * share, LEAST_PER_SECOND)
            self._slowed_at = now
            pause = min(_FIRST_PAUSE * 2**self._in_succession, WINDOW.total_seconds())
            self._in_succession += 1
            self._pause_ends = now + timedelta(seconds=pause if retry_after is None else max(pause, retry_after))
            # Processes that were refused together do not come back together.
            spread = random.random() / self._per_second  # noqa: S311 -- spreads load; protects nothing
            self._turn = max(self._turn, self._pause_ends) + timedelta(seconds=spread)

    def _share(self, now: datetime, per_second: float) -> float:
        """Return how many writes a second Graph lets through of this process: half as many as it sends, up to all.

        What it let through before this process was ever slowed down may have been in a shorter time than its window.
        """
        self._forget(now)
        took = min(max((now - self._busy_since).total_seconds(), 1.0), WINDOW.total_seconds())
        return min(per_second, max(len(self._let_through) / took, per_second / 2))

    def _forget_before_a_lull(self, now: datetime) -> None:
        """A process that had nothing to write was let through little, and that is not its share."""
        last = self._let_through[-1] if self._let_through else self._busy_since
        if now - max(last, self._turn) > _LULL:
            self._let_through.clear()
            self._busy_since = now

    def _forget(self, now: datetime) -> None:
        while self._let_through and self._let_through[0] < now - WINDOW:
            self._let_through.popleft()

    def _pace(self, now: datetime) -> float | None:
        """Return how many writes a second may be sent now; None for as many as come."""
        if self._slowed_at is None:
            return None
        doublings = min((now - self._slowed_at) / _DOUBLES_IN, _MOST_DOUBLINGS)
        per_second: float = self._per_second * 2**doublings
        if per_second < 2 * MOST_PER_SECOND:
            return per_second
        self._slowed_at = None
        return None
