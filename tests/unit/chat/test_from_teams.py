"""Whether an activity is from Microsoft Teams, of this tenant, and is taken once."""

import base64
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from dev.emulator.bot import signing
from dev.emulator.faults import Fault
from dev.emulator.sts import signing as entra
from provisioning.api.calls import Call
from provisioning.api.chat.work import answer_chat, carry_out, give_up
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import DROPPED
from provisioning.domain.teams import LARGEST_BODY, OLDEST, REMEMBERED, Conversation
from tests.worlds.outside import Died, straight
from tests.worlds.signed_in import ALICE, ENTRA, MALLORY
from tests.worlds.teaming import TeamsChat, words
from tests.worlds.world import World

ANOTHER = "99999999-0000-4000-8000-000000000009"


def plain(teams: TeamsChat) -> Call:
    return teams.sent(teams.bot.message(ALICE.object_id, "list"))


def with_token(teams: TeamsChat, token: str) -> Call:
    return replace(plain(teams), headers={"authorization": f"Bearer {token}"})


def token(teams: TeamsChat, **changes: Any) -> str:
    return signing.token(teams.bot.bot_id, teams.bot.service, teams.world.clock.now(), **changes)


def claims(teams: TeamsChat) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(token(teams), options={"verify_signature": False})
    return read


def unsigned(teams: TeamsChat) -> Call:
    return with_token(teams, jwt.encode(claims(teams), "", algorithm="none", headers={"kid": signing.TEAMS_KEY}))


def signed_by_the_public_key(teams: TeamsChat) -> Call:
    """HS256 with what everybody can read; PyJWT itself refuses to sign so."""
    public = signing.private_key(signing.TEAMS_KEY).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": "JWT", "kid": signing.TEAMS_KEY}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims(teams))]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signed = signature.sign(b".".join(parts), pem)
    return with_token(teams, b".".join([*parts, base64.urlsafe_b64encode(signed).rstrip(b"=")]).decode())


def changed(teams: TeamsChat) -> Call:
    head, body, signature = token(teams).split(".")
    more = base64.urlsafe_b64encode(json.dumps(claims(teams) | {"exp": 2**40}).encode()).rstrip(b"=").decode()
    assert more != body
    return with_token(teams, f"{head}.{more}.{signature}")


def of_an_unknown_key(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, key_id="somebody's-1"))


def of_another_channels_key(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, key_id=signing.OTHER_KEY))


def over(teams: TeamsChat) -> Call:
    now = teams.world.clock.now().timestamp()
    return with_token(teams, token(teams, nbf=now - 4000, exp=now - 301))


def not_yet(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, nbf=teams.world.clock.now().timestamp() + 301))


def without_an_end(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, exp=None))


def for_another_bot(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, aud=ANOTHER))


def for_our_bot_by_another_name(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, aud=f"api://{teams.bot.bot_id}"))


def for_others_too(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, aud=[teams.bot.bot_id, ANOTHER]))


def of_another_issuer(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, iss=f"https://sts.windows.net/{teams.world.emulator.tenant_id}/"))


def of_entra(teams: TeamsChat) -> Call:
    """A token for the bot that the tenant itself signed, as any application of it gets one."""
    return with_token(teams, entra.issue(claims(teams), teams.world.clock.now()))


def without_a_token(teams: TeamsChat) -> Call:
    return replace(plain(teams), headers={})


def of_another_scheme(teams: TeamsChat) -> Call:
    return replace(plain(teams), headers={"authorization": f"Basic {token(teams)}"})


def very_long(teams: TeamsChat) -> Call:
    return with_token(teams, token(teams, more="x" * 40_000))


def garbage(teams: TeamsChat) -> Call:
    return with_token(teams, "a.b.c")


