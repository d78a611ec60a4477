"""The same person by the API, as the page calls it, and by each chat."""

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
from tests.worlds.teaming import TeamsChat, buttons
from tests.worlds.teaming import words as words_of
from tests.worlds.world import World

SURFACED = {
    "no role": frozenset[Role](),
    "create": frozenset({Role.CREATE}),
    "reads all": frozenset({Role.READ_ALL}),
    "manages all": frozenset({Role.MANAGE_ALL}),
    "approves": frozenset({Role.APPROVE}),
}


def by_api(world: World, caller: Caller, row: Registration) -> dict[str, Any]:
    """Return what a person is told by the API, as the page calls it, of each verb."""

    def told(name: str, body: dict[str, str] | None = None, query: str = "") -> Any:
        headers = headers_of(caller, world.emulator) | ({"content-type": "application/json"} if body else {})
        raw, method = json.dumps(body).encode() if body else b"", "GET" if name.startswith(("list", "show")) else "POST"
        path = f"/api/registrations/{row.id}"
        return json.loads(world.call(web.CALLS[name], Call(path, headers, query, raw, row.id, method=method)).body)

    listed, shown = told("list_registrations"), told("show_registration")
    return {
        "list": [each["registrationId"] for each in listed["value"]],
        "show": shown.get("detail") or shown["displayName"],
        "rotate": told("rotate_registration")["detail"],
        "approve": told("approve_registration", {"digest": row.asked_digest}, "dryRun=true").get("detail"),
    }


def in_slack(chat: Chat, row: Registration) -> dict[str, Any]:
    """Return what a person is told in Slack of each verb."""

    def first(message: dict[str, Any]) -> str:
        return str(message["blocks"][0]["text"]["text"])

    button = {"type": "button", "action_id": "approve", "value": f"{row.id} {row.asked_digest}"}
    shown = chat.says(ALICES, f"show {row.id}")
    return {
        "list": [line for line in words(chat.says(ALICES, "list")).splitlines() if line == row.id],
        "show": shown["blocks"][1 if row.id in words(shown) else 0]["text"]["text"],
        "rotate": first(chat.says(ALICES, f"rotate {row.id}")),
        "approve": agreed(first(chat.presses(ALICES, button))),
    }


def in_teams(teams: TeamsChat, caller: Caller, row: Registration) -> dict[str, Any]:
    """Return what a person is told in Microsoft Teams of each verb."""

    def lines(text: str) -> list[str]:
        return words_of(teams.says(caller, text).card).splitlines()

    data = {"id": row.id, "digest": row.asked_digest}
    shown = teams.says(caller, f"show {row.id}")
    said = words_of(shown.card).splitlines()
    assert [each["data"] for verb, each in buttons(shown.card).items() if verb == "approve"] in ([], [data])
    told = {
        "list": [line for line in lines("list") if line == row.id],
        "show": said[1] if row.id in said else said[0],
        "rotate": lines(f"rotate {row.id}")[0],
    }
    teams.presses(caller, shown, {"verb": "approve", "data": data})
    answer = shown if shown.versions > 1 else teams.bot.told[-1]
    return told | {"approve": agreed(words_of(answer.card).splitlines()[0])}


def agreed(told: str) -> str | None:
    return None if told.startswith("You have approved") else told


@pytest.mark.parametrize("whose", ["own", "group's", "another's"])
@pytest.mark.parametrize("role", SURFACED)
@pytest.mark.parametrize("where", ["Slack", "Teams"])
def test_the_same_person_sees_and_may_do_the_same_by_the_api_and_by_each_chat(
    where: str, role: str, whose: str
) -> None:
    """The page is the API's own client: what it shows and does is what these calls answer."""
    there = Chat() if where == "Slack" else TeamsChat()
    world = there.world
    group = "7ea11111-0000-4000-8000-00000000000f"
    caller = replace(MALLORY, roles=SURFACED[role], groups=frozenset({group}))
    owner = {"own": caller.object_id, "group's": group, "another's": ALICE.object_id}[whose]
    row = awaiting(world, a_service_client(owner=owner, resource=MANAGED, appRoles=[]))
    expected = by_api(world, caller, row)
    if isinstance(there, Chat):
        there.link(ALICES, caller)
        assert in_slack(there, row) == expected
    else:
        there.knows(caller)
        assert in_teams(there, caller, row) == expected


def test_whoever_approves_is_shown_every_field_that_is_asked_for() -> None:
    asked = {field.alias or name for kind in REQUEST_TYPES.values() for name, field in kind.model_fields.items()} - {
        "clientType",
        "displayName",
    }
    assert asked - set(ASKED) == set()
