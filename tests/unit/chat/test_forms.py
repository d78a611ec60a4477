"""A new registration, by a form."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from provisioning.api.chat.form import KINDS, body_of
from provisioning.api.chat.work import carry_out
from provisioning.domain.errors import TryAgain
from provisioning.domain.events import EventOutcome, What
from provisioning.domain.registration import Registration, Status
from tests.worlds.approvals import awaiting
from tests.worlds.chatting import ALICES, APPROVERS, MALLORYS, Chat, a_client, approver, delivered
from tests.worlds.deaths import dying
from tests.worlds.request_bodies import MANAGED
from tests.worlds.signed_in import ALICE, MALLORY
from tests.worlds.slack import buttons, signed, words

NAMED = {"displayName": "A <client>", "contact": "team@contoso.example"}
FILLED_IN = {
    "spa": {"resource": MANAGED, "redirectUris": "https://a.contoso.example/cb\n https://b.contoso.example/cb \n\n"},
    "native": {"resource": MANAGED, "redirectUris": "com.contoso.app://cb", "scopes": "user.Patient.rs"},
    "confidential": {"resource": MANAGED, "redirectUris": "https://a.contoso.example/cb"},
    "service": {"resource": MANAGED},
    "resource": {"fhirServerUrl": "https://fhir.contoso.example"},
}


def rows_of(chat: Chat) -> list[Registration]:
    return list(chat.world.registry.find(top=10).registrations)


@pytest.mark.parametrize("kind", FILLED_IN)
def test_each_kind_of_application_is_registered_by_its_form_for_whoever_filled_it_in(chat: Chat, kind: str) -> None:
    chat.link(ALICES, ALICE)
    answer = chat.fills_in(ALICES, kind, NAMED | FILLED_IN[kind])
    assert (answer.status, answer.body) == (200, "")
    chat.work("d")
    [row] = rows_of(chat)
    assert (row.request.owner, row.caller, row.request.display_name) == (ALICE.object_id, ALICE.object_id, "A <client>")
    assert row.id in words(chat.slack.told[-1][1])
    if kind == "spa":
        assert getattr(row.request, "redirect_uris", ()) == (
            "https://a.contoso.example/cb",
            "https://b.contoso.example/cb",
        )


@pytest.mark.parametrize("kind", FILLED_IN)
def test_what_was_left_empty_in_a_form_is_left_out_of_the_request_but_for_app_roles(kind: str) -> None:
    filled = {each.name: " \n " for each in KINDS[kind].entries} | NAMED
    assert body_of(kind, filled) == {
        **KINDS[kind].says,
        **NAMED,
        **({"appRoles": []} if kind == "service" else {}),
    }


def test_whoever_registers_or_rotates_is_told_how_it_ended_within_seconds(chat: Chat) -> None:
    def meanwhile(_began: datetime, _until: datetime) -> Iterator[datetime]:
        chat.world.clock.meanwhile = lambda *_: ()
        chat.world.deliver()
        yield from ()

    chat.link(ALICES, ALICE)
    chat.fills_in(ALICES, "service", NAMED | FILLED_IN["service"])
    chat.world.clock.meanwhile = meanwhile
    chat.work("d")
    [row] = rows_of(chat)
    assert words(chat.slack.told[-1][1]).startswith("It is registered.")
    chat.world.clock.meanwhile = meanwhile
    assert words(chat.says(ALICES, f"rotate {row.id}")).startswith("A <client> has a new secret, in the vault.")


def test_a_form_that_is_sent_twice_is_one_registration(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.fills_in(ALICES, "service", NAMED | FILLED_IN["service"])
    chat.ask(signed(chat.slack.filled_in(ALICES, chat.slack.views[-1], NAMED | FILLED_IN["service"]), chat.now + 1))
    for number, message in enumerate(chat.queue):
        chat.world.send(*carry_out(chat.world.services, message.encode(), str(number)))
    assert len(chat.queue) == 2
    assert len(rows_of(chat)) == 1


def test_what_is_wrong_with_a_form_is_shown_under_its_field_and_goes_no_further(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    wrong = {"displayName": "x", "contact": "nobody", "resource": MANAGED, "redirectUris": "http://a.example/cb\nftp:x"}
    answer = chat.fills_in(ALICES, "spa", wrong)
    told = json.loads(answer.body)
    assert told["response_action"] == "errors"
    assert set(told["errors"]) == {"contact", "redirectUris"}
    assert all(0 < len(each) <= 250 for each in told["errors"].values())
    assert chat.queue == []


def test_whoever_may_not_ask_for_registrations_is_told_so_in_the_words_of_the_api(chat: Chat) -> None:
    chat.link(MALLORYS, replace(MALLORY, roles=frozenset()))
    chat.fills_in(MALLORYS, "service", NAMED | FILLED_IN["service"])
    chat.work("d")
    assert words(chat.slack.told[-1][1]).startswith("Asking for a registration needs the app role")
    assert rows_of(chat) == []


def test_an_unlinked_user_registers_nothing_although_the_form_is_filled_in(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.fills_in(ALICES, "service", NAMED | FILLED_IN["service"])
    [message] = chat.queue
    chat.queue.clear()
    chat.ask(signed(chat.slack.filled_in(MALLORYS, chat.slack.views[-1], NAMED | FILLED_IN["service"]), chat.now))
    chat.work("d")
    assert message
    assert words(chat.slack.told[-1][1]).startswith("Who are you?")
    assert rows_of(chat) == []


def test_a_form_that_cannot_be_opened_is_told_and_is_no_error(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    opens = buttons(chat.says(ALICES, "register"))["register-spa"]
    body = chat.slack.pressed(ALICES, opens, trigger_id="of long ago")
    assert chat.ask(signed(body, chat.now)).status == 200
    assert words(chat.slack.told[-1][1]).startswith("The form could not be opened")
    chat.slack.status = 500
    assert chat.ask(signed(body, chat.now)).status == 200
    assert chat.slack.views == []


def test_without_a_bot_registering_is_left_to_the_page() -> None:
    chat = Chat(SLACK_BOT_TOKEN="")
    chat.link(ALICES, ALICE)
    message = chat.says(ALICES, "register")
    assert {name: each["url"] for name, each in buttons(message).items()} == {
        "open": "https://r.contoso.com/api/page/#/new"
    }
    pressed = chat.slack.pressed(ALICES, {"type": "button", "action_id": "register-spa", "value": "spa"})
    assert chat.ask(signed(pressed, chat.now)).status == 400


def test_a_form_answers_to_slack_and_to_no_other_address(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.fills_in(ALICES, "service", NAMED | FILLED_IN["service"])
    chat.queue.clear()
    other = {**chat.slack.views[-1], "private_metadata": json.dumps({"kind": "service", "url": "https://evil.example"})}
    body = chat.slack.filled_in(ALICES, other, NAMED | FILLED_IN["service"])
    assert chat.ask(signed(body, chat.now)).status == 400


def test_what_is_over_may_stay_and_nothing_is_done_again_for_it(chat: Chat) -> None:
    row = awaiting(chat.world, a_client(ALICE))
    approver(chat)
    button = buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"]

    def broken(name: str, action: Any) -> Any:
        if name == "people.forget":
            raise TryAgain("storage-unavailable", "Table storage could not answer.")
        return action()

    chat.world.outside = broken
    assert words(chat.presses(APPROVERS, button)).startswith("You have approved what")


def test_a_process_that_dies_after_any_call_has_what_was_asked_for_done_once() -> None:
    """To die before a call is to die after the one before."""
    for number in range(20):
        chat = Chat()
        row = awaiting(chat.world, a_client(MALLORY))
        approver(chat)
        chat.link(ALICES, ALICE)
        button = buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"]
        chat.fills_in(ALICES, "service", NAMED | FILLED_IN["service"])
        chat.ask(signed(chat.slack.pressed(APPROVERS, button), chat.now))
        deaths = [
            delivered(chat.world, message, f"{number} {name}", dying(number, after=True))
            for name, message in enumerate(chat.queue)
        ]
        chat.world.settle()
        [made] = [each for each in rows_of(chat) if each.id != row.id]
        assert {made.status, chat.world.row(row.id).status} == {Status.ACTIVE}
        told = [(each.what, each.outcome) for each in chat.world.registry.events(row.id, top=100).events]
        assert told.count((What.APPROVED, EventOutcome.ACCEPTED)) == 1
        if not any(deaths):
            assert number > 4, "no death was played"
            return
    raise AssertionError("there are more calls than deaths")
