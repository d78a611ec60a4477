"""A consumer: it has its secret from the vault, fetches it again twice in each overlap, and never stops to ask.

It asks for a token every 50 ms of virtual time while anything happens: between any two calls of the service, through
each of its waits, and for a while after its last call. A stretch of time in which nobody calls anything is passed over,
but for its last half second and for the moments before and after a fetch: what the token endpoint says changes there
by nothing but the end of a secret, and one that has ended is still refused when it is asked for next.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from dev.emulator.errors import TokenError
from tests.faults.schedules import HTTP_BLOWS, STORAGE_BLOWS, Script
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.world import World

T = TypeVar("T")

EVERY: Final = timedelta(milliseconds=50)
CALL_SECONDS: Final = 0.05  # what each outside call takes, one half before its effect and one half after it
OVERLAP: Final = timedelta(minutes=20)
# A rotation is due about every three quarters of an hour, and has hours: whatever is struck is found again in one.
SETTINGS: Final = {"SECRET_OVERLAP": "PT20M", "SECRET_ROTATE_BEFORE": "PT6H", "SECRET_LIFETIME": "PT6H50M"}
# The token endpoint hears of a secret or of its removal late, and wavers; then what it says changes by calls only.
PROPAGATION: Final = {"secret_propagation": 0.5, "flapping": 1}
SETTLED: Final = timedelta(seconds=1.75)
LAST: Final = timedelta(seconds=0.5)
REPLICAS: Final = {"replicas": 3, "replication_lag": 60}

# What consumers of the unweakened service did and met, over all tests of a session.
TALLY: Final[Counter[str]] = Counter()


class Consumer:
    """A service client's program. `asked` and `refused` are its tokens, each refusal with its moment and its reason."""

    def __init__(self, world: World, registration_id: str, calls: "Calls") -> None:
        row = world.row(registration_id)
        self.asked = 0
        self.refused: list[str] = []
        self._world = world
        self._calls = calls
        self._name = row.secret_name
        self._form = {
            "grant_type": "client_credentials",
            "client_id": row.client_id or "",
            "scope": f"{world.settings.tenant.graph_endpoint}/.default",
        }
        self._fetch()
        self._next = world.clock.now()
        world.clock.meanwhile = self._meanwhile

    @property
    def rotations(self) -> int:
        """How often its secret has been replaced."""
        return len(self._world.emulator.vault.secrets[self._name.lower()].versions) - 1

    def _meanwhile(self, _began: datetime, until: datetime) -> Iterator[datetime]:
        while self._next < until:
            yield self._next
            self._ask()
            if self._next >= self._fetch_at:
                self._fetch()
                self._ask()
            self._next += EVERY
            if self._next > self._calls.latest + SETTLED:
                self._next = max(self._next, min(self._fetch_at, until - LAST))

    def _fetch(self) -> None:
        self._form["client_secret"] = self._world.emulator.vault.get(self._name)["value"]
        self._fetch_at = self._world.clock.now() + OVERLAP / 2

    def _ask(self) -> None:
        emulator, self.asked = self._world.emulator, self.asked + 1
        replica = self.asked % emulator.faults.switches.replicas
        try:
            emulator.sts.client_credentials(emulator.tenant_id, self._form, None, version=2, replica=replica)
        except TokenError as error:
            self.refused.append(f"{self._world.clock.now()}: AADSTS{error.number}")


class Calls(Script):
    """The service's calls, one of so many struck at random: by a death before or after it, or by what it can meet."""

    def __init__(self, world: World, one_of: int, seed: int) -> None:
        super().__init__(world, {})
        self.latest = world.clock.now()
        self._one_of = one_of
        self._chance = random.Random(seed)  # noqa: S311 -- chance that can be played again

    def __call__(self, name: str, action: Callable[[], T]) -> T:
        def slow() -> T:
            self.world.clock.sleep(CALL_SECONDS / 2)
            result = action()
            self.world.clock.sleep(CALL_SECONDS / 2)
            return result

        self.latest = self.world.clock.now()

        if self._chance.randrange(self._one_of) == 0:
            self.blows[len(self.calls) + 1] = self._blow(name)
        try:
            return super().__call__(name, slow)
        finally:
            self.latest = self.world.clock.now()

    def _blow(self, name: str) -> str:
        kinds: tuple[Any, ...] = STORAGE_BLOWS if name.startswith("registry.") else ("reset-before", "reset-after")
        if "/" in name:
            kinds = tuple(HTTP_BLOWS)
        return str(self._chance.choice(kinds if self._chance.random() < 0.5 else ("before", "after")))


def consume(
    rotations: int, *, one_of: int, seed: int, prepare: Callable[[World], None] = lambda _world: None
) -> tuple[Consumer, Calls]:
    """Have a consumer live through so many rotations, with so many of the service's calls struck."""
    random.seed(seed)
    chance = random.Random(seed)  # noqa: S311 -- as above
    world = World(settings=SETTINGS)
    world.registered(a_resource())
    answer = world.post(a_service_client(), key="the-consumers")  # with a key its id is the same each time
    world.deliver()
    registration_id = str(json.loads(answer.body)["registrationId"])
    world.clock.sleep(60)
    world.emulator.faults.set(**PROPAGATION, **REPLICAS)
    prepare(world)
    calls = Calls(world, one_of, seed)
    consumer, world.outside = Consumer(world, registration_id, calls), calls
    while consumer.rotations < rotations:
        world.live(timedelta(minutes=chance.uniform(6, 14)))  # the planner, and each fetch, at another time each time
    return consumer, calls
