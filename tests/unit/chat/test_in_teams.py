"""What is asked for in Microsoft Teams: by whom, by command, by button and by form."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.emulator.bot import cards
from dev.emulator.bot.service import Told
from provisioning.api.chat.cards import LARGEST, activity_of
from provisioning.api.chat.form import KINDS
from provisioning.api.chat.verbs import Item, Said, Verb
from provisioning.domain.callers import Caller, Role
from provisioning.domain.events import EventOutcome, What
from provisioning.domain.registration import Registration, Status
from tests.worlds.approvals import APPROVER, awaiting
from tests.worlds.chatting import a_client, delivered
from tests.worlds.deaths import dying
from tests.worlds.request_bodies import MANAGED
from tests.worlds.signed_in import ALICE, MALLORY
from tests.worlds.teaming import TeamsChat, buttons, words

NAMED = {"displayName": "A <client>", "contact": "team@contoso.example"}
FILLED_IN = {
    "spa": {"resource": MANAGED, "redirectUris": "https://a.contoso.example/cb\n https://b.contoso.example/cb \n\n"},
    "native": {"resource": MANAGED, "redirectUris": "com.contoso.app://cb", "scopes": "user.Patient.rs"},
    "confidential": {"resource": MANAGED, "redirectUris": "https://a.contoso.example/cb"},
    "service": {"resource": MANAGED},
    "resource": {"fhirServerUrl": "https://fhir.contoso.example"},
}


def rows_of(teams: TeamsChat) -> list[Registration]:
    return list(teams.world.registry.find(top=10).registrations)


def opened(teams: TeamsChat, person: Caller, kind: str) -> tuple[Told, dict[str, Any]]:
    """Return the message with the buttons that open a form, and the form that this one opened."""
    told = teams.says(person, "register")
    answer = teams.presses(person, told, buttons(told.card)[f"register-{kind}"])
    assert answer["type"] == "application/vnd.microsoft.card.adaptive"
    form: dict[str, Any] = answer["value"]
    assert list(cards.faults(form)) == []
    return told, form


def registered(teams: TeamsChat) -> Registration:
    told, form = opened(teams, ALICE, "service")
    teams.presses(ALICE, told, buttons(form)["send-service"], NAMED | FILLED_IN["service"])
    [row] = rows_of(teams)
    return row


# --- who ---


def test_whoever_has_not_signed_in_is_told_to_and_is_known_from_then_on(teams: TeamsChat) -> None:
    told = teams.says(ALICE, "list")
    assert words(told.card).startswith("You have not signed in yet.")
    assert told.card["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open the page", "url": "https://r.contoso.com/api/page/#/"}
    ]
    assert words(teams.says(ALICE, "list").card).startswith("You have not signed in yet.")
    teams.on_the_page(ALICE)
    assert words(teams.says(ALICE, "list").card) == "There is none."


def test_of_whoever_never_spoke_to_the_bot_a_look_at_the_page_keeps_nothing(teams: TeamsChat) -> None:
    teams.on_the_page(ALICE)
    assert teams.world.people.sign_ins == {}


def test_a_sign_in_that_is_over_says_sign_in_and_roles_are_those_of_the_last_one(teams: TeamsChat) -> None:
    teams.knows(ALICE)
    teams.world.clock.time += timedelta(hours=8)
    assert words(teams.says(ALICE, "list").card).startswith("Your sign-in does not count any more")
    less = replace(ALICE, roles=frozenset(), groups=frozenset())
    teams.on_the_page(less)
    kept = teams.world.people.sign_in(ALICE.object_id)
    assert kept is not None
    assert kept.caller == less


def test_nobody_needs_a_code_and_whoever_unlinks_is_forgotten(teams: TeamsChat) -> None:
    teams.knows(ALICE)
    assert words(teams.says(ALICE, "link AAAA").card).startswith("No code is needed here")
    assert words(teams.says(ALICE, "unlink").card) == "You are nobody here."
    assert teams.world.people.sign_ins == {}
    assert words(teams.says(ALICE, "list").card).startswith("You have not signed in yet.")


def test_the_words_of_a_command_are_those_beside_the_mention(teams: TeamsChat) -> None:
    assert all(f"\n{verb}" in "\n" + words(teams.says(ALICE, "help").card) for verb in Verb)
    teams.knows(ALICE)
    assert words(teams.says(ALICE, "<at>Registrar</at>\xa0list \n").card) == "There is none."


# --- decisions ---


def test_anothers_registration_is_not_found_as_one_that_is_not_there(teams: TeamsChat) -> None:
    row = awaiting(teams.world, a_client(ALICE))
    teams.knows(MALLORY)
    nobodys = f"{'0' * 8}{row.id[8:]}"
    for verb in ("show", "approve", "rotate"):
        told = words(teams.says(MALLORY, f"{verb} {row.id}").card)
        assert told == words(teams.says(MALLORY, f"{verb} {nobodys}").card) == "There is no registration of that id."


def test_a_person_without_the_role_does_not_approve_with_somebody_elses_button(teams: TeamsChat) -> None:
    row = awaiting(teams.world, a_client(ALICE))
    teams.knows(APPROVER)
    shown = teams.says(APPROVER, f"approve {row.id}")
    button = buttons(shown.card)["approve"]
    reader = Caller(MALLORY.object_id, MALLORY.kind, frozenset({Role.READ_ALL}))
    for person, refusal in (
        (reader, "The owner of the resource decides"),
        (ALICE, "Whoever asked for it does not approve it"),
    ):
        teams.knows(person)
        teams.presses(person, shown, button)
        assert words(teams.bot.told[-1].card).startswith(refusal)
    assert teams.world.row(row.id).awaits_approval


def test_a_button_pressed_twice_acts_once_and_its_card_becomes_the_outcome(teams: TeamsChat) -> None:
    row = awaiting(teams.world, a_client(ALICE))
    teams.knows(APPROVER)
    shown = teams.says(APPROVER, f"show {row.id}")
    button = buttons(shown.card)["approve"]
    answer = teams.presses(APPROVER, shown, button)
    assert answer == {
        "statusCode": 200,
        "type": "application/vnd.microsoft.activity.message",
        "value": "It is being done.",
    }
    assert (words(shown.card).startswith("You have approved what"), shown.versions) == (True, 2)
    assert list(cards.buttons(shown.card)) == []
    before = teams.world.row(row.id)
    assert before.status is Status.ACTIVE
    teams.presses(APPROVER, shown, button)
    assert (words(shown.card), shown.versions) == ("You have approved it already.", 3)
    assert teams.world.row(row.id) == before
    events = [each for each in teams.world.registry.events(row.id, top=100).events if each.what is What.APPROVED]
    accepted = [each.actor.object_id for each in events if each.outcome is EventOutcome.ACCEPTED]
    assert accepted == [APPROVER.object_id]


def test_what_is_approved_is_what_was_shown(teams: TeamsChat) -> None:
    row = awaiting(teams.world, a_client(ALICE))
    teams.knows(APPROVER)
    shown = teams.says(APPROVER, f"show {row.id}")
    other = {"verb": "approve", "data": {"id": row.id, "digest": "0" * 64}}
    teams.presses(APPROVER, shown, other)
    assert words(teams.bot.told[-1].card).startswith("The digest is not that of what is asked")
    assert (teams.world.row(row.id).awaits_approval, shown.versions) == (True, 1)


def test_a_denial_has_its_reason_by_button_and_by_command(teams: TeamsChat) -> None:
    teams.knows(APPROVER)
    by_button, by_command = (awaiting(teams.world, a_client(each)) for each in (ALICE, MALLORY))
    shown = teams.says(APPROVER, f"show {by_button.id}")
    button = buttons(shown.card)["deny"]
    assert teams.presses(APPROVER, shown, button, {"reason": " "})["value"].startswith("Write the reason")
    assert teams.world.row(by_button.id).awaits_approval
    teams.presses(APPROVER, shown, button, {"reason": "Not <here>."})
    assert words(shown.card).startswith("You have denied what")
    assert words(teams.says(APPROVER, f"deny {by_command.id} Not there.").card).startswith("You have denied what")
    approvals = [teams.world.row(each.id).approval for each in (by_button, by_command)]
    assert [each.reason for each in approvals if each is not None] == ["Not <here>.", "Not there."]


def test_a_button_that_rotates_replaces_the_secret_that_was_shown_and_no_other(teams: TeamsChat) -> None:
    teams.knows(ALICE)
    row = registered(teams)
    shown = teams.says(ALICE, f"show {row.id}")
    button = buttons(shown.card)["rotate"]
    teams.presses(ALICE, shown, button)
    after = teams.world.row(row.id).secret
    assert row.secret is not None
    assert after is not None
    assert after.key_id != row.secret.key_id
    assert "is getting a new secret, in the vault" in words(shown.card)
    teams.presses(ALICE, shown, button)
    assert words(shown.card) == "It has a new secret already."
    assert teams.world.row(row.id).secret == after
    # By the word it is replaced whichever it is.
    assert "is getting a new secret" in words(teams.says(ALICE, f"rotate {row.id}").card)
    assert teams.world.row(row.id).secret != after


def test_what_waits_longer_than_it_fits_is_not_decided_by_a_button(teams: TeamsChat) -> None:
    bot = teams.world.services.bot
    assert bot is not None
    item = Item("A client", "0" * 8, ("redirectUris: " + "é" * 2500,))
    fits = activity_of(Said("It waits:", (item,), decide_digest="d"), bot)
    assert len(buttons(fits["attachments"][0]["content"])) == 2
    large = activity_of(Said("It waits:", (replace(item, lines=item.lines * 6),), decide_digest="d"), bot)
    assert buttons(large["attachments"][0]["content"]) == {}
    assert len(json.dumps(large, ensure_ascii=False).encode()) <= LARGEST
    cut = activity_of(Said("It waits:", (replace(item, lines=("x" * 3001,)),), decide_digest="d"), bot)
    assert buttons(cut["attachments"][0]["content"]) == {}


# --- forms ---


@pytest.mark.parametrize("kind", FILLED_IN)
def test_each_kind_of_application_is_registered_by_its_form_for_whoever_filled_it_in(
    teams: TeamsChat, kind: str
) -> None:
    teams.knows(ALICE)
    told, form = opened(teams, ALICE, kind)
    assert [each["id"] for each in cards.inputs(form)] == [each.name for each in KINDS[kind].entries]
    teams.presses(ALICE, told, buttons(form)[f"send-{kind}"], NAMED | FILLED_IN[kind])
    [row] = rows_of(teams)
    assert (row.request.owner, row.caller, row.request.display_name) == (ALICE.object_id, ALICE.object_id, "A <client>")
    assert row.id in words(told.card)
    if kind == "spa":
        uris = ("https://a.contoso.example/cb", "https://b.contoso.example/cb")
        assert getattr(row.request, "redirect_uris", ()) == uris


def test_what_is_wrong_with_a_form_is_shown_in_it_with_what_was_filled_in(teams: TeamsChat) -> None:
    teams.knows(ALICE)
    told, form = opened(teams, ALICE, "spa")
    button = buttons(form)["send-spa"]
    wrong = {"displayName": "x", "contact": "nobody", "resource": MANAGED, "redirectUris": "http://a.example/cb\nftp:x"}
    answer = teams.presses(ALICE, told, button, wrong)
    again = answer["value"]
    assert list(cards.faults(again)) == []
    assert {each["id"]: each.get("value") for each in cards.inputs(again)} == wrong | {"scopes": None}
    reds = [run for each in again["body"] for run in each.get("inlines", ()) if run.get("color") == "Attention"]
    assert len(reds) == 2
    assert buttons(again)["send-spa"] == button
    assert rows_of(teams) == []


def test_a_form_that_is_sent_twice_is_one_registration_and_another_form_another(teams: TeamsChat) -> None:
    teams.knows(ALICE)
    told, form = opened(teams, ALICE, "service")
    for _ in range(2):
        teams.presses(ALICE, told, buttons(form)["send-service"], NAMED | FILLED_IN["service"])
        assert len(rows_of(teams)) == 1
    told, form = opened(teams, ALICE, "service")
    teams.presses(ALICE, told, buttons(form)["send-service"], NAMED | FILLED_IN["service"] | {"displayName": "B"})
    assert len(rows_of(teams)) == 2


def test_whoever_may_not_ask_for_registrations_is_told_so_in_the_words_of_the_api(teams: TeamsChat) -> None:
    teams.knows(replace(MALLORY, roles=frozenset()))
    told, form = opened(teams, MALLORY, "service")
    teams.presses(MALLORY, told, buttons(form)["send-service"], NAMED | FILLED_IN["service"])
    assert words(teams.bot.told[-1].card).startswith("Asking for a registration needs the app role")
    assert (rows_of(teams), told.versions) == ([], 1)


def test_whoever_registers_is_told_how_it_ended_within_seconds(teams: TeamsChat) -> None:
    def meanwhile(_began: datetime, _until: datetime) -> Iterator[datetime]:
        teams.world.clock.meanwhile = lambda *_: ()
        teams.world.deliver()
        yield from ()

    teams.knows(ALICE)
    told, form = opened(teams, ALICE, "service")
    teams.world.clock.meanwhile = meanwhile
    teams.presses(ALICE, told, buttons(form)["send-service"], NAMED | FILLED_IN["service"])
    assert words(told.card).startswith("It is registered.")


def test_a_process_that_dies_after_any_call_has_what_was_asked_for_done_once() -> None:
    """To die before a call is to die after the one before."""
    for number in range(20):
        teams = TeamsChat()
        row = awaiting(teams.world, a_client(MALLORY))
        teams.knows(APPROVER)
        teams.knows(ALICE)
        shown = teams.says(APPROVER, f"show {row.id}")
        told, form = opened(teams, ALICE, "service")
        for person, of, button, texts in (
            (ALICE, told, buttons(form)["send-service"], NAMED | FILLED_IN["service"]),
            (APPROVER, shown, buttons(shown.card)["approve"], {}),
        ):
            teams.ask(teams.sent(teams.bot.press(person.object_id, of, button, texts)))
        deaths = [
            delivered(teams.world, message, f"{number} {name}", dying(number, after=True))
            for name, message in enumerate(teams.queue)
        ]
        teams.world.settle()
        [made] = [each for each in rows_of(teams) if each.id != row.id]
        assert {made.status, teams.world.row(row.id).status} == {Status.ACTIVE}
        decided = [(each.what, each.outcome) for each in teams.world.registry.events(row.id, top=100).events]
        assert decided.count((What.APPROVED, EventOutcome.ACCEPTED)) == 1
        if not any(deaths):
            assert number > 4, "no death was played"
            return
    raise AssertionError("there are more calls than deaths")
