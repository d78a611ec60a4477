"""Kill points: where in the flow the host is killed, and a local stack in which that is played in real time.

    service: after graph.createApplication 1, before vault.setSecret 1

The host is killed while the first `graph.createApplication` is held after its effect, before it was answered, and the
next host, which recovers, while its first `vault.setSecret` is held before its effect. The name replays it:
`make kill KILL="…"`.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Final, NoReturn, get_args

import requests
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from dev.emulator import Fault
from dev.emulator.faults import Kind, When
from dev.stack import Stack
from provisioning.domain.registration import Status
from provisioning.settings import Settings
from provisioning.wiring import AzureServices
from tests.faults.pasts import a_world
from tests.worlds.checker import check
from tests.worlds.clock import VirtualClock
from tests.worlds.leaks import leaked
from tests.worlds.outside import Died
from tests.worlds.queued import LEASE
from tests.worlds.request_bodies import REQUESTS, a_resource
from tests.worlds.told import Facts

PATIENCE: Final = 60.0
# Seconds for which the message of a killed host stays hidden.
MESSAGE_LEASE: Final = 2
# One for each client type; in the last, the text of one secret is lost, and then of a second.
SAMPLE: Final = (
    "resource: before graph.createServicePrincipal 1",
    "confidential: after vault.setSecret 1",
    "public: after graph.createApplication 1",
    "service: after graph.createApplication 1, after graph.addPassword 1",
)
# The vault's client remembers it for its whole process. In a rehearsal that is the process of the tests.
_CHALLENGE: Final = "vault.challenge"
# What a call may have to ask for before it is made: a kill there is like one before the call itself.
_ASKING_FIRST: Final = frozenset({_CHALLENGE, "identity.token"})


@dataclass(frozen=True)
class Kill:
    """One kill of a host: while its n-th call of an operation is held, before its effect or after it."""

    when: When
    operation: str
    nth: int

    def __str__(self) -> str:
        return f"{self.when} {self.operation} {self.nth}"

    def fault(self, kind: Kind) -> Fault:
        """Return what stops that call."""
        return Fault(kind, self.operation, self.when, skip=self.nth - 1)


def named(client_type: str, *kills: Kill) -> str:
    """Return a kill point's name."""
    return f"{client_type}: {', '.join(map(str, kills))}"


def parse(name: str) -> tuple[str, list[Kill]]:
    """Read a kill point's name."""
    client_type, _, rest = name.partition(": ")
    parts = [part.split() for part in rest.split(", ")]
    assert client_type in REQUESTS, f"{name!r} names no client type"
    assert all(when in get_args(When) for when, *_ in parts), f"{name!r} says neither before nor after"
    return client_type, [Kill(when, operation, int(nth)) for when, operation, nth in parts]  # type: ignore[arg-type]


def kill_points(number: int) -> list[str]:
    """Choose so many kill points, the same each time: of each client type in turn, single kills first, then pairs."""
    in_turn = chain.from_iterable(zip_longest(*map(_kill_points, REQUESTS)))
    return list(islice(filter(None, in_turn), number))


def _kill_points(client_type: str) -> Iterator[str]:
    singles = list(_next_kills(client_type))
    yield from (named(client_type, kill) for kill in singles)
    telling = [kill for kill in singles if kill.operation not in _ASKING_FIRST]
    pairs = [
        (first, second)
        for first in telling
        for second in _next_kills(client_type, first)
        if second.operation not in _ASKING_FIRST
    ]
    random.Random(client_type).shuffle(pairs)  # noqa: S311 -- an order, the same each time
    yield from (named(client_type, *pair) for pair in pairs)


def _next_kills(client_type: str, *kills: Kill) -> Iterator[Kill]:
    """Yield a kill before and after each call that the host makes which follows those kills."""
    seen = Counter[str]()
    for operation in _rehearsed(client_type, *kills):
        seen[operation] += 1
        yield from (Kill(when, operation, seen[operation]) for when in get_args(When))


def _rehearsed(client_type: str, *kills: Kill) -> Iterator[str]:
    """Yield the calls of the run that follows those kills, as a world in virtual time makes them."""
    world = a_world(client_type)
    world.emulator.sleep = _die
    world.services = world.new_process()
    world.post(REQUESTS[client_type]())
    for kill in kills:
        world.emulator.faults.add(kill.fault("hang"))
        world.deliver()
        world.clock.sleep(LEASE.total_seconds())
    world.emulator.calls.clear()
    world.deliver()
    challenged = False
    for operation in (call.operation for call in world.emulator.calls if call.operation != _CHALLENGE):
        if operation.startswith("vault.") and not challenged:
            challenged = True
            yield _CHALLENGE
        yield operation


