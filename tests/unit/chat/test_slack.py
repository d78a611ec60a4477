"""What somebody in Slack asks for, from the signed request to what is shown: over a world, in virtual time."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat.verbs import ASKED, Verb, read
from provisioning.api.chat.work import answer_slack, carry_out, give_up
from provisioning.domain.callers import Caller, Role
from provisioning.domain.chat import CODE_LIVES, ChatUser
from provisioning.domain.errors import TryAgain
from provisioning.domain.events import EventOutcome, What
from provisioning.domain.intake import REQUEST_TYPES
from provisioning.domain.registration import Registration, Status
from provisioning.domain.slack import LARGEST_BODY, LONGEST_WAIT, OLDEST
from tests.worlds.approvals import APPROVER, awaiting
from tests.worlds.outside import Died
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, headers_of
from tests.worlds.slack import SIGNING_SECRET, WORKSPACE, SlackDouble, buttons, signed, words
from tests.worlds.world import World

ALICES, MALLORYS, APPROVERS = "U0ALICE", "U0MALLORY", "U0APPROVER"


class Chat:
    """A world with a workspace of Slack, and the queue between the answer and the work."""

    def __init__(self, **settings: str) -> None:
        self.slack = SlackDouble()
        self.world = World(chat=self.slack, settings={**ENTRA, "WEBSITE_HOSTNAME": "r.contoso.com", **settings})
        self.queue: list[str] = []
        self.calls: list[str] = []

    @property
    def now(self) -> float:
        return self.world.clock.now().timestamp()

    def ask(self, call: Call) -> Answer:
        answer = answer_slack(lambda: self.world.services, call)
        self.queue += [answer.message] if answer.message is not None else []
        return answer

    def work(self, delivery: str = "1") -> None:
        """Have what is queued done, and what follows from it."""
        while self.queue:
            message = self.queue.pop(0).encode()
            self.world.send(*carry_out(self.world.services, message, delivery))
        self.world.deliver()

    def says(self, user: str, text: str) -> dict[str, Any]:
        """Return what somebody is told who types a command."""
        before = len(self.slack.told)
        assert self.ask(signed(self.slack.command(user, text), self.now)).status == 200
        self.work(f"delivery {before}")
        [(_, message)] = self.slack.told[before:]
        return message

    def presses(self, user: str, button: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        """Return what somebody is told who presses a button."""
        before = len(self.slack.told)
        assert self.ask(signed(self.slack.pressed(user, button, reason), self.now)).status == 200
        self.work(f"delivery {before}")
        [(_, message)] = self.slack.told[before:]
        return message

    def fills_in(self, user: str, kind: str, values: dict[str, str]) -> Answer:
        """Return what Slack is answered at once where somebody opens a form and fills it in."""
        opens = buttons(self.says(user, "register"))[f"register-{kind}"]
        assert self.ask(signed(self.slack.pressed(user, opens), self.now)).body == ""
        return self.ask(signed(self.slack.filled_in(user, self.slack.views[-1], values), self.now))

    def on_the_page(self, caller: Caller, name: str = "show_caller", method: str = "GET") -> Answer:
        call = Call("/api/me", headers_of(caller, self.world.emulator), method=method)
        return self.world.call(web.CALLS[name], call)

    def code(self, caller: Caller) -> str:
        return str(json.loads(self.on_the_page(caller, "link_chat", "POST").body)["code"])

    def link(self, user: str, caller: Caller) -> dict[str, Any]:
        return self.says(user, f"link {self.code(caller)}")


def noting(chat: Chat) -> list[str]:
    """Return what notes each call to the outside from now on."""
    calls: list[str] = []

    def outside(name: str, action: Any) -> Any:
        calls.append(name)
        return action()

    chat.world.outside = outside
    return calls


@pytest.fixture
def chat() -> Chat:
    return Chat()


# --- whether it is from Slack ---------------------------------------------------------------------------------------


def forged(chat: Chat) -> Call:
    call = signed(chat.slack.command(ALICES, "list"), chat.now)
    return replace(call, body=call.body.replace(b"U0ALICE", b"U0OTHER"))


def of_another_secret(chat: Chat) -> Call:
    call = signed(chat.slack.command(ALICES, "list"), chat.now)
    return replace(call, headers={**call.headers, "x-slack-signature": "v0=" + "0" * 64})


def old(chat: Chat) -> Call:
    return signed(chat.slack.command(ALICES, "list"), chat.now - OLDEST.total_seconds() - 1)


def of_the_future(chat: Chat) -> Call:
    return signed(chat.slack.command(ALICES, "list"), chat.now + OLDEST.total_seconds() + 2)


def without_a_timestamp(chat: Chat) -> Call:
    call = signed(chat.slack.command(ALICES, "list"), chat.now)
    return replace(call, headers={**call.headers, "x-slack-request-timestamp": "yesterday"})


def unsigned(chat: Chat) -> Call:
    return replace(signed(chat.slack.command(ALICES, "list"), chat.now), headers={})


def signed_otherwise(chat: Chat) -> Call:
    call = signed(chat.slack.command(ALICES, "list"), chat.now)
    return replace(call, headers={**call.headers, "x-slack-signature": call.headers["x-slack-signature"] + "é"})


@pytest.mark.parametrize(
    "call", [forged, of_another_secret, old, of_the_future, without_a_timestamp, unsigned, signed_otherwise]
)
def test_what_slack_did_not_sign_just_now_is_401_before_anything_is_parsed(chat: Chat, call: Any) -> None:
    sent = call(chat)
    for body in (sent.body, b"\xff{not a form"):
        calls = noting(chat)
        answer = chat.ask(replace(sent, body=body))
        assert (answer.status, answer.code) == (401, "unauthenticated")
        assert (chat.queue, calls) == ([], [])


def test_a_body_that_is_too_large_is_413_although_it_is_signed(chat: Chat) -> None:
    answer = chat.ask(signed(b"%" * (LARGEST_BODY + 1), chat.now))
    assert (answer.status, answer.code, chat.queue) == (413, "body-too-large", [])


def test_another_workspace_is_401_although_its_request_is_signed(chat: Chat) -> None:
    foreign = [
        chat.slack.command(ALICES, "list", team_id="T0OTHER"),
        chat.slack.pressed(ALICES, {"action_id": "open"}, team={"id": "T0OTHER"}),
    ]
    for body in foreign:
        answer = chat.ask(signed(body, chat.now))
        assert (answer.status, answer.code, chat.queue) == (401, "unauthenticated", [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        "é=ü".encode(),
        b"payload=",
        b"payload=%5B%5D",
        b"payload=" + b"%5B" * 9000,
        urlencode(
            {"payload": json.dumps({"type": "view_closed", "team": {"id": WORKSPACE}, "user": {"id": "U1"}})}
        ).encode(),
        b"command=x",
        b"&".join(b"a=b" for _ in range(60)),
    ],
)
def test_what_slack_does_not_document_is_400_and_does_nothing(chat: Chat, body: bytes) -> None:
    answer = chat.ask(signed(body, chat.now))
    assert (answer.status, answer.code, chat.queue) == (400, "invalid-request", [])


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com.evil.example/x",
        "https://evil.example/hooks.slack.com",
        "http://hooks.slack.com/x",
        "https://hooks.slack.com:444/x",
        "https://hooks.slack.com@evil.example/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/x",
        "//hooks.slack.com/x",
        "https://hooks.slack.com:x/",
    ],
)
def test_an_answer_goes_to_slack_and_nowhere_else(chat: Chat, url: str) -> None:
    workspace = chat.world.services.workspace
    assert workspace is not None
    in_the_cloud = replace(workspace, local=False)
    assert in_the_cloud.answers_at("https://hooks.slack.com/commands/1")
    assert not in_the_cloud.answers_at(url)


def test_a_request_is_done_once_however_often_it_is_sent(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    call = signed(chat.slack.command(ALICES, "list"), chat.now)
    told = len(chat.slack.told)
    for delivery in ("first", "second", "third"):
        chat.ask(call)
        chat.work(delivery)
    assert len(chat.slack.told) == told + 1


def test_a_delivery_that_died_comes_again_and_is_no_replay(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.ask(signed(chat.slack.command(ALICES, "list"), chat.now))
    message, told = chat.queue[0].encode(), len(chat.slack.told)

    def dies(name: str, action: Any) -> Any:
        if name == "people.linked":
            raise Died
        return action()

    chat.world.outside = dies
    with pytest.raises(Died):
        carry_out(chat.world.services, message, "one")
    chat.world.outside = lambda _name, action: action()
    carry_out(chat.world.services, message, "one")
    assert len(chat.slack.told) == told + 1


def test_whoever_may_write_to_the_queue_may_ask_for_nothing(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.ask(signed(chat.slack.command(ALICES, "list"), chat.now))
    message, told = json.loads(chat.queue[0]), len(chat.slack.told)
    for changed in ({"body": message["body"].replace("list", "help")}, {"signature": "v0=" + "0" * 64}):
        assert carry_out(chat.world.services, json.dumps(message | changed).encode(), "x") == []
    for garbage in (b"", b"{}", b"null", b"[1]", b'{"body": 1, "timestamp": 1, "signature": 1}'):
        assert carry_out(chat.world.services, garbage, "x") == []
        give_up(chat.world.services, garbage)
    chat.world.clock.time += LONGEST_WAIT + timedelta(seconds=2)
    assert carry_out(chat.world.services, chat.queue[0].encode(), "x") == []
    assert len(chat.slack.told) == told


def test_slack_is_answered_without_one_call_to_the_outside_and_help_at_once(chat: Chat) -> None:
    """The queue's message goes out by the host: the one round trip to storage before the answer."""
    calls = noting(chat)
    answer = chat.ask(signed(chat.slack.command(ALICES, "show 1"), chat.now))
    assert answer.status == 200
    answer = chat.ask(signed(chat.slack.command(ALICES, "list"), chat.now))
    assert (answer.status, answer.body, len(chat.queue)) == (200, "", 1)
    said = json.loads(chat.ask(signed(chat.slack.command(ALICES, ""), chat.now)).body)
    assert said["response_type"] == "ephemeral"
    assert all(f"\n{verb}" in "\n" + words(said) for verb in Verb)
    assert (calls, len(chat.queue)) == ([], 1)


