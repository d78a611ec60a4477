"""How many registrations an owner may have, and how many more in one hour: what is counted, and what is too many."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from provisioning.domain.values import dataclass


class Exceeded(StrEnum):
    """Which number is reached."""

    NUMBER = "number"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class Quota:
    """The most, in all and in one hour of the clock; None is no limit. The rules that say so are named beside them."""

    most: int | None = None
    most_per_hour: int | None = None
    rule: str = ""
    hour_rule: str = ""

    @property
    def limits(self) -> bool:
        """Whether there is anything to count."""
        return (self.most, self.most_per_hour) != (None, None)


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted of an owner: registrations in an hour, and in all.

    `number` is never less than those that are there: deletions are not counted back. None is not known.
    """

    hour: str = ""
    in_hour: int = 0
    number: int | None = 0

    def exceeds(self, quota: Quota, now: datetime) -> Exceeded | None:
        """Return which number of the quota is reached, so that one more would be too many."""
        in_hour = self.in_hour if self.hour == self._later(now) else 0
        if quota.most_per_hour is not None and in_hour >= quota.most_per_hour:
            return Exceeded.HOUR
        if quota.most is not None and (self.number is None or self.number >= quota.most):
            return Exceeded.NUMBER
        return None

    def and_one(self, now: datetime) -> "Count":
        """Return the count with one registration more."""
        hour = self._later(now)
        number = None if self.number is None else self.number + 1
        return Count(hour, (self.in_hour if self.hour == hour else 0) + 1, number)

    def _later(self, now: datetime) -> str:
        """The hour that it is: of two clocks the one that is ahead, or an hour would be counted twice."""
        return max(self.hour, hour_of(now))


def hour_of(now: datetime) -> str:
    """Return the hour of the clock, as text that sorts as times do."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H")


def until_next_hour(now: datetime) -> timedelta:
    """Return how long the hour of the clock still lasts."""
    return timedelta(hours=1) - timedelta(minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
