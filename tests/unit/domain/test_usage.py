"""What is known of a last use: never less than before, and this service's own sign-ins are nobody's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.domain.grants import Grant, GrantState
from provisioning.domain.secrets import SecretState
from provisioning.domain.usage import (
    NOT_REPORTED,
    OWN_ALONE,
    CredentialUse,
    Observed,
    Own,
    Usage,
    is_unused,
    later,
    learned,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TICK, MINUTE, HOUR = timedelta(microseconds=1), timedelta(minutes=1), timedelta(hours=1)
SECRET = SecretState("id", "key", None, published_at=NOW + HOUR, minted_at=NOW)


def a_grant(proven_at: datetime | None) -> Grant:
    return Grant("name", "id", GrantState.GRANTED, NOW, proven_at=proven_at)


@pytest.mark.parametrize(
    ("at", "own"),
    [
        (NOW - MINUTE - TICK, False),
        (NOW - MINUTE, True),
        (NOW + HOUR + MINUTE, True),
        (NOW + HOUR + MINUTE + TICK, False),
        (NOW + 3 * HOUR - MINUTE, True),
        (NOW + 3 * HOUR + MINUTE, True),
        (NOW + 3 * HOUR + MINUTE + TICK, False),
    ],
)
def test_a_sign_in_from_a_minting_to_its_publication_or_at_the_proof_of_a_grant_may_be_our_own(
    at: datetime, *, own: bool
) -> None:
    assert (at in Own(SECRET, [a_grant(None), a_grant(NOW + 3 * HOUR)])) is own


@pytest.mark.parametrize(
    "secret",
    [
        None,
        SecretState("id", "key", None),
        SecretState("id", "key", None, minted_at=NOW),
        SecretState("id", "key", None, published_at=NOW),
    ],
)
def test_where_nothing_was_proven_no_sign_in_is_our_own(secret: SecretState | None) -> None:
    assert NOW not in Own(secret, [])


NOBODY = Own(None, [])
US = Own(SECRET, [])


@pytest.mark.parametrize(
    ("before", "observed", "own", "expected"),
    [
        (Usage(), Observed(), NOBODY, (None, NOT_REPORTED)),
        (Usage(), Observed(unknown="refused"), NOBODY, (None, "refused")),
        (Usage(), Observed(NOW), NOBODY, (NOW, None)),
        (Usage(), Observed(NOW), US, (None, OWN_ALONE)),
        (Usage(NOW - HOUR), Observed(NOW), US, (NOW - HOUR, None)),
        (Usage(NOW - HOUR), Observed(NOW), NOBODY, (NOW, None)),
        (Usage(NOW), Observed(NOW - HOUR), NOBODY, (NOW, None)),
        (Usage(NOW, "refused"), Observed(), NOBODY, (NOW, None)),
        (Usage(NOW), Observed(unknown="refused"), NOBODY, (NOW, "refused")),
    ],
)
def test_what_is_known_of_the_last_use_is_never_less_than_before(
    before: Usage, observed: Observed, own: Own, expected: tuple[Any, ...]
) -> None:
    usage = learned(before, observed, own, ())
    assert (usage.last_used_at, usage.unknown) == expected


def test_of_each_living_credential_it_is_known_when_it_was_used_and_until_when_it_is_kept() -> None:
    before = Usage(credentials=(CredentialUse("a", NOW, NOW + HOUR), CredentialUse("gone", NOW), CredentialUse("c")))
    observed = Observed(keys={"a": NOW - HOUR, "b": NOW + 2 * HOUR, "c": NOW, "gone": NOW})
    assert learned(before, observed, US, ["b", "a", "c", "b", "d"]).credentials == (
        CredentialUse("b", NOW + 2 * HOUR),
        CredentialUse("a", NOW, NOW + HOUR),
        CredentialUse("c"),
        CredentialUse("d"),
    )


def test_what_is_newly_known_of_a_credential_takes_the_place_of_what_was() -> None:
    a, b, spared = CredentialUse("a", NOW), CredentialUse("b"), CredentialUse("a", NOW, NOW + HOUR)
    usage = Usage(NOW, None, (a, b))
    assert (usage.of("a"), usage.of("x")) == (a, CredentialUse("x"))
    assert usage.sparing([]) is usage
    assert usage.sparing([spared]) == Usage(NOW, None, (b, spared))
    assert (usage.kept, usage.sparing([spared]).kept) == ((), (spared,))
    assert usage.among(["b", "x"]) == Usage(NOW, None, (b,))


LONG_AGO = NOW - timedelta(days=90) - TICK


@pytest.mark.parametrize(
    ("used", "observed", "stood", "unused"),
    [
        (None, Observed(), False, False),
        (None, Observed(), True, True),
        (LONG_AGO, Observed(unknown="refused"), False, False),
        (LONG_AGO, Observed(LONG_AGO, unknown="refused"), False, False),
        (NOW, Observed(NOW, unknown="refused"), True, True),
        (LONG_AGO, Observed(LONG_AGO), False, True),
        (LONG_AGO + TICK, Observed(LONG_AGO + TICK), False, False),
        (LONG_AGO + TICK, Observed(LONG_AGO), True, False),
        (LONG_AGO, Observed(NOW), False, True),
        (None, Observed(LONG_AGO), False, True),
        (None, Observed(NOW), False, False),
        (None, Observed(NOW), True, True),
    ],
)
def test_it_is_unused_where_the_reports_show_nobody_for_so_long_and_stays_what_it_was_where_they_show_nothing(
    used: datetime | None, observed: Observed, *, stood: bool, unused: bool
) -> None:
    assert is_unused(Usage(used), observed, NOW, stood=stood) is unused


def test_the_later_of_two_times_is_that_which_there_is() -> None:
    assert [later(NOW, None), later(None, NOW), later(None, None)] == [NOW, NOW, None]
    assert later(NOW, LONG_AGO) == later(LONG_AGO, NOW) == NOW
