"""What the bot says goes to the Bot Framework alone, and an odd answer costs no message."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from dev.emulator import Fault
from dev.emulator.bot import signing
from dev.emulator.bot.service import CARD
from dev.emulator.constants import REGISTRAR_CLIENT_ID
from provisioning.domain.teams import Conversation
from provisioning.ports import Teams
from tests.worlds.signed_in import ENTRA
from tests.worlds.steps import operations, refused_with
from tests.worlds.world import World


def said(text: str) -> dict[str, Any]:
    run = {"type": "TextRun", "text": text}
    card = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "RichTextBlock", "inlines": [run]}]}
    return {"type": "message", "attachments": [{"contentType": CARD, "content": card}]}


TEXT = said("Hello")


@pytest.fixture
def world() -> World:
    return World(settings={**ENTRA, "TEAMS_BOT_ID": REGISTRAR_CLIENT_ID})


@pytest.fixture
def teams(world: World) -> Teams:
    return cast("Teams", world.services.teams)


def there(world: World) -> Conversation:
    return Conversation(world.emulator.bot.service, "a:1")


def test_a_message_has_an_id_by_which_it_is_changed(world: World, teams: Teams) -> None:
    first = teams.tell(there(world), TEXT)
    assert teams.tell(there(world), said("Ö\ud800")) != first
    assert teams.tell(there(world), said("Changed"), first) == first
    told = [
        (each.id == first, each.card["body"][0]["inlines"][0]["text"], each.versions)
        for each in world.emulator.bot.told
    ]
    assert told == [(True, "Changed", 2), (False, "Ö?", 1)]
    assert operations(world) == {"bot.say": 2, "bot.change": 1}


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        (Fault("status", "bot.*", status=403), "answered 403"),
        (Fault("status", "bot.*", status=503), "answered 503"),
        (Fault("reset", "bot.*"), "gave no answer"),
        (Fault("hang", "bot.*"), "gave no answer"),
        (Fault("identityHiccup"), "gave no answer"),
    ],
)
def test_what_was_not_taken_is_said_and_not_repeated(world: World, teams: Teams, fault: Fault, how: str) -> None:
    world.emulator.faults.add(fault)
    with pytest.raises(Exception, match=how) as raised:
        teams.tell(there(world), TEXT)
    assert getattr(raised.value, "code", "") == "chat-not-told"
    assert len(world.emulator.bot.told) == 0
    assert sum(operations(world).values()) <= 1


def test_nobody_else_is_sent_the_token(world: World, teams: Teams) -> None:
    for service in ("https://elsewhere.example/emea/", f"{world.emulator.bot.service}?x=y"):
        assert refused_with(lambda service=service: teams.tell(Conversation(service, "a:1"), TEXT)) == "chat-not-told"  # type: ignore[misc]
    assert operations(world) == {}


@pytest.mark.parametrize(
    ("status", "body", "taken"),
    [
        (200, b'{"id": "1:5"}', "1:5"),
        (202, b"", ""),
        (201, b"[]", ""),
        (201, b"{}", ""),
        (204, b'{"id": "1:5"}', None),
        (307, b'{"id": "1:5"}', None),
    ],
)
def test_a_message_that_was_taken_without_an_id_cannot_be_changed(
    world: World, teams: Teams, status: int, body: bytes, taken: str | None
) -> None:
    def outside(name: str, action: Callable[[], Any]) -> Any:
        went.append(name)
        answer = action()
        answer.status_code, answer._content = status, body  # noqa: SLF001 -- requests has no other way to change one
        answer.headers["Location"] = f"{world.emulator.origin}/elsewhere"
        return answer

    went = list[str]()
    world.outside = outside
    if taken is None:
        assert refused_with(lambda: teams.tell(there(world), TEXT)) == "chat-not-told"
        assert len(went) == 1
    else:
        assert teams.tell(there(world), TEXT) == taken
        assert teams.tell(there(world), TEXT, "1:1") == "1:1"


def test_only_what_a_key_for_teams_signed_for_this_bot_alone_is_verified(world: World, teams: Teams) -> None:
    def signed(**changes: Any) -> Any:
        return teams.verify(
            signing.token(REGISTRAR_CLIENT_ID, world.emulator.bot.service, world.clock.now(), **changes)
        )

    claims = signed()
    assert claims is not None
    assert claims["aud"] == REGISTRAR_CLIENT_ID
    assert signed(aud=[REGISTRAR_CLIENT_ID, "another"]) is None
    assert signed(aud="another") is None
    assert signed(key_id=signing.OTHER_KEY) is None
    assert signed(iss="https://elsewhere.example") is None


def test_a_bot_without_an_identity_says_what_to_check(world: World, teams: Teams) -> None:
    teams.check()
    world.emulator.faults.add(Fault("identityHiccup"))
    assert refused_with(cast("Teams", world.new_process().teams).check) == "no-identity-token"
