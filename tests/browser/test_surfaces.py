"""The same person by the page, in a browser, by the API and by the chat: three that see and may do the same."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

import function_app
from dev.host.functions import Function
from dev.host.routes import Route
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller, Role
from provisioning.domain.registration import Registration
from provisioning.domain.usage import Usage
from tests.browser.conftest import People
from tests.browser.person import Person
from tests.worlds.approvals import awaiting
from tests.worlds.chatting import ALICES, Chat
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.signed_in import ALICE, MALLORY, headers_of
from tests.worlds.slack import words

ORIGIN = "https://r.contoso.example"
GROUP = "7ea11111-0000-4000-8000-00000000000f"
ROLES = {
    "no role": frozenset[Role](),
    "create": frozenset({Role.CREATE}),
    "reads all": frozenset({Role.READ_ALL}),
    "manages all": frozenset({Role.MANAGE_ALL}),
    "approves": frozenset({Role.APPROVE}),
}
# The page's own words for a 404, and what stands for having been let do it.
NOT_FOUND = "There is no registration of that id, or none that you may know of."
NO_SUCH = "There is no registration of that id."
DONE = "done"
REASON = "Reading is enough here."


def _route(name: str, method: str, template: str) -> Route:
    return Route.of(Function(name, print, {"route": template, "methods": [method]}, (), wants_context=False), "api")


ROUTES = [
    *((_route(name, method, template), call) for name, method, template, call in function_app.CALLS),
    (_route("page", "GET", "page/{file?}"), "show_page_for_people"),
]


class Surfaces:
    """One person before a world that a browser, a caller of the API and a chat ask."""

    def __init__(self, chat: Chat, caller: Caller, person: Person) -> None:
        self.chat = chat
        self.caller = caller
        self.person = person
        person.context.route("**/*", self._answers)
        self.ids: set[str] = set()
        chat.link(ALICES, caller)

    def ask(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Answer a call of the person's, whom the platform in front has signed in."""
        path = urlsplit(url).path
        call, found = next(
            (call, found)
            for route, call in ROUTES
            if method in route.methods and (found := route.pattern.fullmatch(path))
        )
        signed_in = headers | headers_of(self.caller, self.chat.world.emulator)
        values = {name: value or "" for name, value in found.groupdict().items()}
        received = Call.received(method, url, signed_in, body, values)
        if call in web.CALLS:
            return self.chat.world.call(web.CALLS[call], received)
        return web.answer_call(lambda: self.chat.world.services, call, received)

    def _answers(self, route: Any) -> None:
        asked = route.request
        answer = self.ask(asked.method, asked.url, asked.all_headers(), asked.post_data_buffer or b"")
        headers = {**answer.headers, "content-type": answer.content_type}
        route.fulfill(status=answer.status, headers=headers, body=answer.body)

    # --- what is told, by each: the ids that are seen, a name, DONE, or why not -------------------------------------

    def by_api(self, verb: str, row: Registration) -> Any:
        path = f"/api/registrations/{row.id}"
        decision = {"digest": row.asked_digest, "reason": REASON}
        method, target, body = {
            "list": ("GET", "/api/registrations", None),
            "show": ("GET", path, None),
            "rotate": ("POST", f"{path}/rotate", None),
            "approve": ("POST", f"{path}/approve?dryRun=true", decision),
            "deny": ("POST", f"{path}/deny?dryRun=true", decision),
        }[verb]
        raw = json.dumps(body).encode() if body else b""
        told = json.loads(
            self.ask(method, ORIGIN + target, {"content-type": "application/json"} if body else {}, raw).body
        )
        if verb == "list":
            return {each["registrationId"] for each in told["value"]}
        return told.get("detail") or (told["displayName"] if verb == "show" else DONE)

    def by_chat(self, verb: str, row: Registration) -> Any:
        if verb in ("approve", "deny"):
            button = {"type": "button", "action_id": verb, "value": f"{row.id} {row.asked_digest}"}
            told = self._first(self.chat.presses(ALICES, button, REASON))
            return DONE if told.startswith(("You have approved", "You have denied")) else told
        if verb == "list":
            return set(words(self.chat.says(ALICES, "list")).splitlines()) & self.ids
        said = self.chat.says(ALICES, f"{verb} {row.id}")
        shown = verb == "show" and row.id in words(said)
        return str(said["blocks"][1]["text"]["text"]) if shown else self._first(said)

    @staticmethod
    def _first(message: dict[str, Any]) -> str:
        return str(message["blocks"][0]["text"]["text"])

    def by_page(self, verb: str, row: Registration) -> Any:
        page, at = self.person.page, f"#/r/{row.id}"
        page.goto("about:blank")  # or what is seen may still be what the address before this one named
        if verb == "list":
            self.person.looks_at("#/")
            links = page.locator("main a[href^='#/r/']").evaluate_all("(all) => all.map((each) => each.hash)")
            return {str(each).split("/")[2] for each in links}
        if verb == "show":
            self.person.looks_at(at)
            return self._problem() or page.inner_text("h1")
        self.person.looks_at(f"{at}/{'rotate' if verb == 'rotate' else 'decide'}")
        button = page.get_by_role("button", name={"rotate": "Replace it", "approve": "Approve", "deny": "Deny"}[verb])
        if not button.count():
            return self._problem()
        if verb != "rotate":
            self.person.types("Reason", REASON)
        button.click()
        page.wait_for_function("(at) => location.hash === at || document.querySelector('form .note.bad')", arg=at)
        return DONE if page.url.endswith(at) else self._problem()

    def _problem(self) -> str | None:
        said = self.person.page.locator("main .note.bad p").first
        return str(said.inner_text()) if said.count() else None


