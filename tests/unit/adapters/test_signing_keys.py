"""Until when a token is taken, and how often the keys that verify it are asked for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.constants import API_CLIENT_ID
from provisioning.adapters.signing_keys import LONGEST_TOKEN
from provisioning.domain.errors import TryAgain
from tests.worlds.signed_in import ALICE, claims_of, token_of
from tests.worlds.world import World

US = frozenset({API_CLIENT_ID})
KEYS = "GET /*/discovery/*/keys"
UNKNOWN = "eyJhbGciOiJSUzI1NiIsImtpZCI6Inh5In0.e30.e30"


def fetched(world: World) -> int:
    return sum(each.operation == "token.keys" for each in world.emulator.calls)


@pytest.mark.parametrize("days", [0, 36500])
def test_a_token_is_valid_for_its_time_and_five_minutes_to_either_side_by_the_clock_of_all_else(days: int) -> None:
    world = World()
    world.clock.time += timedelta(days=days)
    token, begun = token_of(world.emulator, claims_of(ALICE)), world.clock.now()
    claims = world.services.caller_tokens.verify(token, US)
    assert claims is not None
    life = claims["exp"] - begun.timestamp()
    valid = []
    for seconds in (-301, -300, life + 299, life + 300):
        world.clock.time = begun + timedelta(seconds=seconds)
        valid.append(world.services.caller_tokens.verify(token, US) is not None)
    assert valid == [False, True, True, False]


def test_a_token_for_nobody_or_longer_than_any_is_refused_before_it_is_read() -> None:
    world = World()
    token = token_of(world.emulator, claims_of(ALICE))
    assert world.services.caller_tokens.verify(token, frozenset()) is None
    assert world.services.caller_tokens.verify(UNKNOWN.ljust(LONGEST_TOKEN + 1, "A"), US) is None
    assert fetched(world) == 0
    assert world.services.caller_tokens.verify(UNKNOWN.ljust(LONGEST_TOKEN, "A"), US) is None
    assert fetched(world) == 1, "of one that is no longer its key is looked for"


def test_keys_are_asked_for_once_a_day_and_for_an_unknown_one_once_a_minute() -> None:
    world = World()
    counts = []
    for pause, known in ((0, True), (60, False), (1, False), (86400, True), (1, True)):
        world.clock.time += timedelta(seconds=pause)
        token = token_of(world.emulator, claims_of(ALICE)) if known else UNKNOWN
        assert (world.services.caller_tokens.verify(token, US) is not None) == known
        counts.append(fetched(world))
    assert counts == [1, 1, 2, 2, 3]


def test_keys_that_cannot_be_read_are_asked_for_once_a_second() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", operation="token.keys", status=503))
    token = token_of(world.emulator, claims_of(ALICE))
    for pause in (0, 0.999):
        world.clock.time += timedelta(seconds=pause)
        with pytest.raises(TryAgain):
            world.services.caller_tokens.verify(token, US)
    assert fetched(world) == 1
    world.clock.time += timedelta(seconds=0.001)
    assert world.services.caller_tokens.verify(token, US) is not None


@pytest.mark.parametrize("status", [302, 404, 500])
def test_keys_that_come_with_a_refusal_or_from_elsewhere_are_none(status: int) -> None:
    world = World()

    def refused(_: str, action: Callable[[], Any]) -> Any:
        answer = action()
        answer.status_code = status
        return answer

    world.outside = refused
    with pytest.raises(TryAgain):
        world.services.caller_tokens.verify(token_of(world.emulator, claims_of(ALICE)), US)


def test_keys_are_not_looked_for_elsewhere() -> None:
    world, asked = World(), list[str]()

    def elsewhere(name: str, action: Callable[[], Any]) -> Any:
        asked.append(name)
        answer = action()
        answer.status_code, answer.headers["Location"] = 302, f"{world.emulator.origin}/elsewhere"
        answer._content = b""  # noqa: SLF001 -- requests has no other way
        return answer

    world.outside = elsewhere
    with pytest.raises(TryAgain):
        world.services.caller_tokens.verify(token_of(world.emulator, claims_of(ALICE)), US)
    assert asked == [KEYS]
