"""NCRONTAB schedules, in UTC: `{second} {minute} {hour} {day} {month} {day of week}`.

As in the library that the Functions host uses: lists, ranges, steps and names (`jan`, `monday`); five fields mean
second 0; Sunday is 0 and there is no 7; a range may be written backwards; `5/15` means from 5 to the end in steps of
15; a day must satisfy both the day of the month and the day of the week (crontab takes either).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
# A 29 February that falls on a given day of the week can be 40 years away, across 2100.
_HORIZON_YEARS = 41


class ScheduleError(ValueError):
    """The text is no NCRONTAB schedule, or one that never occurs."""


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> frozenset[int]:
        values: set[int] = set()
        for part in text.split(","):
            values |= self._part(part)
        return frozenset(values)

    def _part(self, part: str) -> set[int]:
        span, slash, step = part.partition("/")
        every = self._number(step, part) if slash else 1
        if every < 1:
            raise self._error(part)
        if span == "*":
            return set(range(self.lowest, self.highest + 1, every))
        first, dash, last = span.partition("-")
        start = self._value(first, part)
        end = self._value(last, part) if dash else self.highest if slash else start
        return set(range(min(start, end), max(start, end) + 1, every))

    def _value(self, text: str, part: str) -> int:
        if text[:1].isalpha():
            found = [number for number, name in enumerate(self.names) if name.startswith(text.lower())]
            if not found:
                raise self._error(part)
            return self.lowest + found[0]
        value = self._number(text, part)
        if not self.lowest <= value <= self.highest:
            raise self._error(part)
        return value

    def _number(self, text: str, part: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise self._error(part)
        return int(text)

    def _error(self, part: str) -> ScheduleError:
        return ScheduleError(f"'{part}' is no {self.name} ({self.lowest} to {self.highest})")


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Schedule:
    """A parsed schedule; `parse` makes one."""

    text: str
    times: tuple[time, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Reads a schedule.

        Raises:
            ScheduleError: It is nonsense, or no date satisfies it.
        """
        parts = text.split()
        if len(parts) == len(_FIELDS) - 1:
            parts.insert(0, "0")
        if len(parts) != len(_FIELDS):
            raise ScheduleError(f"'{text}' has not the six fields of an NCRONTAB schedule")
        seconds, minutes, hours, days, months, weekdays = (
            field.parse(part) for field, part in zip(_FIELDS, parts, strict=True)
        )
        times = tuple(time(h, m, s) for h in sorted(hours) for m in sorted(minutes) for s in sorted(seconds))
        schedule = cls(text, times, days, months, weekdays)
        schedule.next_after(datetime(2000, 1, 1, tzinfo=UTC))
        return schedule

    def next_after(self, moment: datetime) -> datetime:
        """Returns the first occurrence later than the moment, a whole second in UTC."""
        moment = moment.astimezone(UTC)
        today = moment.date()
        if self._on(today):
            later = bisect_right(self.times, moment.time())
            if later < len(self.times):
                return datetime.combine(today, self.times[later], UTC)
        day = today
        while day.year <= today.year + _HORIZON_YEARS:
            day = day + timedelta(days=1) if day.month in self.months else _first_of_next_month(day)
            if self._on(day):
                return datetime.combine(day, self.times[0], UTC)
        raise ScheduleError(f"'{self.text}' never occurs")

    def _on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays


def _first_of_next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
