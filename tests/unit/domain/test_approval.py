"""Who decides what waits for an approval, until when, and what is kept of it; over the API it is tested there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from provisioning.domain.approval import (
    Approval,
    Outcome,
    Proposal,
    check_decider,
    check_in_person,
    check_other_person,
    digest_of,
)
from provisioning.domain.callers import KEY_HOLDER, Caller, CallerKind, Role
from provisioning.domain.errors import RequestRejected
from tests.worlds.variants import NOW, REQUESTS

OWNER: Final = "owner"
ASKED_BY: Final = frozenset({"requester", "bot"})
WAITS: Final = Approval("digest", ("rule",), NOW, "resource-owner", operation_id="operation", told=True)
APPROVER: Final = Caller("approver", CallerKind.USER, frozenset({Role.APPROVE}))
REQUESTER: Final = Caller("requester", CallerKind.USER, frozenset({Role.APPROVE}))
RESOURCE_OWNER: Final = Caller("somebody", CallerKind.USER, groups=frozenset({"resource-owner"}))
STRANGER: Final = Caller("stranger", CallerKind.USER, frozenset({Role.READ_ALL}))


def refusal(check: Callable[..., None], *args: Any) -> str | None:
    """The code of a refusal; None where there is none."""
    try:
        check(*args)
    except RequestRejected as error:
        return error.code if error.status == 403 else str(error.status)
    return None


CALLERS: dict[str, tuple[Caller, str | None, str | None, str | None]] = {
    # who, and the refusal of an approval, of a denial, and of data roles
    "an approver": (APPROVER, None, None, None),
    "the owner of the resource": (RESOURCE_OWNER, None, None, None),
    "the requester": (REQUESTER, "own-request", "own-request", "own-request"),
    "the requester, as the owner": (
        replace(REQUESTER, object_id="bot", groups=frozenset({OWNER})),
        "own-request",
        None,
        "own-request",
    ),
    "a key": (KEY_HOLDER, "approver-unknown", None, "approver-unknown"),
    "a key without roles": (
        Caller("function-key", CallerKind.KEY),
        "approver-unknown",
        "approver-unknown",
        "approver-unknown",
    ),
    "a stranger": (STRANGER, "not-an-approver", "not-an-approver", None),
    "the owner of the registration": (Caller(OWNER, CallerKind.USER), "not-an-approver", None, None),
    "an application": (replace(APPROVER, kind=CallerKind.APPLICATION), None, None, "not-in-person"),
    "an approver through an application": (
        replace(APPROVER, via="another"),
        "not-in-person",
        "not-in-person",
        "not-in-person",
    ),
    "an approver through the bot": (replace(APPROVER, via="bot"), "own-request", "own-request", "own-request"),
}


@pytest.mark.parametrize(("caller", "approves", "denies", "other_person"), CALLERS.values(), ids=CALLERS)
def test_somebody_else_than_whoever_asked_decides_and_whoever_may_delete_it_takes_it_back(
    caller: Caller, approves: str | None, denies: str | None, other_person: str | None
) -> None:
    assert refusal(check_decider, WAITS, Outcome.APPROVED, caller, ASKED_BY, OWNER) == approves
    assert refusal(check_decider, WAITS, Outcome.DENIED, caller, ASKED_BY, OWNER) == denies
    assert refusal(check_other_person, caller, ASKED_BY) == other_person
    assert refusal(check_in_person, caller) == ("not-in-person" if caller.via else None)


def test_who_may_decide_is_told_in_words_and_may_read_what_it_is_about() -> None:
    nobodys = replace(WAITS, resource_owner=None)
    assert (WAITS.who, nobodys.who) == ("the owner of the resource, or an approver", "an approver")
    readers = [each for each in (APPROVER, RESOURCE_OWNER, STRANGER) if WAITS.may_be_read_by(each)]
    assert readers == [APPROVER, RESOURCE_OWNER]
    assert not nobodys.may_be_read_by(RESOURCE_OWNER)


@pytest.mark.parametrize(
    ("outcome", "before", "at"), [(None, False, True), (Outcome.DENIED, True, True), (Outcome.APPROVED, False, False)]
)
def test_it_is_over_once_it_is_denied_or_nobody_decided_in_time(
    outcome: Outcome | None, *, before: bool, at: bool
) -> None:
    waits = replace(WAITS, outcome=outcome)
    assert (waits.is_over(NOW - timedelta(seconds=1)), waits.is_over(NOW)) == (before, at)


def test_a_decision_is_kept_with_who_decided_it_and_through_what() -> None:
    decided = WAITS.decided(Outcome.DENIED, replace(APPROVER, via="bot"), NOW, "Because.")
    assert decided == replace(
        WAITS, outcome=Outcome.DENIED, decided_by="approver", decided_via="bot", decided_at=NOW, reason="Because."
    )


def test_what_is_asked_for_again_waits_for_fourteen_days_and_nothing_is_left_of_the_decision() -> None:
    decided = WAITS.decided(Outcome.DENIED, APPROVER, NOW, "Because.")
    again = decided.asked_again("another", "next", replace(REQUESTER, via="bot"), NOW)
    assert again == Approval(
        *("another", ("rule",), NOW + timedelta(days=14), "resource-owner"),
        operation_id="next",
        asked_by="requester",
        asked_via="bot",
    )


def test_a_decision_is_bound_to_the_request_and_to_the_policy() -> None:
    assert len({digest_of(*each) for each in (("a", "b"), ("a", "c"), ("c", "b"), ("ab", ""))}) == 4
    assert len(digest_of("a", "b")) == 64


def test_a_proposal_is_a_change_that_waits() -> None:
    operation = Proposal("proposed", NOW, REQUESTS["service"], "policy", "trace").operation
    assert (operation.id, str(operation.type), str(operation.status)) == ("proposed", "change", "awaiting-approval")
    assert (operation.requested_at, operation.trace_id, operation.failure) == (NOW, "trace", None)