# --- who it is ------------------------------------------------------------------------------------------------------


def test_an_unlinked_user_is_told_how_to_say_who_they_are_and_nothing_else(chat: Chat) -> None:
    for text in ("list", f"show {'0' * 8}-00000000-0000-4000-8000-000000000000"):
        message = chat.says(ALICES, text)
        assert words(message).startswith("Who are you?")
        assert buttons(message)["open"]["url"] == "https://r.contoso.com/api/page/#/chat"


def test_a_code_makes_whoever_says_it_that_person_once(chat: Chat) -> None:
    code = chat.code(ALICE)
    assert words(chat.says(ALICES, f"link {code.lower()}")).startswith(f"You are {ALICE.name} here")
    assert words(chat.says(MALLORYS, f"link {code}")).startswith("This code is not good")
    assert chat.world.people.links == {ChatUser(WORKSPACE, ALICES): ALICE.object_id}


def test_a_code_is_good_for_ten_minutes_and_is_kept_nowhere(chat: Chat) -> None:
    code = chat.code(ALICE)
    kept = repr(vars(chat.world.people))
    assert code not in kept
    assert code.replace("-", "") not in kept
    chat.world.clock.time += CODE_LIVES
    assert words(chat.says(ALICES, f"link {code}")).startswith("This code is not good")


