"""The same person by the API, as the page calls it, and by the chat."""

import json
from dataclasses import replace
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.api.chat.verbs import ASKED
from provisioning.domain.callers import Caller, Role
from provisioning.domain.intake import REQUEST_TYPES
from provisioning.domain.registration import Registration
from tests.worlds.approvals import awaiting
from tests.worlds.chatting import ALICES, Chat
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.signed_in import ALICE, MALLORY, headers_of
from tests.worlds.slack import words

SURFACED = {
    "no role": frozenset[Role](),
    "create": frozenset({Role.CREATE}),
    "reads all": frozenset({Role.READ_ALL}),
    "manages all": frozenset({Role.MANAGE_ALL}),
    "approves": frozenset({Role.APPROVE}),
}


def surfaces(chat: Chat, caller: Caller, row: Registration) -> dict[str, tuple[Any, Any]]:
    """Return what a person is told by the API, as the page calls it, and by the chat, of each verb."""

    def by_api(name: str, body: dict[str, str] | None = None, query: str = "") -> Any:
        headers = headers_of(caller, chat.world.emulator) | ({"content-type": "application/json"} if body else {})
        raw, method = json.dumps(body).encode() if body else b"", "GET" if name.startswith(("list", "show")) else "POST"
        path = f"/api/registrations/{row.id}"
        answer = chat.world.call(web.CALLS[name], Call(path, headers, query, raw, row.id, method=method))
        return json.loads(answer.body)

    def first(message: dict[str, Any]) -> str:
        return str(message["blocks"][0]["text"]["text"])

    digest = row.asked_digest
    button = {"type": "button", "action_id": "approve", "value": f"{row.id} {digest}"}
    listed, shown = by_api("list_registrations"), by_api("show_registration")
    told = {
        "list": (
            [each["registrationId"] for each in listed["value"]],
            [line for line in words(chat.says(ALICES, "list")).splitlines() if line == row.id],
        ),
        "show": (
            shown.get("detail") or shown["displayName"],
            (said := chat.says(ALICES, f"show {row.id}"))["blocks"][1 if row.id in words(said) else 0]["text"]["text"],
        ),
        "rotate": (by_api("rotate_registration")["detail"], first(chat.says(ALICES, f"rotate {row.id}"))),
    }
    would = by_api("approve_registration", {"digest": digest}, "dryRun=true").get("detail")
    approved = first(chat.presses(ALICES, button))
    told["approve"] = (would, None if approved.startswith("You have approved") else approved)
    return told


@pytest.mark.parametrize("whose", ["own", "group's", "another's"])
@pytest.mark.parametrize("role", SURFACED)
def test_the_same_person_sees_and_may_do_the_same_by_the_api_and_by_the_chat(chat: Chat, role: str, whose: str) -> None:
    """The page is the API's own client: what it shows and does is what these calls answer."""
    group = "7ea11111-0000-4000-8000-00000000000f"
    caller = replace(MALLORY, roles=SURFACED[role], groups=frozenset({group}))
    owner = {"own": caller.object_id, "group's": group, "another's": ALICE.object_id}[whose]
    row = awaiting(chat.world, a_service_client(owner=owner, resource=MANAGED, appRoles=[]))
    chat.link(ALICES, caller)
    for verb, (by_api, by_chat) in surfaces(chat, caller, row).items():
        assert by_api == by_chat, verb


def test_whoever_approves_is_shown_every_field_that_is_asked_for() -> None:
    asked = {field.alias or name for kind in REQUEST_TYPES.values() for name, field in kind.model_fields.items()} - {
        "clientType",
        "displayName",
    }
    assert asked - set(ASKED) == set()
