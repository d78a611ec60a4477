from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.domain.durations import format_duration, parse_duration

quick = settings(max_examples=300, deadline=None, derandomize=True, database=None)
whole_durations = st.builds(
    timedelta, days=st.integers(0, 99_999), seconds=st.integers(0, 24 * 3600 - 1), microseconds=st.just(0)
)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P180D", timedelta(days=180)),
        ("P0D", timedelta()),
        ("PT0S", timedelta()),
        ("PT5M", timedelta(minutes=5)),
        ("PT90M", timedelta(hours=1, minutes=30)),
        ("P1DT12H", timedelta(days=1, hours=12)),
        ("PT1H1M1S", timedelta(hours=1, minutes=1, seconds=1)),
        ("P007D", timedelta(days=7)),
        ("P99999D", timedelta(days=99_999)),
    ],
)
def test_days_and_time_are_read_down_to_seconds(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "180",
        "180D",
        "p180d",
        "P180d",
        " P180D",
        "P180D\n",
        "P6M",
        "P1Y",
        "P26W",
        "P-1D",
        "-P1D",
        "+P1D",
        "P1.5D",
        "PT1,5H",
        "PT1.5S",
        "P1H",
        "PT1D",
        "PT1S1M",
        "P1D12H",
        "P١D",  # noqa: RUF001 -- a digit, but not one of ISO 8601
        "P1_0D",
        "P100000D",
        "PT99999999999S",
        "P180D" * 2,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an ISO 8601 duration of days and time, such as P180D or PT5M$"):
        parse_duration(text)


@quick
@given(whole_durations)
def test_what_is_formatted_is_read_back_as_the_same_duration(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@quick
@given(st.from_regex(r"P[0-9]{1,6}D(T[0-9]{1,8}H|T[0-9]{1,9}M|T[0-9]{1,9}S)?|PT[0-9]{1,9}[HMS]", fullmatch=True))
def test_whatever_is_read_has_one_spelling_that_is_read_as_the_same_duration(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    canonical = format_duration(duration)
    assert parse_duration(canonical) == duration
    assert format_duration(parse_duration(canonical)) == canonical


def refusal_of(text: str) -> str:
    try:
        parse_duration(text)
    except ValueError as error:
        return str(error)
    return ""


@quick
@given(st.text())
def test_any_text_is_either_read_or_refused_without_being_repeated(text: str) -> None:
    assert refusal_of(text) in ("", "not an ISO 8601 duration of days and time, such as P180D or PT5M")


@pytest.mark.parametrize(("text", "read"), [("P99999DT23H59M59S", True), ("P99999DT24H", False), ("PT2400000H", False)])
def test_what_lasts_100000_days_is_longer_than_anything_here(text: str, *, read: bool) -> None:
    if read:
        assert parse_duration(text) < timedelta(days=100_000)
    else:
        with pytest.raises(ValueError, match=r"^longer than anything here can last$"):
            parse_duration(text)


def test_nothing_is_written_as_zero_days() -> None:
    assert format_duration(timedelta()) == "P0D"
