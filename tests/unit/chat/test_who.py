"""Who somebody in the chat is."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import instant
from provisioning.api.calls import Call
from provisioning.domain.chat import CODE_LIVES, ChatUser, SignIn
from provisioning.domain.errors import TryAgain
from provisioning.domain.slack import REMEMBERED
from tests.worlds.chatting import ALICES, MALLORYS, Chat, noting
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, headers_of
from tests.worlds.slack import WORKSPACE, buttons, words
from tests.worlds.teaming import TeamsChat
from tests.worlds.teaming import words as words_of
from tests.worlds.world import World


def test_an_unlinked_user_is_told_how_to_say_who_they_are_and_nothing_else(chat: Chat) -> None:
    for text in ("list", f"show {'0' * 8}-00000000-0000-4000-8000-000000000000"):
        message = chat.says(ALICES, text)
        assert words(message).startswith("Who are you?")
        assert buttons(message)["open"]["url"] == "https://r.contoso.com/api/page/#/chat"


def test_a_code_makes_whoever_says_it_that_person_once(chat: Chat) -> None:
    code = chat.code(ALICE)
    assert words(chat.says(ALICES, f"link {code.lower()}")).startswith(f"You are {ALICE.name} here")
    assert words(chat.says(MALLORYS, f"link {code}")).startswith("This code is not good")
    assert chat.world.people.linked_users == {ChatUser(WORKSPACE, ALICES): ALICE.object_id}


def test_the_log_says_who_was_linked(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    chat.link(ALICES, ALICE)
    assert f"a user of the chat is linked to user {ALICE.object_id}" in caplog.text


def test_a_code_is_good_for_ten_minutes_and_is_kept_nowhere(chat: Chat) -> None:
    answer = chat.on_the_page(ALICE, "link_chat", "POST")
    told = json.loads(answer.body)
    code = told["code"]
    assert told["expiresAt"] == instant(chat.world.clock.now() + timedelta(minutes=10))
    kept = repr(vars(chat.world.people))
    assert code not in kept
    assert code.replace("-", "") not in kept
    chat.world.clock.time += CODE_LIVES
    assert words(chat.says(ALICES, f"link {code}")).startswith("This code is not good")
    assert chat.world.people.codes == {}


def test_what_is_over_is_forgotten_with_the_next_request(chat: Chat) -> None:
    chat.code(ALICE)
    chat.says(ALICES, "list")
    assert len(chat.world.people.codes) == 1
    chat.world.clock.time += REMEMBERED + timedelta(seconds=1)
    chat.says(ALICES, "list")
    assert chat.world.people.codes == {}
    assert len(chat.world.people.requests) == len(chat.world.people.came) == 1


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
    chat.link(ALICES, ALICE)
    for name, method in (("link_chat", "POST"), ("unlink_chat", "DELETE")):
        answer = chat.on_the_page(BOT, name, method)
        assert (answer.status, answer.code) == (403, "not-a-person")
        spoken_for = headers_of(BOT, chat.world.emulator) | {"on-behalf-of": ALICE.object_id}
        answer = chat.world.call(web.CALLS[name], Call("/api/chat/link", spoken_for, method=method))
        assert (answer.status, answer.code) == (403, "not-in-person")
    assert chat.world.people.codes == {}
    assert words(chat.says(ALICES, "list")) == "There is none."


def test_no_application_renews_a_sign_in_for_the_person_that_it_speaks_for(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    calls = noting(chat)
    spoken_for = headers_of(BOT, chat.world.emulator) | {"on-behalf-of": ALICE.object_id}
    for headers in (spoken_for, headers_of(BOT, chat.world.emulator)):
        assert chat.world.call(web.CALLS["show_caller"], Call("/api/me", headers)).status == 200
    assert "people.renew" not in calls
    chat.on_the_page(ALICE)
    assert calls.count("people.renew") == 1


def test_where_there_is_no_chat_a_look_at_the_page_asks_nothing_of_it() -> None:
    chat = Chat()
    chat.world = World(settings=ENTRA)
    calls = noting(chat)
    assert chat.on_the_page(ALICE).status == 200
    assert "people.renew" not in calls


@pytest.mark.parametrize(("name", "method"), [("link_chat", "POST"), ("unlink_chat", "DELETE")])
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"body": b"{}"}, "body-not-expected"),
        ({"query": "dryRun=true"}, "invalid-query"),
        ({"headers": {"idempotency-key": "k"}}, "idempotency-key-not-supported"),
    ],
    ids=["body", "query", "key"],
)
def test_a_code_is_asked_for_with_nothing_else(
    chat: Chat, name: str, method: str, more: dict[str, Any], code: str
) -> None:
    chat.link(ALICES, ALICE)
    sent = {"headers": {}} | more
    sent["headers"] = headers_of(ALICE, chat.world.emulator) | sent["headers"]
    answer = chat.world.call(web.CALLS[name], Call("/api/chat/link", method=method, **sent))
    assert (answer.status, answer.code, chat.world.people.codes) == (400, code, {})
    assert chat.world.people.linked_users != {}


def test_whoever_unlinks_is_nobody_in_the_chat(chat: Chat) -> None:
    chat.link(ALICES, ALICE)
    chat.link(MALLORYS, MALLORY)
    code = chat.code(ALICE)
    assert chat.on_the_page(ALICE, "unlink_chat", "DELETE").status == 204
    assert chat.on_the_page(ALICE, "unlink_chat", "DELETE").status == 204
    assert words(chat.says(ALICES, "list")).startswith("Who are you?")
    assert words(chat.says(ALICES, f"link {code}")).startswith("This code is not good")
    assert words(chat.says(MALLORYS, "list")) == "There is none."
    calls = noting(chat)
    for forgets in (1, 0):
        calls.clear()
        assert words(chat.says(MALLORYS, "unlink")) == "You are nobody here."
        assert calls.count("people.unlink") == forgets
        assert words(chat.says(MALLORYS, "list")).startswith("Who are you?")


def test_whoever_has_only_spoken_to_the_bot_is_told_to_sign_in_by_a_row_of_any_version(teams: TeamsChat) -> None:
    """What stands in such a row is in the tables of whoever runs an older version beside this one."""
    teams.world.people.put_sign_in(SignIn(ALICE, datetime(1970, 1, 1, tzinfo=UTC)))
    assert words_of(teams.says(ALICE, "list").card).startswith("You have not signed in yet.")
    teams.world.people.put_sign_in(SignIn(ALICE, datetime(1970, 1, 2, tzinfo=UTC)))
    assert words_of(teams.says(ALICE, "list").card).startswith("Your sign-in does not count any more.")
