"""The fault suite fails, and for the right reason, as soon as one of the service's safety rules is broken."""

from collections.abc import Mapping
from itertools import chain, count
from typing import Final

import pytest

from tests.faults.overlaps import stall
from tests.faults.schedules import CREATE, MINT, PROVE, PUBLISH, SEND, lost_and_refused_answers, play, single_deaths
from tests.faults.weakened import (
    Rule,
    create_without_a_unique_name,
    have_the_planner_name_an_operation,
    publish_before_the_proof,
    remove_strays_by_label_alone,
    repeat_a_mint_blindly,
    take_the_current_secret_from_the_row,
    write_the_row_without_its_etag,
)

# A line that ran with a broken rule has not been shown to work.
pytestmark = pytest.mark.no_cover

# What each broken rule is betrayed by: blows, each at the next call of that name. And what is found in the end.
BLOWS: Final[Mapping[Rule, tuple[list[tuple[str, str]], str]]] = {
    # The secret is born with the application: only a run that follows a killed one has a mint that can be repeated.
    repeat_a_mint_blindly: ([("after", CREATE), ("reset-after", MINT)], "a mint was repeated blindly"),
    # The vault has the secret, and the row does not know it yet.
    take_the_current_secret_from_the_row: ([("after", PUBLISH)], "minted although the vault had a good one"),
    create_without_a_unique_name: ([("after", CREATE)], "2 applications for"),
    # Any schedule betrays it, the undisturbed one too.
    publish_before_the_proof: ([("after", CREATE)], "published before it was proven"),
    # The POST's own message is never sent, so only the planner's can have the operation carried out.
    have_the_planner_name_an_operation: ([("before", SEND)], "does not settle: .* is accepted"),
}
# The same for overlaps: the call before which one run stalls while another one finishes, and for how many minutes.
STALLS: Final[Mapping[Rule, tuple[str, int, str]]] = {
    # The other run takes this one's proven secret for a stray; then this one publishes it.
    remove_strays_by_label_alone: (PUBLISH, 0, "refuses the secret in the vault: AADSTS7000215"),
    # The proof comes too late, and this run writes so over the row on which the other one ended well.
    write_the_row_without_its_etag: (PROVE, 15, "active became accepted"),
}
HARMLESS_IN_CALM: Final = [rule for rule in (*BLOWS, *STALLS) if rule is not publish_before_the_proof]


@pytest.mark.parametrize("rule", BLOWS)
def test_a_broken_rule_fails_a_schedule_that_the_service_survives(rule: Rule) -> None:
    blows, found = BLOWS[rule]
    schedule = schedule_of(blows)
    assert schedule in chain(single_deaths("service"), lost_and_refused_answers("service"))
    play(schedule)
    with pytest.raises(AssertionError, match=found):
        play(schedule, rule)


def schedule_of(blows: list[tuple[str, str]]) -> str:
    """Return the name of the schedule in which a service client meets these blows."""
    schedule, struck = "service:", 0
    for blow, call in blows:
        struck = play(schedule).calls.index(call, struck) + 1
        schedule += f" {blow}-{struck}"
    return schedule


@pytest.mark.parametrize("rule", STALLS)
def test_a_broken_rule_fails_an_overlap_that_the_service_survives(rule: Rule) -> None:
    call, minutes, found = STALLS[rule]
    stalled_at = number_of(call, minutes)
    with pytest.raises(AssertionError, match=found):
        stall("service", stalled_at, minutes, rule)


def number_of(call: str, minutes: int) -> int:
    """Return how many calls a run makes before the one of that name; the service survives a stall at each of them."""
    for number in count():
        stalled_before = stall("service", number, minutes)
        assert stalled_before is not None, f"no run makes a call {call!r}"
        if stalled_before == call:
            break
    return number


@pytest.mark.parametrize("rule", HARMLESS_IN_CALM)
def test_without_a_fault_nobody_would_notice_the_broken_rule(rule: Rule) -> None:
    play("service:", rule)
