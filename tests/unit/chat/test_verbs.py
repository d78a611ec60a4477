"""What is asked for by command and button."""

import json

import pytest

from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.api.chat.verbs import Verb, read
from provisioning.api.chat.work import give_up
from provisioning.domain.callers import Caller, Role
from provisioning.domain.events import EventOutcome, What
from provisioning.domain.registration import Status
from tests.worlds.approvals import APPROVER, awaiting
from tests.worlds.chatting import ALICES, APPROVERS, MALLORYS, Chat, a_client, approver
from tests.worlds.request_bodies import MANAGED, a_public_client
from tests.worlds.signed_in import ALICE, MALLORY, headers_of
from tests.worlds.slack import SIGNING_SECRET, buttons, signed, words


def test_anothers_registration_is_not_found_as_one_that_is_not_there(chat: Chat) -> None:
    row = awaiting(chat.world, a_client(ALICE))
    chat.link(MALLORYS, MALLORY)
    nobodys = f"{'0' * 8}{row.id[8:]}"
    for verb in ("show", "approve", "rotate"):
        told = words(chat.says(MALLORYS, f"{verb} {row.id}"))
        assert told == words(chat.says(MALLORYS, f"{verb} {nobodys}")) == "There is no registration of that id."
    assert words(chat.says(MALLORYS, "list")) == "There is none."


def test_a_person_without_the_role_does_not_approve(chat: Chat) -> None:
    row = awaiting(chat.world, a_client(ALICE))
    other = Caller(MALLORY.object_id, MALLORY.kind, frozenset({Role.READ_ALL}))
    chat.link(MALLORYS, other)
    button = buttons(chat.says(MALLORYS, f"approve {row.id}"))["approve"]
    assert words(chat.presses(MALLORYS, button)).startswith("The owner of the resource decides")
    chat.link(ALICES, ALICE)
    assert words(chat.presses(ALICES, button)).startswith("Whoever asked for it does not approve it")
    assert chat.world.row(row.id).awaits_approval


def test_a_button_pressed_twice_acts_once(chat: Chat) -> None:
    row = awaiting(chat.world, a_client(ALICE))
    approver(chat)
    shown = chat.says(APPROVERS, "list waiting")
    assert row.id in words(shown)
    button = buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"]
    first = chat.presses(APPROVERS, button)
    assert words(first).startswith("You have approved what")
    assert first["replace_original"]
    assert chat.world.row(row.id).status is Status.ACTIVE
    before = chat.world.row(row.id)
    assert words(chat.presses(APPROVERS, button)) == "You have approved it already."
    assert chat.world.row(row.id) == before
    events = [each for each in chat.world.registry.events(row.id, top=100).events if each.what is What.APPROVED]
    accepted = [each.actor.object_id for each in events if each.outcome is EventOutcome.ACCEPTED]
    assert accepted == [APPROVER.object_id]


def test_what_is_approved_is_what_was_shown(chat: Chat) -> None:
    row = awaiting(chat.world, a_client(ALICE))
    approver(chat)
    button = buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"]
    other = {**button, "value": f"{row.id} {'0' * 64}"}
    assert words(chat.presses(APPROVERS, other)).startswith("The digest is not that of what is asked")
    other |= {"action_id": "deny"}
    assert words(chat.presses(APPROVERS, other, "No.")).startswith("The digest is not that of what is asked")
    assert chat.world.row(row.id).awaits_approval


def test_a_denial_has_its_reason_by_button_and_by_command(chat: Chat) -> None:
    approver(chat)
    by_button, by_command = (awaiting(chat.world, a_client(each)) for each in (ALICE, MALLORY))
    button = buttons(chat.says(APPROVERS, f"show {by_button.id}"))["deny"]
    for told, begins, instead in (
        (chat.presses(APPROVERS, button), "Write the reason", False),
        (chat.presses(APPROVERS, button, " "), "Write the reason", False),
        (chat.presses(APPROVERS, button, "Not <here>."), "You have denied what", True),
        (chat.says(APPROVERS, f"deny {by_command.id} Not there."), "You have denied what", False),
    ):
        assert (words(told)[: len(begins)], told["replace_original"]) == (begins, instead)
    approvals = [chat.world.row(each.id).approval for each in (by_button, by_command)]
    assert [each.reason for each in approvals if each is not None] == ["Not <here>.", "Not there."]


def test_a_secret_is_rotated_and_is_in_no_answer(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    call = Call(
        "/api/registrations",
        {**headers_of(ALICE, chat.world.emulator), "content-type": "application/json"},
        body=json.dumps(a_client(ALICE)).encode(),
        method="POST",
    )
    identity = json.loads(chat.world.call(web.submit_registration, call).body)["registrationId"]
    chat.world.deliver()
    key = chat.world.row(identity).secret
    assert "is getting a new secret, in the vault" in words(chat.says(ALICES, f"rotate {identity}"))
    after = chat.world.row(identity).secret
    assert key is not None
    assert after is not None
    assert key.key_id != after.key_id
    assert f"secret: {after.id}" in words(chat.says(ALICES, f"show {identity}"))


def test_what_holds_no_secret_is_shown_without_one_and_cannot_be_rotated(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    body = a_public_client(owner=ALICE.object_id, resource=MANAGED, scopes=["patient.Observation.rs"])
    row = awaiting(chat.world, body)
    approver(chat)
    chat.presses(APPROVERS, buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"])
    shown = words(chat.says(ALICES, f"show {row.id}"))
    assert "active" in shown
    assert "secret" not in shown
    assert "rotate" not in buttons(chat.says(ALICES, f"show {row.id}"))


def test_what_could_not_be_done_is_told_once_the_queue_gives_it_up(chat: Chat) -> None:
    chat.ask(signed(chat.slack.command(ALICES, "list"), chat.now))
    give_up(chat.world.services, chat.queue[0].encode())
    assert "could not be done" in words(chat.slack.told[-1][1])


def test_an_answer_that_slack_does_not_take_undoes_nothing_and_repeats_nothing(chat: Chat) -> None:
    row = awaiting(chat.world, a_client(ALICE))
    approver(chat)
    button = buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"]
    chat.slack.status = 500
    chat.ask(signed(chat.slack.pressed(APPROVERS, button), chat.now))
    chat.work("d")
    assert chat.world.row(row.id).status is Status.ACTIVE


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("", Verb.HELP),
        ("LIST mine", Verb.LIST),
        ("show", Verb.HELP),
        ("show x", Verb.HELP),
        ("deny 00000000-00000000-0000-4000-8000-000000000000", Verb.HELP),
        ("rotate 00000000-00000000-0000-4000-8000-000000000000 now", Verb.HELP),
        ("show `00000000-00000000-0000-4000-8000-000000000000`", Verb.SHOW),
        ("delete everything", Verb.HELP),
    ],
)
def test_words_that_are_no_command_ask_for_help(text: str, verb: Verb) -> None:
    assert read(text).verb is verb


def test_the_signing_secret_and_the_token_are_in_no_text_of_the_settings(chat: Chat) -> None:
    told = repr(chat.world.settings) + repr(chat.world.services.workspace)
    assert SIGNING_SECRET not in told
    assert "qzbottokenqz" not in told
