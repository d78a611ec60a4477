"""How many registrations an owner may have: what is counted, when a number is reached, and when the hour is over."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from provisioning.domain.quota import Count, Exceeded, Quota, hour_of, until_next_hour

NOW = datetime(2026, 11, 28, 12, 59, 58, 999_999, tzinfo=UTC)
HOUR, BEFORE, AFTER = "2026-11-28T12", "2026-11-28T11", "2026-11-28T13"


@pytest.mark.parametrize(
    ("count", "quota", "exceeded"),
    [
        (Count(HOUR, 2, 5), Quota(), None),
        (Count(HOUR, 2, 5), Quota(6, 3), None),
        (Count(HOUR, 2, 5), Quota(5, 3), Exceeded.NUMBER),
        (Count(HOUR, 2, 5), Quota(6, 2), Exceeded.HOUR),
        (Count(HOUR, 2, 5), Quota(5, 2), Exceeded.HOUR),
        (Count(HOUR, 2, 5), Quota(None, 3), None),
        (Count(BEFORE, 2, 5), Quota(6, 1), None),
        (Count(AFTER, 2, 5), Quota(6, 2), Exceeded.HOUR),
        (Count(BEFORE, 2, 5), Quota(6, 0), Exceeded.HOUR),
        (Count(), Quota(0), Exceeded.NUMBER),
        (Count(), Quota(1, 1), None),
        (Count(HOUR, 2, None), Quota(1000), Exceeded.NUMBER),
        (Count(HOUR, 2, None), Quota(None, 3), None),
    ],
)
def test_one_more_is_too_many_where_a_number_is_reached(count: Count, quota: Quota, exceeded: Exceeded | None) -> None:
    assert count.exceeds(quota, NOW) is exceeded


@pytest.mark.parametrize(
    ("count", "counted"),
    [
        (Count(), Count(HOUR, 1, 1)),
        (Count(HOUR, 2, 5), Count(HOUR, 3, 6)),
        (Count(BEFORE, 2, 5), Count(HOUR, 1, 6)),
        (Count(AFTER, 2, 5), Count(AFTER, 3, 6)),
        (Count(HOUR, 2, None), Count(HOUR, 3, None)),
    ],
)
def test_one_more_is_counted_in_the_later_hour_of_two_clocks(count: Count, counted: Count) -> None:
    assert count.and_one(NOW) == counted


@pytest.mark.parametrize(
    ("quota", "limits"), [(Quota(), False), (Quota(0), True), (Quota(None, 0), True), (Quota(1, 1), True)]
)
def test_there_is_something_to_count_where_a_number_is_given(quota: Quota, *, limits: bool) -> None:
    assert quota.limits is limits


def test_the_hour_is_that_of_utc_and_lasts_until_the_next() -> None:
    there = timezone(timedelta(hours=2, minutes=30))
    assert hour_of(NOW.astimezone(there)) == HOUR
    assert until_next_hour(NOW) == timedelta(seconds=1, microseconds=1)
    assert until_next_hour(NOW + until_next_hour(NOW)) == timedelta(hours=1)
