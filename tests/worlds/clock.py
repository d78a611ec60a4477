"""Time that passes only when it is told to."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DAY = timedelta(days=1)


class VirtualClock:
    """Time that passes only by sleeping.

    `meanwhile` is what others do while it passes: it is told from when until when, yields each moment at which they do
    something, and is resumed at that moment.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 15, 12, tzinfo=UTC)) -> None:
        self._time = start
        self.slept: list[float] = []
        self.meanwhile: Callable[[datetime, datetime], Iterable[datetime]] = lambda _began, _until: ()

    @property
    def time(self) -> datetime:
        return self._time

    @time.setter
    def time(self, until: datetime) -> None:
        for moment in self.meanwhile(self._time, until):
            self._time = moment
        self._time = until

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)