FORGED = [
    *(unsigned, signed_by_the_public_key, changed, of_an_unknown_key, of_another_channels_key, over, not_yet),
    *(
        without_an_end,
        for_another_bot,
        for_our_bot_by_another_name,
        for_others_too,
        of_another_issuer,
        of_entra,
        without_a_token,
    ),
    *(of_another_scheme, very_long, garbage),
]


@pytest.mark.parametrize("call", FORGED)
def test_what_the_bot_framework_did_not_sign_for_this_bot_is_401_before_anything_is_parsed(
    teams: TeamsChat, call: Any
) -> None:
    assert teams.ask(plain(teams)).status == 200
    teams.queue.clear()
    sent = call(teams)
    for body in (sent.body, b"\xff{not an activity"):
        answer = teams.ask(replace(sent, body=body))
        assert (answer.status, answer.code, teams.queue) == (401, "unauthenticated", [])


def test_a_body_that_is_too_large_is_413_although_it_has_a_token(teams: TeamsChat) -> None:
    for size, refused in ((LARGEST_BODY, (400, "invalid-request")), (LARGEST_BODY + 1, (413, "body-too-large"))):
        answer = teams.ask(replace(plain(teams), body=b"[" * size))
        assert ((answer.status, answer.code), teams.queue) == (refused, [])


def test_what_is_more_than_a_row_of_storage_holds_is_413(teams: TeamsChat) -> None:
    teams.ask(teams.sent(teams.bot.message(ALICE.object_id, "list x")))
    [(kept, _)] = teams.world.people.came.values()
    for more, status in ((30_000 - len(kept), 200), (30_001 - len(kept), 413)):
        answer = teams.ask(teams.sent(teams.bot.message(ALICE.object_id, "list x" + "x" * more)))
        assert answer.status == status
    assert max(len(each) for each, _ in teams.world.people.came.values()) == 30_000


@pytest.mark.parametrize(
    "changes",
    [
        {"serviceUrl": "https://smba.trafficmanager.net/amer/"},
        {"channelId": "webchat"},
        {"conversation": {"conversationType": "personal", "id": "a:1", "tenantId": ANOTHER}},
        {"channelData": {"tenant": {"id": ANOTHER}}},
        {"conversation": {"conversationType": "personal", "id": "a:1"}, "channelData": {}},
        {"timestamp": "2030-01-01T00:00:00.0000000Z"},
    ],
    ids=["service", "channel", "tenant", "channel's tenant", "no tenant", "time"],
)
def test_what_the_token_does_not_vouch_for_or_is_of_another_tenant_is_401(teams: TeamsChat, changes: Any) -> None:
    answer = teams.ask(teams.sent(teams.bot.message(ALICE.object_id, "list") | changes))
    assert (answer.status, answer.code, teams.queue) == (401, "unauthenticated", [])


def test_a_token_that_names_no_service_vouches_for_none(teams: TeamsChat) -> None:
    for service in (None, "", [teams.bot.service]):
        answer = teams.ask(teams.sent(teams.bot.message(ALICE.object_id, "list"), serviceurl=service))
        assert (answer.status, answer.code, teams.queue) == (401, "unauthenticated", [])


def test_an_activity_of_five_minutes_ago_is_401_under_a_token_that_is_valid_still(teams: TeamsChat) -> None:
    old = teams.bot.message(ALICE.object_id, "list")
    teams.world.clock.time += OLDEST + timedelta(seconds=1)
    answer = teams.ask(teams.sent(old))
    assert (answer.status, answer.code, teams.queue) == (401, "unauthenticated", [])


