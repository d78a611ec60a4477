from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dev.host.ncrontab import Schedule, ScheduleError

LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("0 */5 * * * *", "2026-11-23T10:04:59", "2026-11-23T10:05:00"),
        ("0 */5 * * * *", "2026-11-23T10:05:00", "2026-11-23T10:10:00"),
        ("*/2 * * * * *", "2026-11-23T10:05:00", "2026-11-23T10:05:02"),
        ("0 30 3 * * *", "2026-12-31T03:30:00", "2027-01-01T03:30:00"),
        ("0 0 9-17 * * MON-FRI", "2026-11-20T17:00:00", "2026-11-23T09:00:00"),
        ("0 0 0 1 Jan,jul *", "2026-01-01T00:00:00", "2026-07-01T00:00:00"),
        ("0 0 0 1 April *", "2026-11-23T00:00:00", "2027-04-01T00:00:00"),
        ("0 0 0 29 2 *", "2026-11-23T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 29 2 sunday", "2088-03-01T00:00:00", "2128-02-29T00:00:00"),
        ("15,45 10/20 * * * *", "2026-11-23T10:10:15", "2026-11-23T10:10:45"),
        ("15,45 10/20 * * * *", "2026-11-23T10:50:45", "2026-11-23T11:10:15"),
        ("0 0 0 * * 0", "2026-11-23T00:00:00", "2026-11-29T00:00:00"),
        ("0 17-9 * * * *", "2026-11-23T10:17:00", "2026-11-23T11:09:00"),
        ("30 4 * * *", "2026-11-23T10:17:00", "2026-11-24T04:30:00"),
    ],
)
def test_a_schedule_occurs_next_when_ncrontab_says(text: str, moment: str, expected: str) -> None:
    assert Schedule.parse(text).next_after(at(moment)) == at(expected)


def test_a_day_must_be_the_right_day_of_the_month_and_of_the_week() -> None:
    assert Schedule.parse("0 0 0 13 * fri").next_after(at("2026-11-14T00:00:00")) == at("2027-08-13T00:00:00")


def test_a_moment_in_another_time_zone_is_taken_in_utc() -> None:
    moment = datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert Schedule.parse("0 0 0 * * *").next_after(moment) == at("2026-11-23T00:00:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* 60 * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * 32 * *",
        "* * * * 13 *",
        "* * * * * 7",
        "*/0 * * * * *",
        "1- * * * * *",
        "-1 * * * * *",
        "1, * * * * *",
        "a * * * * *",
        "* * * * mon *",
        "² * * * * *",
        "0 0 0 31 2 *",
        "00:05:00",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        Schedule.parse(text)


@st.composite
def field(draw: st.DrawFn, lowest: int, highest: int) -> tuple[str, frozenset[int]]:
    """A field's text, and the values it stands for, said independently of the parser."""
    everything = range(lowest, highest + 1)
    texts: list[str] = []
    values: set[int] = set()
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["*", "one", "range", "step", "range step", "from"]))
        a, b = sorted((draw(st.integers(lowest, highest)), draw(st.integers(lowest, highest))))
        step = draw(st.integers(1, 30))
        text, chosen = {
            "*": ("*", set(everything)),
            "one": (f"{a}", {a}),
            "range": (f"{a}-{b}", {v for v in everything if a <= v <= b}),
            "step": (f"*/{step}", {v for v in everything if (v - lowest) % step == 0}),
            "range step": (f"{a}-{b}/{step}", {v for v in everything if a <= v <= b and (v - a) % step == 0}),
            "from": (f"{a}/{step}", {v for v in everything if v >= a and (v - a) % step == 0}),
        }[kind]
        texts.append(text)
        values |= chosen
    return ",".join(texts), frozenset(values)


def matches(moment: datetime, values: list[frozenset[int]]) -> bool:
    parts = (moment.second, moment.minute, moment.hour, moment.day, moment.month, int(moment.strftime("%w")))
    return all(part in allowed for part, allowed in zip(parts, values, strict=True))


@settings(max_examples=150, deadline=None)
@given(
    fields=st.tuples(*(field(*limits) for limits in LIMITS)),
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2110, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_next_occurrence_matches_and_none_lies_before_it(
    fields: tuple[tuple[str, frozenset[int]], ...], moment: datetime
) -> None:
    values = [allowed for _, allowed in fields]
    assume(any(day <= 28 for day in values[3]))
    found = Schedule.parse(" ".join(text for text, _ in fields)).next_after(moment)
    assert found > moment
    assert matches(found, values)
    # Brute force, second by second near both ends, and day by day between.
    start = moment.replace(microsecond=0) + timedelta(seconds=1)
    near = [start + timedelta(seconds=s) for s in range(900)] + [found - timedelta(seconds=s) for s in range(1, 900)]
    assert not [second for second in near if moment < second < found and matches(second, values)]
    occurs_on = [values[3], values[4], values[5]]
    for days in range(1, min((found.date() - moment.date()).days, 800)):
        day = moment + timedelta(days=days)
        assert not all(
            part in allowed
            for part, allowed in zip((day.day, day.month, int(day.strftime("%w"))), occurs_on, strict=True)
        )
