"""Whether a request is from Slack, and is taken once."""

import json
import logging
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from provisioning.api.calls import Call
from provisioning.api.chat.verbs import Verb
from provisioning.api.chat.work import carry_out, give_up
from provisioning.domain.errors import TryAgain
from provisioning.domain.slack import LONGEST_WAIT, OLDEST, SignedRequest
from tests.worlds.chatting import ALICES, Chat, noting
from tests.worlds.outside import Died
from tests.worlds.signed_in import ALICE
from tests.worlds.slack import SIGNING_SECRET, WORKSPACE, signed, words


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
    for size, refused in ((32 * 1024, (400, "invalid-request")), (32 * 1024 + 1, (413, "body-too-large"))):
        answer = chat.ask(signed(b"%" * size, chat.now))
        assert ((answer.status, answer.code), chat.queue) == (refused, [])


def test_a_form_of_fifty_fields_is_read_and_one_of_more_is_not(chat: Chat) -> None:
    command = chat.slack.command(ALICES, "help")
    for fields, status in ((50, 200), (51, 400)):
        more = b"&a=b" * (fields - command.count(b"&") - 1)
        assert chat.ask(signed(command + more, chat.now)).status == status
    assert chat.ask(signed(command + b"&nothing", chat.now)).status == 400


def test_another_workspace_is_401_although_its_request_is_signed(chat: Chat) -> None:
    foreign = [
        chat.slack.command(ALICES, "list", team_id="T0OTHER"),
        chat.slack.pressed(ALICES, {"action_id": "open"}, team={"id": "T0OTHER"}),
    ]
    for body in foreign:
        answer = chat.ask(signed(body, chat.now))
        assert (answer.status, answer.code, chat.queue) == (401, "unauthenticated", [])


ROW = "0" * 8 + "-00000000-0000-4000-8000-000000000000"
APPROVES = {"action_id": "approve", "value": f"{ROW} d"}