@pytest.mark.parametrize(
    "service",
    [
        "https://smba.trafficmanager.net.evil.example/",
        "https://evil.example/smba.trafficmanager.net",
        "http://smba.trafficmanager.net/",
        "https://smba.trafficmanager.net:444/",
        "https://smba.trafficmanager.net@evil.example/",
        "https://smba.trafficmanager.net/emea/?x=",
        "https://other.trafficmanager.net/",
        "https://127.0.0.1/",
        "https://169.254.169.254/",
        "//smba.trafficmanager.net/",
        "https://smba.trafficmanager.net:x/",
    ],
)
def test_a_token_of_ours_goes_to_the_hosts_of_the_bot_framework_and_nowhere_else(
    teams: TeamsChat, service: str
) -> None:
    bot = teams.world.services.bot
    assert bot is not None
    in_the_cloud = replace(bot, local=False)
    assert in_the_cloud.answers_at("https://smba.trafficmanager.net/emea/")
    assert not in_the_cloud.answers_at(service)
    elsewhere = teams.bot.message(ALICE.object_id, "list") | {"serviceUrl": "https://evil.example/"}
    answer = teams.ask(teams.sent(elsewhere, serviceurl="https://evil.example/"))
    assert (answer.status, teams.queue) == (401, [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 20_000,
        b'{"type": "message"}',
    ],
)
def test_what_is_no_activity_is_400_and_does_nothing(teams: TeamsChat, body: bytes) -> None:
    answer = teams.ask(replace(plain(teams), body=body))
    assert (answer.status, answer.code, teams.queue) == (400, "invalid-request", [])