def test_a_guessed_code_is_good_for_nobody(chat: Chat) -> None:
    chat.code(ALICE)
    for guess in ("", "AAAA-AAAA-AAAA", "?"):
        assert words(chat.says(MALLORYS, f"link {guess}")).startswith("This code is not good")


def test_a_sign_in_that_is_over_says_sign_in_and_looking_at_the_page_renews_it(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.world.clock.time += timedelta(hours=8)
    assert words(chat.says(ALICES, "list")).startswith("Your sign-in does not count any more")
    chat.on_the_page(ALICE)
    assert words(chat.says(ALICES, "list")) == "There is none."


def test_the_chat_goes_by_the_roles_and_groups_of_the_last_sign_in(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    less = replace(ALICE, roles=frozenset(), groups=frozenset())
    chat.on_the_page(less)
    kept = chat.world.people.sign_in(ALICE.object_id)
    assert kept is not None
    assert kept.caller == less


def test_of_whoever_is_not_known_in_the_chat_a_look_at_the_page_keeps_nothing(chat: Chat) -> None:
    chat.on_the_page(ALICE)
    assert chat.world.people.sign_ins == {}


def test_storage_that_cannot_answer_keeps_nobody_from_the_page(chat: Chat) -> None:
    def broken(name: str, action: Any) -> Any:
        if name == "people.renew":
            raise TryAgain("storage-unavailable", "Table storage could not answer.")
        return action()

    chat.world.outside = broken
    assert chat.on_the_page(ALICE).status == 200


def test_an_application_is_nobody_in_the_chat(chat: Chat) -> None:
    answer = chat.on_the_page(BOT, "link_chat", "POST")
    assert (answer.status, answer.code) == (403, "not-a-person")
    assert chat.world.people.codes == {}


def test_whoever_unlinks_is_nobody_in_the_chat(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.link(MALLORYS, MALLORY)
    code = chat.code(ALICE)
    assert chat.on_the_page(ALICE, "unlink_chat", "DELETE").status == 204
    assert chat.on_the_page(ALICE, "unlink_chat", "DELETE").status == 204
    assert words(chat.says(ALICES, "list")).startswith("Who are you?")
    assert words(chat.says(ALICES, f"link {code}")).startswith("This code is not good")
    assert words(chat.says(MALLORYS, "list")) == "There is none."
    for _ in range(2):
        assert words(chat.says(MALLORYS, "unlink")) == "You are nobody here."
        assert words(chat.says(MALLORYS, "list")).startswith("Who are you?")


# --- what is asked for ----------------------------------------------------------------------------------------------


def a_client(owner: Caller) -> dict[str, Any]:
    return a_service_client(owner=owner.object_id, resource=MANAGED, appRoles=[])


def approver(chat: Chat) -> None:
    chat.link(APPROVERS, APPROVER)


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
    assert chat.world.row(row.id).awaits_approval


def test_a_denial_has_its_reason_by_button_and_by_command(chat: Chat) -> None:
    approver(chat)
    by_button, by_command = (awaiting(chat.world, a_client(each)) for each in (ALICE, MALLORY))
    button = buttons(chat.says(APPROVERS, f"show {by_button.id}"))["deny"]
    assert words(chat.presses(APPROVERS, button)).startswith("Write the reason")
    assert words(chat.presses(APPROVERS, button, "Not <here>.")).startswith("You have denied what")
    assert words(chat.says(APPROVERS, f"deny {by_command.id} Not there.")).startswith("You have denied what")
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
    assert "new secret, into the vault" in words(chat.says(ALICES, f"rotate {identity}"))
    after = chat.world.row(identity).secret
    assert key is not None
    assert after is not None
    assert key.key_id != after.key_id
    assert f"secret: {after.id}" in words(chat.says(ALICES, f"show {identity}"))


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


# --- a new registration ---------------------------------------------------------------------------------------------

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


# --- the same by every way ------------------------------------------------------------------------------------------

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
