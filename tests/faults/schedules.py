"""Fault schedules: what goes wrong, and when. A schedule has a name, and its name alone plays it again.

    service: after-7 before-12      the process dies after the effect of call 7, and before call 12

`python -m pytest tests/faults --replay "service: after-7 before-12"` plays one schedule alone. Each kind of schedule
is a function that plays it, and the pattern of its names: here, in `overlaps.py` and in `conditions.py`.
"""

import itertools
import random
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Final, TypeVar

import requests
from urllib3.exceptions import ProtocolError

from dev.emulator import Fault
from provisioning.domain.errors import TryAgain
from tests.faults.scenarios import SCENARIOS
from tests.worlds.checker import check
from tests.worlds.outside import Died, straight
from tests.worlds.world import World

T = TypeVar("T")

DEATHS: Final = ("before", "after")
# What a call over HTTP can meet, apart from death.
HTTP_BLOWS: Final = {
    "reset-before": None,
    "reset-after": None,
    "hang-before": Fault("hang", "*", "before"),
    "hang-after": Fault("hang", "*", "after"),
    **{
        f"{status}-{when}": Fault("status", "*", when, status=status)
        for status in (500, 502, 503, 504)
        for when in DEATHS
    },
    "429-seconds": Fault("throttle", "*", retry_after=7),
    "429-fractional": Fault("throttle", "*", retry_after=2.5, form="fractional"),
    "429-date": Fault("throttle", "*", retry_after=11, form="httpDate"),
    "429-none": Fault("throttle", "*", form="none"),
    "429-long": Fault("throttle", "*", retry_after=90),
}
STORAGE_BLOWS: Final = ("unanswered-before", "unanswered-after")
# Outside calls that schedules are built around, by the names that a world gives them.
CREATE: Final = "POST /*/applications"
MINT: Final = "POST /*/applications/*/addPassword"
PROVE: Final = "POST /*/*/*/token"
PUBLISH: Final = "PUT /secrets/*"
READ: Final = "GET /*/applications/*"
REMOVE: Final = "POST /*/applications/*/removePassword"
DELETE: Final = "DELETE /*/applications/*"
INSERT: Final = "registry.insert"
SAVE: Final = "registry.replace"
SEND: Final = "queue.send"
READS: Final = ("GET ", "registry.get", "registry.find", "registry.due", "registry.holder")

PLAYED: Final[Counter[str]] = Counter()
KINDS: Final[dict[re.Pattern[str], Callable[..., Any]]] = {}
Player = TypeVar("Player", bound=Callable[..., Any])


# Of schedules that there are hundreds of, one in so many is played, unless all are asked for: `make faults`.
ONE_IN: Final = 6
_HOW_MANY: Final = {"one in": ONE_IN}


def play_all() -> None:
    """Have every schedule be played from now on."""
    _HOW_MANY["one in"] = 1


def sampled(schedules: Iterable[str]) -> Iterator[str]:
    """Yield the first schedule and one in six of the others, chosen by their names; or all, where that was asked."""
    for number, schedule in enumerate(schedules):
        if number == 0 or zlib.crc32(schedule.encode()) % _HOW_MANY["one in"] == 0:
            yield schedule


def some_of(number: int) -> int:
    """Return a sixth of so many, or all of them, where that was asked."""
    return -(-number // _HOW_MANY["one in"])


def plays(pattern: str) -> Callable[[Player], Player]:
    """Have the function play each schedule of such a name; the groups of the pattern are its arguments, in order."""

    def kind(player: Player) -> Player:
        KINDS[re.compile(pattern)] = player
        return player

    return kind


def replay(name: str) -> Any:
    """Play the schedule of that name, with the same chance each time, and count it; a failure tells the name."""
    matches = [(player, found) for pattern, player in KINDS.items() if (found := pattern.fullmatch(name))]
    if len(matches) != 1:
        raise ValueError(f"{len(matches)} kinds of schedules have names like {name!r}")
    [(player, found)] = matches
    random.seed(name)
    try:
        result = player(*(int(group) if group.isdecimal() else group for group in found.groups()))
    except Exception as error:
        error.add_note(f"--replay {name!r}")
        raise
    PLAYED[name] += 1
    return result


class Script:
    """Counts outside calls and strikes the chosen ones."""

    def __init__(self, world: World, blows: dict[int, str]) -> None:
        self.world = world
        self.blows = blows
        self.calls: list[str] = []

    def __call__(self, name: str, action: Callable[[], T]) -> T:
        self.calls.append(name)
        blow = self.blows.get(len(self.calls), "")
        fault = HTTP_BLOWS.get(blow)
        if fault is not None:
            self.world.emulator.faults.add(fault)
        if blow.endswith("before") and fault is None:
            raise _error(blow)
        result = action()
        if blow.endswith("after") and fault is None:
            raise _error(blow)
        return result


def _error(blow: str) -> BaseException:
    kind = blow.partition("-")[0]
    if kind == "unanswered":
        return TryAgain("storage-unavailable", "No answer.", remedy="See the health of storage.")
    if kind == "reset":
        return requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError()))
    return Died()


