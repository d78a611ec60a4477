"""The fault suite fails, and for the right reason, as soon as one of the service's safety rules is broken."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Final, NamedTuple

import pytest

from tests.faults.overlaps import stall
from tests.faults.scenarios import LIVES
from tests.faults.schedules import (
    CREATE,
    MINT,
    PROVE,
    PUBLISH,
    SEND,
    answers_in_turn,
    deaths_between,
    lost_and_refused_answers,
    play,
    single_deaths,
)
from tests.faults.weakened import (
    Rule,
    create_without_a_unique_name,
    have_the_planner_name_an_operation,
    publish_before_the_proof,
    remove_strays_by_label_alone,
    remove_without_asking_for,
    repeat_a_mint_blindly,
    take_the_current_secret_from_the_row,
    write_the_row_without_its_etag,
)

# A line that ran with a broken rule has not been shown to work.
pytestmark = pytest.mark.no_cover


class Betrayal(NamedTuple):
    """In which scenario a broken rule shows, struck by which blows, each at the next call of that name, and by what."""

    scenario: str
    blows: list[tuple[str, str]]
    found: str


class Meeting(NamedTuple):
    """The same for overlaps: before which call one run stalls while another one finishes, and for how many minutes."""

    scenario: str
    call: str
    minutes: int
    found: str


OWN_AGE: Final = remove_without_asking_for("its own age")
AGE_OF_THE_CURRENT: Final = remove_without_asking_for("the current one's age")
BLOWS: Final[Mapping[Rule, Betrayal]] = {
    # The secret is born with the application: only a run that follows a killed one has a mint that can be repeated.
    repeat_a_mint_blindly: Betrayal(
        "service", [("after", CREATE), ("reset-after", MINT)], "a mint was repeated blindly"
    ),
    # The vault has the secret, and the row does not know it yet.
    take_the_current_secret_from_the_row: Betrayal(
        "service", [("after", PUBLISH)], "minted although the vault had a good one"
    ),
    create_without_a_unique_name: Betrayal("service", [("after", CREATE)], "2 applications for"),
    # Any schedule betrays it, the undisturbed one too.
    publish_before_the_proof: Betrayal("service", [("after", CREATE)], "published before it was proven"),
    # The POST's own message is never sent, so only the planner's can have the operation carried out.
    have_the_planner_name_an_operation: Betrayal("service", [("before", SEND)], "does not settle: .* is accepted"),
    # The next run looks at the application again, and consumers have had no time to read the vault.
    AGE_OF_THE_CURRENT: Betrayal("rotate", [("after", PUBLISH)], "a secret was removed that somebody may still use"),
    # These show in drift alone, which needs no blow.
    remove_without_asking_for("the current one is listed"): Betrayal("lost", [], "the only valid secret was removed"),
    remove_without_asking_for("the current one has not ended"): Betrayal(
        "ended", [], "the only valid secret was removed"
    ),
    remove_without_asking_for("the current one is ours"): Betrayal(
        "by-hand", [], "removed while the vault's current one was somebody else's"
    ),
}
STALLS: Final[Mapping[Rule, Meeting]] = {
    # The other run takes this one's proven secret for a stray; then this one publishes it.
    remove_strays_by_label_alone: Meeting(
        "service", PUBLISH, 0, "published that had been removed|refuses the secret in the vault: AADSTS7000215"
    ),
    OWN_AGE: Meeting("rotate", PUBLISH, 0, "a secret was published that had been removed"),
    # The proof comes too late, and this run writes so over the row on which the other one ended well.
    write_the_row_without_its_etag: Meeting("service", PROVE, 15, "active became accepted"),
}
HARMLESS_IN_CALM: Final = [
    (rule, "rotate" if scenario in LIVES else "service")
    for rule, (scenario, *_) in (*BLOWS.items(), *STALLS.items())
    if rule is not publish_before_the_proof
]


@pytest.mark.parametrize("rule", BLOWS)
def test_a_broken_rule_fails_a_schedule_that_the_service_survives(rule: Rule) -> None:
    scenario, blows, found = BLOWS[rule]
    schedule = schedule_of(scenario, blows)
    assert schedule in schedules_of(scenario)
    play(schedule)
    with pytest.raises(AssertionError, match=found):
        play(schedule, rule)


def schedule_of(scenario: str, blows: list[tuple[str, str]]) -> str:
    """Return the name of the schedule in which the scenario meets these blows."""
    schedule, struck = f"{scenario}:", 0
    for blow, call in blows:
        struck = play(schedule).calls.index(call, struck) + 1
        schedule += f" {blow}-{struck}"
    return schedule


def schedules_of(scenario: str) -> Iterator[str]:
    """Yield the schedules that are played of a scenario."""
    yield f"{scenario}:"
    if scenario in LIVES:
        yield from deaths_between(scenario)
        yield from answers_in_turn(scenario)
    else:
        yield from single_deaths(scenario)
        yield from lost_and_refused_answers(scenario)


@pytest.mark.parametrize("rule", STALLS)
def test_a_broken_rule_fails_an_overlap_that_the_service_survives(rule: Rule) -> None:
    scenario, call, minutes, found = STALLS[rule]
    stalled_at = number_of(scenario, call, minutes)
    with pytest.raises(AssertionError, match=found):
        stall(scenario, stalled_at, minutes, rule)


def number_of(scenario: str, call: str, minutes: int) -> int:
    """Return how many calls a run makes before the one of that name; the service survives a stall at each of them."""
    for number in count():
        stalled_before = stall(scenario, number, minutes)
        assert stalled_before is not None, f"no run makes a call {call!r}"
        if stalled_before == call:
            break
    return number


@pytest.mark.parametrize(("rule", "scenario"), HARMLESS_IN_CALM)
def test_without_a_fault_nobody_would_notice_the_broken_rule(rule: Rule, scenario: str) -> None:
    play(f"{scenario}:", rule)
