"""Who somebody in the chat is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from provisioning.domain.chat import CODE_LIVES, ChatUser
from provisioning.domain.errors import TryAgain
from tests.worlds.chatting import ALICES, MALLORYS, Chat, noting
from tests.worlds.signed_in import ALICE, BOT, MALLORY
from tests.worlds.slack import WORKSPACE, buttons, words


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
    calls = noting(chat)
    for forgets in (1, 0):
        calls.clear()
        assert words(chat.says(MALLORYS, "unlink")) == "You are nobody here."
        assert calls.count("people.unlink") == forgets
        assert words(chat.says(MALLORYS, "list")).startswith("Who are you?")
