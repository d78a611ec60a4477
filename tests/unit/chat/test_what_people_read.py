"""What people read in a chat, word by word, of each verb and of each thing that a registration may be."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from provisioning.api.answers import instant
from provisioning.api.chat.verbs import USAGE, Verb
from provisioning.domain.approval import LAPSES_AFTER
from provisioning.domain.registration import Registration
from tests.worlds.approvals import asked_as, awaiting
from tests.worlds.chatting import ALICES, APPROVERS, MALLORYS, Chat, a_client, approver
from tests.worlds.request_bodies import MANAGED, a_public_client, a_resource
from tests.worlds.signed_in import ALICE, MALLORY, headers_of
from tests.worlds.slack import buttons, signed, words

PAGE = "https://r.contoso.com/api/page/"
NAMES = {"id": "names", "kind": "displayName", "pattern": "FHR-.*", "approval": "approver"}


def lines(message: dict[str, Any]) -> list[str]:
    return words(message).splitlines()


def page_of(message: dict[str, Any]) -> str:
    """Return where on the page the message leads to."""
    return str(buttons(message)["open"]["url"]).removeprefix(PAGE)


def asked(chat: Chat, name: str, body: dict[str, Any], registration_id: str = "") -> str:
    """Have Alice ask the API for it; return which registration it is about, once what follows is done."""
    headers = headers_of(ALICE, chat.world.emulator)
    answer = asked_as(ALICE, chat.world, name, body, registration_id, **headers)
    chat.world.deliver()
    return str(json.loads(answer.body)["registrationId"])


def waits(row: Registration) -> list[str]:
    """Return the last lines of what waits for an approval."""
    return [
        f"asked by: {ALICE.object_id}",
        f"decided by: an approver, before {instant(row.created_at + LAPSES_AFTER)}",
        "rules: rule",
        row.id,
    ]


def test_of_what_waits_people_read_all_that_it_asks_for(chat: Chat) -> None:
    approver(chat)
    resource = a_resource(
        owner=ALICE.object_id,
        scopes=["patient.all.read", "openid_x"],
        appRoles=[],
        accessTokenVersion=2,
        acceptMappedClaims=True,
    )
    row = awaiting(chat.world, resource)
    shown = chat.says(APPROVERS, f"approve {row.id}")
    assert lines(shown) == [
        "It waits for an approval:",
        "A resource",
        "resource, accepted, provision awaiting-approval",
        "fhirServerUrl: https://fhir.contoso.example",
        "scopes: patient.all.read, openid_x",
        "acceptMappedClaims: true",
        "accessTokenVersion: 2",
        f"owner: {ALICE.object_id}",
        "contact: team@contoso.example",
        *waits(row),
    ]
    assert page_of(shown) == f"#/r/{row.id}/decide"
    assert lines(chat.says(APPROVERS, "list waiting")) == [
        "Registrations:",
        "A resource",
        "resource, accepted, provision awaiting-approval",
        row.id,
    ]


def test_of_a_change_that_waits_people_read_what_would_be_different() -> None:
    chat = Chat([NAMES])
    chat.link(ALICES, ALICE)
    approver(chat)
    body = a_public_client(
        owner=ALICE.object_id, resource=MANAGED, displayName="FHR-app", scopes=["patient.Observation.rs"]
    )
    row = asked(chat, "submit_registration", body)
    change = {
        "displayName": "Other",
        "description": "New.",
        "redirectUris": ["https://a.example/1", "https://a.example/2"],
    }
    asked(chat, "change_registration", change, row)
    shown = lines(chat.says(APPROVERS, f"show {row}"))
    assert "public, active, change awaiting-approval" in shown
    assert shown[-4:] == [
        "displayName: from FHR-app to Other",
        "redirectUris: from https://spa.contoso.example/cb to https://a.example/1, https://a.example/2",
        "description: from null to New.",
        row,
    ]


def test_of_what_is_active_people_read_where_its_secret_is_and_what_is_next(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    row = asked(chat, "submit_registration", a_client(ALICE))
    stored = chat.world.row(row)
    assert stored.secret is not None
    shown = chat.says(ALICES, f"show {row}")
    steps = [line for line in lines(shown) if line.startswith("next: ")]
    assert steps
    assert all(", by an Owner or User Access Administrator of " in step for step in steps)
    assert [line for line in lines(shown) if line not in steps] == [
        "Registration:",
        "A service",
        "service, active",
        f"clientId: {stored.client_id}",
        f"resource: {MANAGED}",
        f"owner: {ALICE.object_id}",
        "contact: team@contoso.example",
        f"secret: {stored.secret.id}, ends {instant(stored.secret.expires_at)}",
        row,
    ]
    assert page_of(shown) == f"#/r/{row}"
    rotated = chat.says(ALICES, f"rotate {row}")
    assert lines(rotated) == ["A service is getting a new secret, in the vault. The one before works on for a while."]
    assert page_of(rotated) == f"#/r/{row}"


def test_of_what_failed_people_read_why_and_what_to_do(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.world.emulator.faults.set(directory_quota_exceeded=True)
    row = asked(chat, "submit_registration", a_client(ALICE))
    failure = chat.world.row(row).operation.failure
    assert failure is not None
    shown = lines(chat.says(ALICES, f"show {row}"))
    assert shown[2] == "service, failed, provision failed"
    assert shown[-2:] == [f"{failure.message} {failure.remedy}", row]


def test_of_what_was_decided_people_read_how_it_stands_and_it_is_decided_once(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    approver(chat)
    row = awaiting(chat.world, a_client(ALICE))
    press = buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"]
    assert lines(chat.presses(APPROVERS, press)) == [
        "You have approved what A service asks for.",
        "service, accepted, provision pending",
    ]
    for text in (f"approve {row.id}", f"deny {row.id} No."):
        assert lines(chat.says(APPROVERS, text)) == ["It does not wait for an approval."]
    denies = press | {"action_id": "deny"}
    other = press | {"value": f"{row.id} {'0' * 64}"}
    for user, button, reason in ((APPROVERS, denies, "No."), (APPROVERS, other, None), (ALICES, press, None)):
        assert lines(chat.presses(user, button, reason)) == ["The registration does not wait for an approval."]
    assert lines(chat.presses(APPROVERS, press)) == ["You have approved it already."]


def test_what_breaks_a_rule_is_told_with_its_place(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    assert lines(chat.says(ALICES, "list x")) == [
        "The query breaks rules; see errors.",
        "?q: Write 2 to 255 characters.",
    ]
    row = awaiting(chat.world, a_client(MALLORY))
    approver(chat)
    press = buttons(chat.says(APPROVERS, f"show {row.id}"))["approve"]
    told = lines(chat.presses(APPROVERS, press | {"value": f"{row.id} {'x' * 200}"}))
    assert told[1].startswith("#/digest: ")


def test_a_list_is_of_what_is_asked_for_and_says_where_there_is_more(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.link(MALLORYS, MALLORY)
    assert lines(chat.says(ALICES, "list")) == ["There is none."]
    for number in range(10):
        awaiting(chat.world, a_client(ALICE) | {"displayName": f"Number {number}"})
    shown = lines(chat.says(ALICES, "list MINE"))
    assert len(shown) == 1 + 3 * 10
    assert lines(chat.says(ALICES, "list NUMBER 7"))[1] == "Number 7"
    assert lines(chat.says(ALICES, "list number 11")) == ["There is none."]
    awaiting(chat.world, a_client(ALICE))
    shown = lines(chat.says(ALICES, "list"))
    assert len(shown) == 1 + 3 * 10 + 1
    assert shown[-1] == "There are more, or more to look through: see the page."


def test_what_is_no_command_is_told_at_once_with_how_to_write_it(chat: Chat) -> None:
    row = "0" * 8 + "-00000000-0000-4000-8000-000000000000"
    for text, told in (
        ("help", "What you can ask for:"),
        ("delete x", "There is no such command here. help: this"),
        ("show x", "Write: show <id>: one registration"),
        (f"deny {row}", f"Say why. Write: {USAGE[Verb.DENY]}"),
        (f"deny {row}  ", f"Say why. Write: {USAGE[Verb.DENY]}"),
        (f"rotate {row} now", f"Write: {USAGE[Verb.ROTATE]}"),
    ):
        answer = chat.ask(signed(chat.slack.command(ALICES, text), chat.now))
        assert lines(json.loads(answer.body)) == [told, *USAGE.values()]
    assert chat.queue == []


@pytest.mark.parametrize("full", [False, True])
def test_whoever_registers_reads_how_it_ended_and_why_it_failed(chat: Chat, *, full: bool) -> None:
    def meanwhile(_began: datetime, _until: datetime) -> Iterator[datetime]:
        chat.world.clock.meanwhile = lambda *_: ()
        chat.world.deliver()
        yield from ()

    chat.link(ALICES, ALICE)
    chat.world.emulator.faults.set(directory_quota_exceeded=full)
    chat.fills_in(ALICES, "service", {"displayName": "A", "contact": "team@contoso.example", "resource": MANAGED})
    chat.world.clock.meanwhile = meanwhile
    chat.work("d")
    [row] = chat.world.registry.find(top=2).registrations
    told, failure = chat.slack.told[-1][1], row.operation.failure
    if failure is None:
        assert lines(told) == ["It is registered.", "A", "service, active", row.id]
    else:
        why = f"{failure.message} {failure.remedy}"
        state = "service, failed, provision failed"
        assert lines(told) == ["It could not be registered.", "A", state, why, row.id]
    assert ((failure is not None), page_of(told)) == (full, f"#/r/{row.id}")