@plays(r"([a-z-]+:(?: [a-z0-9]+(?:-[a-z]+)?-\d+)*)")
def play(schedule: str, prepare: Callable[[World], None] | None = None) -> Script:
    """Ask in a scenario as a bot does, strike as told, let the platform play, and check all promises.

    Every schedule of this kind must end well: nothing in it is permanent.
    """
    name, blows = parse(schedule)
    scenario = SCENARIOS[name]
    world = scenario.begin()
    if prepare is not None:
        prepare(world)
    script = Script(world, blows)
    world.outside = script
    registration_id = scenario.ask(world)
    world.settle(timedelta(days=3))
    world.outside = straight
    world.emulator.faults.clear()
    world.clock.sleep(600)
    check(world)
    scenario.ends(world, world.row(registration_id))
    return script


def parse(schedule: str) -> tuple[str, dict[int, str]]:
    """Read a schedule's name: of which scenario, and what strikes which call."""
    scenario, _, blows = schedule.partition(":")
    parts = [blow.rpartition("-") for blow in blows.split()]
    return scenario, {int(call): kind for kind, _, call in parts}


def single_deaths(scenario: str) -> Iterator[str]:
    """Yield a death at every outside call of the undisturbed flow."""
    for call in range(1, len(replay(f"{scenario}:").calls) + 1):
        for when in DEATHS:
            yield f"{scenario}: {when}-{call}"


def deaths_between(scenario: str) -> Iterator[str]:
    """Yield a death before the first outside call, and one after each, which is one before the next as well."""
    yield f"{scenario}: before-1"
    yield from (each for each in single_deaths(scenario) if " after" in each)


def death_pairs(scenario: str) -> Iterator[str]:
    """Yield a death between any two outside calls, and another between any two of those that follow it."""
    for first in deaths_between(scenario):
        struck = int(first.rpartition("-")[2])
        calls = len(replay(first).calls)
        if calls > struck:
            yield f"{first} before-{struck + 1}"
        yield from (f"{first} after-{call}" for call in range(struck + 1, calls + 1))


def deaths_after_effects(schedule: str, struck: int = 0) -> Iterator[tuple[str, int]]:
    """Yield the schedule with one death more, and where: after each outside call that changes something.

    A process that dies between two of those leaves the same behind wherever it is.
    """
    for call, name in enumerate(replay(schedule).calls[struck:], start=struck + 1):
        if name != PROVE and not name.startswith(READS):
            yield f"{schedule} after-{call}", call


def pairs_after_effects(scenario: str) -> Iterator[str]:
    """Yield two deaths, each after an effect: together all that two deaths can leave behind."""
    for first, struck in deaths_after_effects(f"{scenario}:"):
        yield from (second for second, _ in deaths_after_effects(first, struck))


def some_death_pairs(scenario: str, number: int) -> Iterator[str]:
    """Yield so many pairs of deaths, drawn by the scenario's name."""
    chance = random.Random(scenario)  # noqa: S311 -- picks calls
    calls = len(replay(f"{scenario}:").calls)
    for _ in range(number):
        first = chance.randint(1, calls)
        yield f"{scenario}: after-{first} after-{first + chance.randint(1, calls)}"


def lost_and_refused_answers(scenario: str) -> Iterator[str]:
    """Yield each thing that a call over HTTP, or a call of storage, can meet, at each such call.

    Of the undisturbed flow, and of a run that adopts the application of one that was killed: only that adds a secret.
    """
    undisturbed = f"{scenario}:"
    created = replay(undisturbed).calls.index(CREATE) + 1
    for begun, struck in ((undisturbed, 0), (f"{undisturbed} after-{created}", created)):
        for call, name in enumerate(replay(begun).calls[struck:], start=struck + 1):
            if name.startswith("registry."):
                kinds: tuple[str, ...] = STORAGE_BLOWS
            elif name == SEND:
                kinds = ("reset-before", "reset-after")
            else:
                kinds = tuple(HTTP_BLOWS)
            yield from (f"{begun} {kind}-{call}" for kind in kinds)


def after_effects(scenario: str) -> Iterator[str]:
    """Yield, for each outside call that changes something, a death after its effect, and an answer that is lost."""
    lost = itertools.cycle(kind for kind in HTTP_BLOWS if kind.endswith("after"))
    for call, name in enumerate(replay(f"{scenario}:").calls, start=1):
        if name == PROVE or name.startswith(READS):
            continue
        yield f"{scenario}: after-{call}"
        if name.startswith("registry."):
            yield f"{scenario}: unanswered-after-{call}"
        else:
            yield f"{scenario}: {'reset-after' if name == SEND else next(lost)}-{call}"


def answers_in_turn(scenario: str) -> Iterator[str]:
    """Yield, at each outside call, an answer that is lost; at each that changes something also one that is refused.

    The kinds take turns, so that every one of them is played somewhere, and not each of them everywhere.
    """
    lost = itertools.cycle(kind for kind in HTTP_BLOWS if kind.endswith("after"))
    refused = itertools.cycle(kind for kind in HTTP_BLOWS if not kind.endswith("after"))
    for call, name in enumerate(replay(f"{scenario}:").calls, start=1):
        if name.startswith("registry."):
            yield f"{scenario}: unanswered-after-{call}"
        elif name == SEND:
            yield f"{scenario}: reset-after-{call}"
        elif name == PROVE or name.startswith("GET "):
            yield f"{scenario}: {next(refused)}-{call}"
        else:
            yield f"{scenario}: {next(lost)}-{call}"
            yield f"{scenario}: {next(refused)}-{call}"
