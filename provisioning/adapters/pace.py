"""How fast this process writes to Microsoft Graph, once Graph has asked it for patience."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.ports import Clock

# An app may write 3,000 times in 150 s in one tenant, and refused writes count, too.
# Sources: "Microsoft Graph service-specific throttling limits", "Microsoft Graph throttling guidance".
MOST_PER_SECOND: Final = 20.0
_LEAST_PER_SECOND: Final = 1.0
_FIRST_SHARE: Final = 0.95
_NEXT_SHARE: Final = 0.9
_DOUBLES_IN: Final = timedelta(minutes=10)
_MOST_DOUBLINGS: Final = 6.0  # from the least to more than twice the most
_DEFAULT_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0  # what is longer, each run leaves to the queue for itself


class Pace:
    """Has the threads of a process share what Graph lets through.

    Nothing waits until Graph refuses a write. Then all wait as long as it says, and go on one after the other, a little
    slower than its documented limit, and after each further refusal by a tenth slower: other instances share the limit.
    The pace is never less than one a second, and doubles in ten minutes without a refusal, until nothing waits again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slowed_at: datetime | None = None
        self._per_second = MOST_PER_SECOND
        self._turn = self._pause_ends = datetime.min.replace(tzinfo=UTC)

    def wait(self) -> None:
        """Return when it is the caller's turn to write."""
        with self._lock:
            now = self._clock.now()
            per_second = self._pace(now)
            if per_second is None:
                return
            turn = max(now, self._turn)
            self._turn = turn + timedelta(seconds=1 / per_second)
        if turn > now:
            self._clock.sleep((turn - now).total_seconds())

    def slow_down(self, retry_after: float | None) -> None:
        """Have the writes that have no turn yet wait so many seconds, at most 30, and then come more slowly.

        Refusals that come while all wait are of writes that were sent before, and tell nothing new.
        """
        with self._lock:
            now = self._clock.now()
            if now < self._pause_ends:
                return
            per_second = self._pace(now)
            slower = MOST_PER_SECOND * _FIRST_SHARE if per_second is None else per_second * _NEXT_SHARE
            self._per_second = max(slower, _LEAST_PER_SECOND)
            self._slowed_at = now
            pause = _DEFAULT_PAUSE if retry_after is None else min(retry_after, _LONGEST_PAUSE)
            self._pause_ends = now + timedelta(seconds=pause)
            self._turn = max(self._turn, self._pause_ends)

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