@pytest.mark.parametrize(
    "changes",
    [
        {"from": {"id": "29:1"}},
        {"from": {"id": "29:1", "aadObjectId": "somebody"}},
        {"id": ""},
        {"id": 1},
        {"id": "1" * 1025},
        {"text": ["list"]},
        {"type": "invoke"},
        {"type": "invoke", "name": "task/fetch"},
        {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": {"verb": "delete", "data": {}}}},
        {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": {"verb": "list", "data": {"id": "1"}}}},
        {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": {"verb": "send", "data": {"kind": "x"}}}},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-01-01T00:00:00"},
    ],
)
def test_what_microsoft_does_not_document_is_400_and_does_nothing(teams: TeamsChat, changes: Any) -> None:
    answer = teams.ask(teams.sent(teams.bot.message(ALICE.object_id, "list") | changes))
    assert (answer.status, answer.code, teams.queue) == (400, "invalid-request", [])


def test_that_somebody_comes_or_types_asks_for_nothing(teams: TeamsChat) -> None:
    for activity in (teams.bot.joins(ALICE.object_id), teams.bot.message(ALICE.object_id, "") | {"type": "typing"}):
        answer = teams.ask(teams.sent(activity))
        assert (answer.status, answer.body, teams.queue) == (200, "", [])


def test_an_activity_that_is_sent_again_is_401_and_is_done_once(teams: TeamsChat) -> None:
    activity = teams.bot.message(ALICE.object_id, "list")
    answers = []
    for delivery in ("first", "second", "third"):
        answers.append(teams.ask(teams.sent(activity)))
        teams.work(delivery)
    assert [(each.status, each.code) for each in answers] == [(200, ""), *[(401, "unauthenticated")] * 2]
    assert len(teams.bot.told) == 1
    assert REMEMBERED > 2 * OLDEST


def test_new_keys_are_looked_for_once_a_minute_whatever_key_ids_come(teams: TeamsChat) -> None:
    def fetched() -> int:
        return [each.operation for each in teams.world.emulator.calls].count("bot.keys")

    for number in range(5):
        teams.ask(with_token(teams, token(teams, key_id=f"made-up-{number % 2}")))
    assert fetched() == 1
    teams.world.clock.time += timedelta(seconds=61)
    for number in range(5):
        teams.ask(with_token(teams, token(teams, key_id=f"made-up-{number % 2}")))
    assert fetched() == 2


def test_keys_that_cannot_be_read_are_503_and_not_a_refusal_and_are_asked_for_once_a_second(
    teams: TeamsChat,
) -> None:
    teams.world.emulator.faults.add(Fault("status", "bot.keys"))
    for _ in range(3):
        assert (teams.ask(plain(teams)).status, teams.queue) == (503, [])
    assert [each.operation for each in teams.world.emulator.calls].count("bot.keys") == 1
    teams.world.clock.time += timedelta(seconds=1)
    assert teams.ask(plain(teams)).status == 200


@pytest.mark.parametrize(("fails", "done"), [("people.keep", False), ("queue.send", False), ("", True)])
def test_what_storage_did_not_take_whole_is_503_and_asked_for_again_it_is_done(
    teams: TeamsChat, fails: str, *, done: bool
) -> None:
    def broken(name: str, action: Any) -> Any:
        if name == fails:
            raise TryAgain("storage-unavailable", "Storage could not answer.")
        return action()

    teams.world.outside = broken
    assert teams.ask(plain(teams)).status == (200 if done else 503)
    teams.world.outside = straight
    if fails == "people.keep":
        # The message is there, and its row is not: the queue's function says that it comes back.
        with pytest.raises(TryAgain):
            carry_out(teams.world.services, teams.queue.pop().encode(), "x")
    teams.work()
    assert len(teams.bot.told) == (1 if done else 0)
    assert teams.ask(plain(teams)).status == 200
    teams.work()
    assert len(teams.bot.told) == (2 if done else 1)


def test_teams_waits_for_one_round_trip_to_storage(teams: TeamsChat) -> None:
    """What is kept and what is queued go out at the same time: each here begins only once the other one has, too."""
    teams.says(ALICE, "help")
    both, calls = threading.Barrier(2, timeout=20), list[str]()

    def at_once(name: str, action: Any) -> Any:
        calls.append(name)
        both.wait()
        return action()

    teams.world.outside = at_once
    assert teams.ask(plain(teams)).status == 200
    assert sorted(calls) == ["people.keep", "queue.send"]


def test_a_delivery_that_died_comes_again_and_is_no_replay(teams: TeamsChat) -> None:
    teams.ask(plain(teams))

    def dies(name: str, action: Any) -> Any:
        if name == "people.sign_in":
            raise Died
        return action()

    teams.world.outside = dies
    with pytest.raises(Died):
        carry_out(teams.world.services, teams.queue[0].encode(), "one")
    teams.world.outside = straight
    carry_out(teams.world.services, teams.queue[0].encode(), "one")
    assert len(teams.bot.told) == 1


def test_whoever_may_write_to_the_queue_may_ask_for_nothing_and_whoever_reads_it_learns_nothing(
    teams: TeamsChat,
) -> None:
    teams.ask(teams.sent(teams.bot.message(ALICE.object_id, "list something")))
    [message] = teams.queue
    assert json.loads(message).keys() == {"teams"}
    assert not [each for each in (ALICE.object_id, "something", "eyJ") if each in message]
    made_up = json.dumps({"teams": "0" * 64}).encode()
    with pytest.raises(TryAgain):
        carry_out(teams.world.services, made_up, "x")
    give_up(teams.world.services, made_up)
    for garbage_ in (b'{"teams": "x"}', b'{"teams": 1}', b'{"teams": null}', b"{}"):
        assert carry_out(teams.world.services, garbage_, "x") == []
        give_up(teams.world.services, garbage_)
    assert teams.bot.told == []


def test_a_message_that_comes_before_its_row_waits_for_it(teams: TeamsChat) -> None:
    teams.ask(plain(teams))
    kept = dict(teams.world.people.came)
    teams.world.people.came.clear()

    def meanwhile(_began: datetime, _until: datetime) -> Iterator[datetime]:
        teams.world.people.came.update(kept)
        yield from ()

    teams.world.clock.meanwhile = meanwhile
    before = teams.world.clock.time
    carry_out(teams.world.services, teams.queue[0].encode(), "x")
    assert (len(teams.bot.told), teams.world.clock.time - before) == (1, timedelta(seconds=0.25))


def test_a_message_whose_row_is_there_is_answered_without_a_wait(teams: TeamsChat) -> None:
    before = teams.world.clock.time
    teams.says(ALICE, "list")
    assert teams.world.clock.time == before


def test_no_log_line_at_any_level_holds_what_opens_something(
    teams: TeamsChat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    call = plain(teams)
    teams.ask(call)
    teams.world.emulator.faults.add(Fault("status", "bot.say"))
    teams.work()
    teams.ask(replace(call, headers={"authorization": "Bearer eyJqzforgedqz.x.y"}))
    assert "chat-not-told" in caplog.text
    marks = ("eyJ", "qzforgedqz", teams.bot.conversation(ALICE.object_id))
    assert [mark for mark in marks if mark in caplog.text] == []


def test_in_a_channel_nothing_is_told_but_where_to_ask(teams: TeamsChat) -> None:
    teams.knows(MALLORY)
    told = teams.says(MALLORY, "list", channel=True)
    assert words(told.card).startswith("Ask me in a chat of our own")
    assert told.conversation.startswith("19:")
    row = "0" * 8 + "-00000000-0000-4000-8000-000000000000"
    button = {"verb": "approve", "data": {"id": row, "digest": "1"}}
    pressed = teams.bot.press(MALLORY.object_id, told, button)
    pressed["conversation"] = pressed["conversation"] | {"conversationType": "groupChat"}
    answer = teams.ask(teams.sent(pressed))
    assert (json.loads(answer.body)["value"][:30], teams.queue) == ("Ask me in a chat of our own: h", [])


ROW = "0" * 8 + "-00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("verb", "data", "changes"),
    [
        ("show", {}, {}),
        ("approve", {"id": "1"}, {}),
        ("approve", {"digest": ""}, {}),
        ("approve", {"digest": "d" * 129}, {}),
        ("approve", {"digest": "d d"}, {}),
        ("register", {"kind": "spy"}, {}),
        ("send", {"kind": "spa", "key": "x"}, {}),
        ("approve", {}, {"name": "task/fetch"}),
        ("approve", {}, {"replyToId": ""}),
        ("approve", {}, {"replyToId": "1" * 1025}),
    ],
)
def test_a_button_that_is_none_of_ours_is_400_and_does_nothing(
    teams: TeamsChat, verb: str, data: dict[str, str], changes: dict[str, Any]
) -> None:
    told = teams.says(ALICE, "help")
    ours = {"id": ROW, "digest": "d" * 128}
    pressed = teams.bot.press(ALICE.object_id, told, {"verb": "approve", "data": ours})
    assert teams.ask(teams.sent(pressed | {"replyToId": "1" * 1024})).status == 200
    other = teams.bot.press(ALICE.object_id, told, {"verb": verb, "data": ours | data})
    answer = teams.ask(teams.sent(other | changes))
    assert (answer.status, answer.code, len(teams.queue)) == (400, "invalid-request", 1)


def test_somebody_is_reached_where_they_spoke_alone_with_the_bot_and_nowhere_once_they_unlink(
    teams: TeamsChat,
) -> None:
    teams.says(MALLORY, "list", channel=True)
    assert teams.world.people.places() == {}
    teams.says(MALLORY, "list")
    conversation = teams.bot.conversation(MALLORY.object_id)
    assert teams.world.people.places() == {MALLORY.object_id: Conversation(teams.bot.service, conversation)}
    teams.says(MALLORY, "unlink")
    assert teams.world.people.places() == {}


def test_what_waits_for_a_bot_that_is_there_no_more_is_dropped(
    teams: TeamsChat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    teams.ask(plain(teams))
    world = World(settings=ENTRA)
    world.people.came.update(teams.world.people.came)
    assert carry_out(world.services, teams.queue[0].encode(), "x") == []
    assert DROPPED in caplog.text
    call = plain(teams)
    assert answer_chat(lambda: world.services, "answer_teams", call).status == 401
