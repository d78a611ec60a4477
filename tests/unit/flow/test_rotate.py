"""The two rules of rotation, over the whole space of what they look at."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.domain.directory import Credential
from provisioning.domain.registration import Status
from provisioning.domain.secrets import CurrentSecret, SecretPolicy, SecretState
from provisioning.flow.rotate import is_due, publishable_until, removable, rotate_before_of, rotates_at, secret_is_due
from tests.worlds.variants import REQUESTS, row

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OVERLAP = timedelta(days=7)
POLICY = SecretPolicy(
    lifetime=timedelta(days=180),
    rotate_before=timedelta(days=30),
    overlap=OVERLAP,
    overlap_limit=4 * OVERLAP,
    proof_count=3,
    proof_timeout=timedelta(minutes=5),
)
AGES = st.integers(0, 400 * 24).map(lambda hours: timedelta(hours=hours))
LABELS = st.sampled_from(["registrar:1", "registrar:2", "by hand", ""])


def current(age: timedelta = timedelta(days=30), *, left: timedelta = timedelta(days=150)) -> CurrentSecret:
    minted = NOW - age
    return CurrentSecret("id", "current", minted, NOW + left, {"mintedAt": minted.isoformat()})


def credential(
    key_id: str, age: timedelta, label: str = "registrar:old", *, left: timedelta | None = None
) -> Credential:
    return Credential(key_id, label, NOW - age, None if left is None else NOW + left)


def removed(
    *others: Credential, secret: CurrentSecret | None = None, revoke_before: datetime | None = None
) -> list[str]:
    secret = secret or current()
    own = Credential("current", "registrar:now", secret.minted_at, secret.expires_at)
    return [each.key_id for each in removable([*others, own], secret, NOW, POLICY, revoke_before)]


@pytest.mark.parametrize("bound", ["replace_before", "revoke_before"])
def test_a_secret_is_wanted_younger_than_one_from_before_the_bound_and_not_than_one_from_the_bound_on(
    bound: str,
) -> None:
    asked = replace(row(REQUESTS["service"]), **{bound: NOW})  # type: ignore[arg-type] # either field is a time
    ages = (timedelta(microseconds=1), timedelta(), timedelta(microseconds=-1))
    assert [asked.wants_younger(NOW - age) for age in ages] == [True, False, False]
    assert not row(REQUESTS["service"]).wants_younger(NOW)


def test_what_was_replaced_is_removable_once_both_are_older_than_the_overlap() -> None:
    assert removed(credential("old", timedelta(days=180))) == ["old"]


@pytest.mark.parametrize(("over", "current_over"), [(1, 1), (0, 1), (1, 0)])
def test_what_has_been_there_for_just_the_overlap_stays(over: int, current_over: int) -> None:
    age, own = (OVERLAP + timedelta(microseconds=each) for each in (over, current_over))
    assert removed(credential("old", age), secret=current(own)) == (["old"] if over and current_over else [])


def test_nothing_is_removable_while_the_current_secret_is_younger_than_the_overlap() -> None:
    assert removed(credential("old", timedelta(days=180)), secret=current(timedelta(days=6))) == []


def test_a_stray_is_not_removable_while_it_is_younger_than_the_overlap() -> None:
    assert removed(credential("stray", timedelta(days=6))) == []


def test_what_is_not_ours_is_never_removable() -> None:
    assert removed(credential("theirs", timedelta(days=180), "by hand"), revoke_before=NOW) == []


def test_nothing_is_removable_while_entra_does_not_list_the_current_secret() -> None:
    assert removable([credential("old", timedelta(days=180))], current(), NOW, POLICY, NOW) == []


@pytest.mark.parametrize("left", [timedelta(0), timedelta(days=-1)])
def test_nothing_is_removable_when_the_current_secret_has_ended(left: timedelta) -> None:
    assert removed(credential("old", timedelta(days=180)), secret=current(left=left)) == []


@pytest.mark.parametrize("in_entra", [True, False])
def test_a_secret_has_ended_by_whichever_of_its_two_ends_comes_first(*, in_entra: bool) -> None:
    later = NOW + timedelta(days=9)
    secret = replace(current(), expires_at=later if in_entra else NOW)
    own = Credential("current", "registrar:now", secret.minted_at, NOW if in_entra else later)
    assert removable([credential("old", timedelta(days=180)), own], secret, NOW, POLICY, None) == []


def test_a_revoked_secret_is_removable_as_soon_as_a_younger_one_is_current() -> None:
    leaked, fresh = credential("leaked", timedelta(days=2)), current(timedelta(minutes=1))
    assert removed(leaked, secret=fresh, revoke_before=NOW - timedelta(minutes=2)) == ["leaked"]
    assert removed(leaked, secret=fresh) == []


def test_a_revoked_secret_is_not_removable_while_its_own_run_may_still_publish_it() -> None:
    bound = POLICY.publish_bound + timedelta(minutes=1)
    young, fresh = credential("young", bound - timedelta(seconds=1)), current(timedelta(minutes=1))
    assert removed(young, secret=fresh, revoke_before=NOW) == []
    assert removed(credential("old", bound), secret=fresh, revoke_before=NOW) == ["old"]


def test_a_revoked_secret_is_not_removable_while_nothing_younger_is_current() -> None:
    assert removed(credential("stray", timedelta(days=1)), secret=current(timedelta(days=2)), revoke_before=NOW) == []


@given(st.lists(st.tuples(AGES, LABELS), max_size=6), AGES, st.none() | AGES)
def test_the_current_secret_and_what_is_not_ours_stay_whatever_their_ages(
    others: list[tuple[timedelta, str]], age: timedelta, revoked: timedelta | None
) -> None:
    credentials = [credential(str(number), each, label) for number, (each, label) in enumerate(others)]
    revoke_before = None if revoked is None else NOW - revoked
    gone = set(removed(*credentials, secret=current(age), revoke_before=revoke_before))
    assert "current" not in gone
    for each in credentials:
        if each.key_id in gone:
            assert each.label.startswith("registrar:")
            overlapped = min(age, NOW - each.minted_at) > OVERLAP
            ended = (
                revoke_before is not None and each.minted_at < revoke_before and publishable_until(each, POLICY) <= NOW
            )
            assert overlapped or ended


def test_a_secret_is_due_from_its_rotation_time_on_and_not_before() -> None:
    secret = current(left=timedelta(days=30))
    assert is_due(secret, NOW, timedelta(days=30))
    assert not is_due(secret, NOW - timedelta(seconds=1), timedelta(days=30))


def test_a_secret_without_an_end_date_is_due() -> None:
    assert is_due(replace(current(), expires_at=None), NOW, timedelta(days=30))


def test_a_secret_minted_before_somebody_asked_for_another_is_due_and_one_minted_after_is_not() -> None:
    secret = current(timedelta(days=1))
    later, earlier = NOW - timedelta(hours=23), NOW - timedelta(hours=25)
    assert is_due(secret, NOW, None, replace_before=later)
    assert is_due(secret, NOW, None, revoke_before=later)
    assert not is_due(secret, NOW, None, replace_before=earlier, revoke_before=earlier)


def test_the_age_of_a_secret_is_that_of_its_text_and_not_of_its_publication() -> None:
    asked = NOW - timedelta(minutes=1)
    late = replace(current(timedelta(minutes=2)), created_at=NOW)
    assert is_due(late, NOW, None, replace_before=asked)
    assert not is_due(replace(late, tags={}), NOW, None, replace_before=asked)


@given(
    st.uuids(),
    st.integers(1, 365).map(lambda days: timedelta(days=days)),
    st.integers(1, 365).map(lambda days: timedelta(days=days)),
    st.integers(1, 365).map(lambda days: timedelta(days=days)),
)
def test_a_rotation_is_spread_by_at_most_a_tenth_and_never_before_the_last_one_was_cleaned_up(
    registration: object, more: timedelta, rotate_before: timedelta, overlap: timedelta
) -> None:
    lifetime = rotate_before + overlap + more
    policy = replace(POLICY, lifetime=lifetime, rotate_before=rotate_before, overlap=overlap)
    before = rotate_before_of(str(registration), NOW, NOW + lifetime, policy)
    assert rotate_before <= before <= rotate_before + (lifetime - rotate_before) / 10
    assert lifetime - before >= overlap


def test_a_secret_is_due_by_its_own_part_of_the_spread_and_where_there_is_no_schedule_only_if_somebody_asked() -> None:
    registration, secret = row(REQUESTS["service"]), current(timedelta(0), left=POLICY.lifetime)
    assert secret.expires_at is not None
    due_at = secret.expires_at - rotate_before_of(registration.id, NOW, secret.expires_at, POLICY)
    assert secret_is_due(registration, secret, due_at, POLICY)
    assert not secret_is_due(registration, secret, due_at - timedelta(microseconds=1), POLICY)
    assert not secret_is_due(registration, secret, due_at, POLICY, scheduled=False)
    asked = replace(registration, replace_before=NOW + timedelta(seconds=1))
    assert secret_is_due(asked, secret, NOW, POLICY, scheduled=False)


def test_a_rotation_is_told_for_what_is_active_and_rotates_and_is_due_at_once_where_nobody_knows_its_end() -> None:
    secret = SecretState("id", "current", NOW + POLICY.lifetime, NOW)
    active = replace(row(REQUESTS["service"]), status=Status.ACTIVE, secret=secret)
    spread = rotate_before_of(active.id, NOW, NOW + POLICY.lifetime, POLICY)
    assert rotates_at(active, POLICY) == NOW + POLICY.lifetime - spread
    assert rotates_at(replace(active, secret=replace(secret, expires_at=None)), POLICY) == NOW
    assert rotates_at(replace(active, secret=replace(secret, published_at=None)), POLICY) is None
    for other in ({"secret": None}, {"status": Status.FAILED}, {"request": REQUESTS["confidential"]}):
        assert rotates_at(replace(active, **other), POLICY) is None


def test_rotations_of_what_was_registered_together_are_spread() -> None:
    times = {rotate_before_of(str(number), NOW, NOW + POLICY.lifetime, POLICY) for number in range(100)}
    assert len(times) == 100
    assert max(times) - min(times) > timedelta(days=10)
