"""The fault suite fails, and for the right reason, as soon as one of the service's safety rules is broken."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Final, NamedTuple

import pytest

from tests.faults.misordered import (
    list_after_a_change_of_owner,
    list_after_the_row,
    note_that_it_is_told_before_it_is,
    tell_after_the_act,
)
from tests.faults.overlaps import calls_of, overtake, refuse, stall
from tests.faults.scenarios import LIVES, TIGHT
from tests.faults.schedules import (
    CREATE,
    DELETE,
    INSERT,
    MINT,
    PROVE,
    PUBLISH,
    READ,
    REMOVE,
    SAVE,
    SEND,
    after_effects,
    answers_in_turn,
    deaths_between,
    lost_and_refused_answers,
    play,
    single_deaths,
)
from tests.faults.weakened import (
    Rule,
    ask_for_room_for_what_is_there,
    believe_the_first_refusal,
    count_what_another_run_removed,
    create_without_a_unique_name,
    forget_that_a_deletion_was_sent,
    forget_which_operation_minted,
    have_the_planner_name_an_operation,
    let_a_failure_stand,
    publish_before_the_proof,
    remove_strays_by_label_alone,
    remove_without_asking_for,
    repeat_a_mint_blindly,
    skip_the_approval,
    skip_the_approval_of_a_change,
    take_the_current_secret_from_the_row,
    write_the_row_without_its_etag,
)
from tests.worlds.request_bodies import REQUESTS

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


class Refusal(NamedTuple):
    """The same for two runs of which one is refused its first call of that name; what the other has come to."""

    scenario: str
    call: str
    other: str
    found: str


OWN_AGE: Final = remove_without_asking_for("its own age")
AGE_OF_THE_CURRENT: Final = remove_without_asking_for("the current one's age")
BLOWS: Final[dict[Rule, Betrayal]] = {
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
    # The act is done, and whoever was to tell of it is dead.
    tell_after_the_act: Betrayal("service", [("after", SAVE)], "no event tells of .*succeeded"),
    # The POST's own message is never sent, so only the planner's can have the operation carried out.
    have_the_planner_name_an_operation: Betrayal("service", [("before", SEND)], "does not settle: .* is accepted"),
    # The undisturbed one too: a check follows at once, and consumers have had no time to read the vault.
    AGE_OF_THE_CURRENT: Betrayal("rotate", [], "a secret was removed that somebody may still use"),
    # Any schedule betrays it: the planner's message alone has it carried out.
    skip_the_approval: Betrayal("lapse", [], "created although nobody agreed"),
    # Its owner is another one now, whom nobody agreed to and nobody listed.
    skip_the_approval_of_a_change: Betrayal("lapse-change", [], "its owner's list does not name it"),
    # The row is there, and whoever was to list it is dead: its own owner would never see it.
    list_after_the_row: Betrayal("public", [("after", INSERT)], "its owner's list does not name it"),
    # A change of owner, which an approval carries out, is listed in the same order.
    list_after_a_change_of_owner: Betrayal("approve-change", [("after", SAVE)], "its owner's list does not name it"),
    # The row says that it is told, and whoever was to tell is dead.
    note_that_it_is_told_before_it_is: Betrayal("ask-new", [("after", SAVE)], "nobody was told that it waits"),
    # These show in drift alone, which needs no blow.
    remove_without_asking_for("the current one is listed"): Betrayal("lost", [], "the only valid secret was removed"),
    remove_without_asking_for("the current one has not ended"): Betrayal(
        "ended", [], "the only valid secret was removed"
    ),
    remove_without_asking_for("the current one is ours"): Betrayal(
        "by-hand", [], "removed while the vault's current one was somebody else's"
    ),
}
EFFECTS: Final[dict[Rule, Betrayal]] = {
    # The message comes back to a full application, on which nothing has to be minted any more.
    ask_for_room_for_what_is_there: Betrayal(
        "rotate-full", [("after", PUBLISH)], "the row shows another secret than the vault holds"
    ),
    # What the run that died has minted is the one too many.
    forget_which_operation_minted: Betrayal("rotate-full", [("after", MINT)], "too-many-credentials"),
    # The application is gone, and that looks as if no replica had heard of it.
    forget_that_a_deletion_was_sent: Betrayal("delete-full", [("after", DELETE)], "it took too long"),
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
REFUSALS: Final[Mapping[Rule, Refusal]] = {
    # All is done, and there is nobody to say so but the run that was refused.
    believe_the_first_refusal: Refusal("change", READ, "dead", "permission-missing"),
    # All is done, and the run that did it comes second.
    let_a_failure_stand: Refusal("change", READ, "unsaved", "permission-missing"),
}
OVERTAKEN: Final[Mapping[Rule, tuple[str, str]]] = {
    count_what_another_run_removed: ("rotate-crowded", REMOVE),
}
HARMLESS_IN_CALM: Final = [
    (rule, "rotate" if scenario in LIVES else "service" if scenario in REQUESTS else scenario)
    for rule, (scenario, *_) in (
        *BLOWS.items(),
        *EFFECTS.items(),
        *STALLS.items(),
        *REFUSALS.items(),
        *OVERTAKEN.items(),
    )
    if rule not in (publish_before_the_proof, AGE_OF_THE_CURRENT)
]


@pytest.mark.parametrize("rule", [*BLOWS, *EFFECTS])
def test_a_broken_rule_fails_a_schedule_that_the_service_survives(rule: Rule) -> None:
    scenario, blows, found = (BLOWS | EFFECTS)[rule]
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
    if scenario in TIGHT:
        yield from after_effects(scenario)
    elif scenario in LIVES:
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


@pytest.mark.parametrize("rule", REFUSALS)
def test_a_broken_rule_fails_a_refusal_that_the_service_survives(rule: Rule) -> None:
    scenario, call, other, found = REFUSALS[rule]
    refused_at = calls_of(scenario).index(call)
    refuse(scenario, refused_at, other)
    with pytest.raises(AssertionError, match=found):
        refuse(scenario, refused_at, other, rule)


@pytest.mark.parametrize("rule", OVERTAKEN)
def test_a_broken_rule_fails_where_one_run_overtakes_another(rule: Rule) -> None:
    scenario, call = OVERTAKEN[rule]
    overtaken_at = calls_of(scenario).index(call)
    overtake(scenario, overtaken_at)
    with pytest.raises(AssertionError, match="it failed for what the other did"):
        overtake(scenario, overtaken_at, rule)


@pytest.mark.parametrize(("rule", "scenario"), HARMLESS_IN_CALM)
def test_without_a_fault_nobody_would_notice_the_broken_rule(rule: Rule, scenario: str) -> None:
    play(f"{scenario}:", rule)
