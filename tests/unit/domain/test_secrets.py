"""When a secret counts as minted, how long it may be published, and which are this service's own."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from provisioning.domain.secrets import (
    CurrentSecret,
    MintedSecret,
    SecretPolicy,
    is_ours_by_label,
    labelled_time,
    timed_label,
)

NOW = datetime(2026, 11, 28, 12, 0, 0, 123_456, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def test_a_label_says_when_its_secret_counts_as_minted_wherever_the_clock_stands() -> None:
    label = timed_label("registrar:1", NOW.astimezone(timezone(timedelta(hours=5))))
    assert label == "registrar:1:20261128T120000.123456Z"
    assert labelled_time(label) == NOW
    assert labelled_time(label).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize("label", ["", "registrar:1", "registrar:1:20261128T120000Z", "20261128T120000.123456Z:x"])
def test_a_label_without_a_time_says_nothing(label: str) -> None:
    assert labelled_time(label) is None


@pytest.mark.parametrize(("label", "ours"), [("registrar:1", True), ("registrar", False), ("x registrar:", False)])
def test_a_credential_is_ours_by_how_its_label_begins(label: str, *, ours: bool) -> None:
    assert is_ours_by_label(label) is ours


@pytest.mark.parametrize(
    ("tags", "minted_at"),
    [({"mintedAt": NOW.isoformat()}, NOW), ({"mintedAt": "then"}, NOW + DAY), ({}, NOW + DAY)],
)
def test_what_the_vault_has_was_minted_when_its_tag_says_or_when_it_was_written(
    tags: dict[str, str], minted_at: datetime
) -> None:
    assert CurrentSecret("id", "key", NOW + DAY, None, tags).minted_at == minted_at


@pytest.mark.parametrize(
    ("proof", "overlap", "bound"), [(5 * MINUTE, 7 * DAY, 6 * MINUTE), (5 * MINUTE, 10 * MINUTE, 5 * MINUTE)]
)
def test_a_secret_is_published_within_its_proof_and_half_the_overlap(
    proof: timedelta, overlap: timedelta, bound: timedelta
) -> None:
    policy = SecretPolicy(180 * DAY, 30 * DAY, overlap, 30 * DAY, 3, proof)
    assert policy.publish_bound == bound
    assert policy.publishable_until(NOW) == NOW + bound + MINUTE
    assert policy.lifetimes == (30 * DAY + overlap, 180 * DAY)


def test_the_text_of_a_secret_hides_itself() -> None:
    assert "s3cret" not in repr(MintedSecret("key", NOW, NOW, "s3cret"))