@pytest.mark.parametrize("whose", ["own", "group's", "another's"])
@pytest.mark.parametrize("role", ROLES)
def test_the_same_person_sees_and_may_do_the_same_by_page_api_and_chat(people: People, role: str, whose: str) -> None:
    caller = replace(MALLORY, roles=ROLES[role], groups=frozenset({GROUP}))
    owner = {"own": caller.object_id, "group's": GROUP, "another's": ALICE.object_id}[whose]
    chat = Chat()

    def asked(name: str) -> Registration:
        body = a_service_client(owner=owner, resource=MANAGED, appRoles=[], displayName=name)
        there.ids.add((row := awaiting(chat.world, body)).id)
        return row

    there = Surfaces(chat, caller, people.called(None, origin=ORIGIN))
    for verb in ("list", "show", "rotate", "approve", "deny"):
        by_page, by_chat = asked(f"To {verb}"), asked(f"To {verb}")
        told = there.by_api(verb, by_page)
        assert there.by_chat(verb, by_chat) == told, (verb, "by the chat")
        assert there.by_page(verb, by_page) == (NOT_FOUND if told == NO_SUCH else told), (verb, "by the page")


def test_whoever_may_see_a_registration_reads_when_it_was_last_used_where_that_is_known(people: People) -> None:
    chat = Chat(SIGN_IN_ACTIVITY="on")
    row = awaiting(chat.world, a_service_client(owner=MALLORY.object_id, resource=MANAGED, appRoles=[]))
    there = Surfaces(chat, MALLORY, people.called(None, origin=ORIGIN))
    assert there.by_page("show", row) == row.request.display_name
    assert "Last used" not in there.person.text
    used = datetime(2026, 11, 5, 8, 30, tzinfo=UTC)
    chat.world.registry.replace(replace(chat.world.row(row.id), usage=Usage(last_used_at=used)))
    there.by_page("show", row)
    assert (
        there.person.page.locator("dt", has_text="Last used").locator("xpath=following-sibling::dd").first.inner_text()
    )
    assert "2026" in there.person.text