def _die(_seconds: float) -> NoReturn:
    """Wait for a call that hangs: the process that does so is killed."""
    raise Died


class KillableWorld:
    """The product over real storage, its host a process that is killed and started again."""

    def __init__(self, running: Stack, log: Path) -> None:
        self._running = running
        self._log = log
        self._http = requests.Session()
        self._http.trust_env = False
        connection = running.storage.connection_string
        self._tables = TableServiceClient.from_connection_string(connection)
        self._queues = QueueServiceClient.from_connection_string(connection)
        self.emulator = running.azure.emulator
        self.settings = Settings.from_env(running.settings)
        self.registry = AzureServices(self.settings).registry

    def play(self, name: str) -> None:
        """Kill the host where the name says, have it recover, and check all promises."""
        try:
            self._play(*parse(name))
        except BaseException:
            self._running.host.kill()
            raise

    def _play(self, client_type: str, kills: list[Kill]) -> None:
        self._begin()
        if client_type != "resource":
            self._at_rest(self._submit(a_resource()))
        self._restart(kills[0])
        registration_id = self._submit(REQUESTS[client_type]())
        for kill, following in zip_longest(kills, kills[1:]):
            _wait_until(lambda: bool(self.emulator.holds.held()), f"no call was held {kill}")
            self._restart(following)
        self._at_rest(registration_id)
        # Connections that were kept since the kill point before may have been closed by the storage meanwhile.
        self.registry = AzureServices(self.settings).registry
        check(self)

    def _begin(self) -> None:
        """Have nothing be left of what was played before."""
        for table in self._tables.list_tables():
            self._tables.delete_table(table.name)
        for queue in self._queues.list_queues():
            self._queues.delete_queue(queue)
        self.emulator.reset()
        self._log.write_text("")
        if not self._running.host.running():
            self._running.host.start()

    def _restart(self, following: Kill | None) -> None:
        """Kill the host, whose held call ends without more, and start one that meets the kill which follows."""
        self._running.host.kill()
        self.emulator.holds.release(drop=True)
        self.emulator.faults.clear()
        if following is not None:
            self.emulator.faults.add(following.fault("hold"))
        self._running.host.start()

    def _submit(self, body: Any) -> str:
        answer = self._http.post(f"{self._running.api}/registrations", json=body, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["registrationId"])

    def _at_rest(self, registration_id: str) -> None:
        """Wait until the registration is active and its message is gone."""

        def ended() -> bool:
            status = self.get(registration_id)["status"]
            assert status in (Status.ACCEPTED, Status.ACTIVE), self.get(registration_id)
            return bool(status == Status.ACTIVE) and not self.queue

        _wait_until(ended, "the registration did not become active, or its message stays")

    # --- as the checker sees it ---

    @property
    def queue(self) -> list[str]:
        """The name of each queue that holds a message, hidden ones included."""
        clients = [self._queues.get_queue_client(queue) for queue in self._queues.list_queues()]
        return [each.queue_name for each in clients if each.get_queue_properties().approximate_message_count]

    told: tuple[object, ...] = ()  # nobody is
    changes: Mapping[str, Facts] = {}  # but for what the rows show in the end
    lost: tuple[str, ...] = ()  # by Entra: nothing

    @property
    def clock(self) -> VirtualClock:
        """An hour ahead, so that an entry which is left of the operation counts as due."""
        return VirtualClock(datetime.now(UTC) + timedelta(hours=1))

    @property
    def violations(self) -> list[str]:
        broken = {
            "the host's log holds a secret or a token": bool(leaked(self._log.read_text())),
            "a secret was published before it was proven": self._published_unproven(),
            "a secret was published although the vault had a good one": self._published_another(),
        }
        return [promise for promise, is_broken in broken.items() if is_broken]

    def _published_unproven(self) -> bool:
        """Whether anything but enough accepted sign-ins in a row came directly before a publication."""
        proof = [("token.clientCredentials", 200)] * self.settings.secrets.proof_count
        calls = [(call.operation, call.status) for call in self.emulator.calls if call.operation not in _ASKING_FIRST]
        published = [index for index, (operation, _) in enumerate(calls) if operation == "vault.setSecret"]
        return any(calls[max(0, index - len(proof)) : index] != proof for index in published)

    def _published_another(self) -> bool:
        return any(len(secret.versions) > 1 for secret in self.emulator.vault.secrets.values())

    def get(self, registration_id: str) -> dict[str, Any]:
        answer = self._http.get(f"{self._running.api}/registrations/{registration_id}", timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(json.loads(answer.text))


def _wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