@pytest.mark.parametrize(
    ("action", "changes"),
    [
        (APPROVES | {"value": f"{ROW} "}, {}),
        (APPROVES | {"value": ROW}, {}),
        (APPROVES | {"value": "1 d"}, {}),
        (APPROVES | {"action_id": "rotate"}, {}),
        (APPROVES | {"action_id": "destroy"}, {}),
        (APPROVES, {"type": "message_action"}),
        (APPROVES, {"user": {"id": "U1 2"}}),
        (APPROVES, {"user": {"id": "Ü1"}}),
        (APPROVES, {"user": {"id": 1}}),
        (APPROVES, {"response_url": "https://evil.example/"}),
        (APPROVES, {"actions": [APPROVES, APPROVES]}),
        ({"action_id": "register-spy", "value": "spy"}, {}),
    ],
    ids=str,
)
def test_a_button_that_is_none_of_ours_is_400_and_does_nothing(
    chat: Chat, action: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert chat.ask(signed(chat.slack.pressed(ALICES, APPROVES), chat.now)).status == 200
    assert len(chat.queue) == 1
    answer = chat.ask(signed(chat.slack.pressed(ALICES, action, **changes), chat.now))
    assert (answer.status, answer.code, len(chat.queue)) == (400, "invalid-request", 1)


@pytest.mark.parametrize(
    "changes",
    [{"callback_id": "other"}, {"kind": "spy"}, {"id": "V 1"}, {"id": "Ü1"}, {"id": ""}],
    ids=str,
)
def test_a_form_that_is_none_of_ours_is_400_and_does_nothing(chat: Chat, changes: dict[str, str]) -> None:
    url = chat.slack.new_url()
    for more, status in (({}, 200), (changes, 400)):
        told = {"id": "V1", "callback_id": "register", "kind": "resource"} | more
        filled = {"displayName": "A", "contact": "a@contoso.example", "fhirServerUrl": "https://f.contoso.example"}
        view = {
            "id": told["id"],
            "callback_id": told["callback_id"],
            "private_metadata": json.dumps({"kind": told["kind"], "url": url}),
            "state": {"values": {name: {"value": {"value": value}} for name, value in filled.items()}},
        }
        payload = {"type": "view_submission", "team": {"id": WORKSPACE}, "user": {"id": ALICES}, "view": view}
        answer = chat.ask(signed(urlencode({"payload": json.dumps(payload)}).encode(), chat.now))
        assert (answer.status, len(chat.queue)) == (status, 1)


def test_a_button_that_is_a_link_asks_for_nothing_whoever_says_so(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    opened, told = signed(chat.slack.pressed(ALICES, {"action_id": "open"}), chat.now), len(chat.slack.told)
    answer = chat.ask(opened)
    assert (answer.status, answer.body, chat.queue) == (200, "", [])
    message = SignedRequest.received(opened.headers, opened.body).message.encode()
    assert carry_out(chat.world.services, message, "x") == []
    assert len(chat.slack.told) == told


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


def test_a_request_that_is_sent_again_is_401_and_is_done_once(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    call = signed(chat.slack.command(ALICES, "list"), chat.now)
    told = len(chat.slack.told)
    answers = []
    for delivery in ("first", "second", "third"):
        answers.append(chat.ask(call))
        chat.work(delivery)
    assert [(each.status, each.code) for each in answers] == [(200, ""), *[(401, "unauthenticated")] * 2]
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


def test_slack_waits_for_one_round_trip_to_storage_and_gets_help_at_once(chat: Chat) -> None:
    """What is kept and what is queued go out at the same time: each here begins only once the other one has, too."""
    both, calls = threading.Barrier(2, timeout=20), list[str]()

    def at_once(name: str, action: Any) -> Any:
        calls.append(name)
        both.wait()
        return action()

    chat.world.outside = at_once
    answer = chat.ask(signed(chat.slack.command(ALICES, "list"), chat.now))
    assert (answer.status, answer.body, sorted(calls)) == (200, "", ["people.keep", "queue.send"])
    calls.clear()
    answer = chat.ask(signed(chat.slack.command(ALICES, "show 1"), chat.now))
    assert answer.status == 200
    said = json.loads(chat.ask(signed(chat.slack.command(ALICES, ""), chat.now)).body)
    assert said["response_type"] == "ephemeral"
    assert all(f"\n{verb}" in "\n" + words(said) for verb in Verb)
    assert (calls, len(chat.queue)) == ([], 1)


def test_no_log_line_at_any_level_holds_what_opens_something(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    code = chat.code(ALICE)
    chat.says(ALICES, f"link {code}")
    chat.slack.status = 500
    opens = {"type": "button", "action_id": "register-spa", "value": "spa"}
    for body in (
        chat.slack.command(ALICES, "list"),
        chat.slack.pressed(ALICES, opens),
        chat.slack.pressed(ALICES, opens, trigger_id="of long ago"),
    ):
        call = signed(body, chat.now)
        chat.ask(call)
        chat.ask(replace(call, headers={}))
        give_up(chat.world.services, json.dumps({"body": body.decode(), "timestamp": "1", "signature": "x"}).encode())
        chat.work("d")
    assert "chat-not-told" in caplog.text
    marks = ("qzresponseqz", "qztriggerqz", "qzbottokenqz", SIGNING_SECRET, code, call.headers["x-slack-signature"])
    assert [mark for mark in marks if mark in caplog.text] == []


@pytest.mark.parametrize("status", [201, 302, 429, 500])
def test_what_slack_answers_otherwise_than_with_200_is_not_taken_whatever_its_body_says(
    chat: Chat, status: int
) -> None:
    text = {"type": "plain_text", "text": "Hello"}
    slack, message = chat.world.services.slack, {"text": "Hello", "blocks": [{"type": "section", "text": text}]}
    name = slack.say(ALICES, message)
    chat.slack.status = status
    for ask in (
        lambda: slack.tell(chat.slack.new_url(), message),
        lambda: slack.say(ALICES, message),
        lambda: slack.change(name, message),
    ):
        with pytest.raises(TryAgain, match=rf": Slack answered {status}\.$") as raised:
            ask()
        assert raised.value.code == "chat-not-told"
