"""Fault schedules: which outside call is struck and how. A schedule has a name, and its name replays it.

    service: after-7 before-12      the process dies after the effect of call 7, and before call 12

`python -m pytest tests/faults --replay "service: after-7 before-12"` plays one schedule alone.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final, TypeVar

import requests
from urllib3.exceptions import ProtocolError

from dev.emulator import Fault
from provisioning.errors import TryAgain
from provisioning.registration import Status
from tests.checker import check
from tests.world import Died, World, a_confidential_client, a_public_client, a_resource, a_service_client

T = TypeVar("T")

REQUESTS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "resource": a_resource,
    "confidential": a_confidential_client,
    "public": a_public_client,
    "service": a_service_client,
}
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

PLAYED: Final[Counter[str]] = Counter()


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


def a_world(client_type: str) -> World:
    """A world in which a client's FHIR server is registered already."""
    world = World()
    if client_type != "resource":
        world.registered(a_resource())
    return world


def play(schedule: str, prepare: Callable[[World], None] | None = None) -> Script:
    """Submit a request as a bot does, strike as told, let the platform play, and check all promises.

    Every schedule of this kind must end `active`: nothing in it is permanent.
    """
    PLAYED[schedule] += 1
    client_type, blows = parse(schedule)
    world = a_world(client_type)
    if prepare is not None:
        prepare(world)
    script = Script(world, blows)
    world.outside = script
    registration_id = submitted(world, client_type)
    world.settle(timedelta(days=3))
    world.outside = lambda _name, action: action()
    world.emulator.faults.clear()
    world.clock.sleep(600)
    check(world)
    row = world.row(registration_id)
    assert row.status is Status.ACTIVE, row.operation.failure
    return script


def parse(schedule: str) -> tuple[str, dict[int, str]]:
    """Read a schedule's name."""
    client_type, _, blows = schedule.partition(":")
    parts = [blow.rpartition("-") for blow in blows.split()]
    return client_type, {int(call): kind for kind, _, call in parts}


def submitted(world: World, client_type: str) -> str:
    """POST with a key until there is an answer: a bot that got none, or a 5xx, sends the same again."""
    for _ in range(9):
        try:
            answer = world.post(REQUESTS[client_type](), key="the-same")
        except (Died, requests.ConnectionError, TryAgain):
            continue
        if answer.status == 202:
            return str(json.loads(answer.body)["registrationId"])
        assert answer.status == 503, answer.body
        world.clock.sleep(float(answer.headers["Retry-After"]))
    raise AssertionError("no answer")


def single_deaths(client_type: str) -> Iterator[str]:
    """Yield a death at every outside call of the undisturbed flow."""
    for call in range(1, len(play(f"{client_type}:").calls) + 1):
        for when in DEATHS:
            yield f"{client_type}: {when}-{call}"


def death_pairs(client_type: str) -> Iterator[str]:
    """Yield a death at every outside call, and another at every one of the calls that follow it."""
    for first in single_deaths(client_type):
        struck = int(first.rpartition("-")[2])
        for call in range(struck + 1, len(play(first).calls) + 1):
            for when in DEATHS:
                yield f"{first} {when}-{call}"


def lost_and_refused_answers(client_type: str) -> Iterator[str]:
    """Yield each thing that a call over HTTP, or a call of storage, can meet, at each such call."""
    for call, name in enumerate(play(f"{client_type}:").calls, start=1):
        if name.startswith("registry."):
            kinds: tuple[str, ...] = STORAGE_BLOWS
        elif name == "queue.send":
            kinds = ("reset-before", "reset-after")
        else:
            kinds = tuple(HTTP_BLOWS)
        yield from (f"{client_type}: {kind}-{call}" for kind in kinds)
