"""What a figure is measured on: storage and the emulator, which this process serves, hosts between them, and loads."""

import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import requests
from azure.data.tables import TableClient
from azure.storage.queue import QueueClient

from dev.host import HostProcess
from dev.stack import Cloud, cloud
from dev.storage import Azurite, write_table
from provisioning.adapters.rows import due_key
from provisioning.adapters.tables import DUE
from provisioning.api.submit import submit
from provisioning.domain.callers import KEY_HOLDER
from provisioning.domain.intake import parse
from provisioning.domain.operation import DueEntry
from provisioning.domain.registration import Registration, Status
from provisioning.settings import Settings
from provisioning.wiring import AzureServices

T = TypeVar("T")
LATENCY: Final = 0.28  # of an outside call, in seconds
Size = Callable[[int, int], int]  # of how many there are in a full run, and in a quick one: how many there are in this
ROOT = Path(__file__).parents[1]
SERVER, CLIENT = (json.loads((ROOT / f"examples/{name}.json").read_text("utf-8")) for name in ("resource", "service"))
_NEVER: Final = {"PLANNER_SCHEDULE": "0 0 0 1 1 *", "RECONCILE_SCHEDULE": "0 0 0 1 1 *"}
DUE_NOW: Final = 300


class Found(NamedTuple):
    """What was measured for one figure: the values of ours and of its reference, and whether that is right."""

    taken: Sequence[Sequence[float]]
    unit: str = ""
    note: str = ""
    met: bool | None = None


def anew(body: dict[str, object]) -> dict[str, object]:
    """Return it as asked for by another: a policy limits each owner, and Azurite searches all that an owner has."""
    return {**body, "owner": str(uuid.uuid4())}


def in_turns(name: str, rounds: int, *measures: Callable[[], T]) -> list[list[T]]:
    """Return what each measure gave in each round; they take turns, so that a busy machine strikes all of them."""
    taken = []
    for number in range(rounds):
        say(f"{name}: {number + 1} of {rounds}")
        taken.append([measure() for measure in measures])
    return [list(values) for values in zip(*taken, strict=True)]


def say(text: str, end: str = "\r") -> None:
    """Show progress: on a terminal in place, else only what ends a line."""
    if sys.stderr.isatty() or end == "\n":
        print(f"\033[K  {text}" if sys.stderr.isatty() else f"  {text}", end=end, file=sys.stderr, flush=True)


class Load(NamedTuple):
    """A load: the seconds from the first outside call to the empty queue, the outside calls, and the host's CPU."""

    seconds: float
    calls: list[Any]
    cpu: float


class Stage:
    """Hosts, what they are asked, and what that took."""

    def __init__(self, running: Cloud, folder: Path) -> None:
        self.settings, self.emulator = running.settings, running.azure.emulator
        self.services = AzureServices(Settings.from_env(running.settings))
        self.queue = QueueClient.from_connection_string(running.storage.connection_string, "registrations")
        self.queue.create_queue()
        self._folder, self._clients = folder, list[str]()
        self._http = requests.Session()
        self._http.trust_env = False

    def host(self, app: str = "function_app", at_once: int = 0, /, **settings: str) -> HostProcess:
        """Return a host, not started, of a module of this repository, for so many messages at once, if not as set."""
        document = json.loads((ROOT / "host.json").read_text("utf-8"))
        if at_once:
            document["extensions"]["queues"] |= dict.fromkeys(("batchSize", "newBatchThreshold"), at_once // 2)
        (folder := self._folder / f"{app}-{at_once}").mkdir(parents=True, exist_ok=True)
        (folder / "host.json").write_text(json.dumps(document), "utf-8")
        shutil.copy2(ROOT / f"{app}.py", folder / "function_app.py")
        return HostProcess({**self.settings, **settings}, folder=folder, log_file=self._folder / "host.log")

    def slow_down(self, seconds: float, **switches: object) -> None:
        """Have each outside call take so long, 20 % less or more at random; turn the switches."""
        rule = {"kind": "latency", "operation": "*", "times": None, "seconds": 0.8 * seconds, "jitter": 0.4 * seconds}
        self.emulator.faults.load({"rules": [rule], "switches": switches})

    def post(self, url: str, body: object) -> Any:  # noqa: ANN401 -- JSON
        """POST what is accepted; return the content of the answer."""
        answer = self._http.post(url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def registered(self, host: HostProcess, body: dict[str, object]) -> tuple[Registration, float]:
        """POST a request and wait until it is active; return the registration and the seconds that took."""
        begun, row = time.perf_counter(), None
        identity = str(self.post(f"{host.origin}/api/registrations", anew(body))["registrationId"])
        while host.running() and (row is None or row.status is Status.ACCEPTED):
            time.sleep(0.02)
            row = self.services.registry.get(identity)
        if row is None or row.status is not Status.ACTIVE:
            raise RuntimeError("a registration did not become active")
        return row, time.perf_counter() - begun

    def warm(self, host: HostProcess, number: int) -> None:
        """Make the first registrations: a host loads what it loads once, and opens its connections."""
        self.registered(host, SERVER)
        self.register(host, number - 1)

    def register(self, host: HostProcess, number: int) -> Load:
        """Have so many service clients accepted first, and then their messages carried out."""
        requests = [parse(anew(CLIENT)) for _ in range(number)]
        with ThreadPoolExecutor(8) as pool:
            accepted = list(pool.map(lambda each: submit(self.services, each, KEY_HOLDER, None), requests))
            self._clients += [each.registration.id for each in accepted]
            messages = [b64encode(str(each.message).encode()).decode() for each in accepted]
            return self._carried(host, number, lambda: list(pool.map(self.queue.send_message, messages)))

    def rotate(self, host: HostProcess, number: int) -> Load:
        """Have the planner find so many clients due that were not rotated yet."""
        registry, now = self.services.registry, self.services.clock.now()
        for row in filter(None, (registry.get(self._clients.pop()) for _ in range(number))):
            registry.put_due(DueEntry(row.id, now))
            registry.replace(replace(row, due_at=now, replace_before=now))
        planner = f"{host.origin}/admin/functions/planner"
        return self._carried(host, number, lambda: self.post(planner, {"input": ""}))

    def _carried(self, host: HostProcess, number: int, start: Callable[[], object]) -> Load:
        """Start a load, wait until the queue is empty and each client has a secret, and return what it took."""
        calls, (before, _), left = self.emulator.calls, self.used(host), number
        calls.clear()
        start()
        while host.running() and (left or not calls):
            time.sleep(0.1)
            left = self.queue.get_queue_properties().approximate_message_count or 0
            say(f"carried out: {number - left} of {number}")
        ended, made = datetime.now(UTC), calls[:]
        if (published := sum(call.operation == "vault.setSecret" for call in made)) != number:
            raise RuntimeError(f"{published} of {number} clients have a new secret")
        return Load((ended - made[0].at).total_seconds(), made, self.used(host)[0] - before)

    @staticmethod
    def used(host: HostProcess) -> tuple[float, float]:
        """Return the CPU seconds that a host has used, and the MB that it holds in memory, on Linux."""
        user, system, *_, pages = Path(f"/proc/{host.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[11:22]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def stage() -> Iterator[Stage]:
    """Serve storage in memory and the emulator while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, cloud(Path(name), app_settings=_NEVER) as running:
        yield Stage(running, Path(name))


def asked_of(services: AzureServices) -> Counter[str]:
    """Return a count, by method, of what these services ask of tables from now on."""
    seen = Counter[str]()
    hooks: Any = services._session.hooks["response"]  # noqa: SLF001 -- what the adapters share
    hooks.append(lambda answer, **_: seen.update([answer.request.method]))
    return seen


@contextmanager
def due_table(size: int) -> Iterator[tuple[AzureServices, TableClient]]:
    """Serve so many due entries, 300 of them due now, and no registrations: the planner needs none."""
    now, later = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2100))
    due = (DueEntry(f"{n:08x}-{uuid.uuid4()}", now if n < DUE_NOW else later) for n in range(size))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        write_table(Path(folder), DUE, map(due_key, due))
        with Azurite(location=Path(folder)) as storage:
            given = {"AzureWebJobsStorage": storage.connection_string, "KEY_VAULT_URL": "https://vault.example"}
            services = AzureServices(Settings.from_env(given | {"AZURE_TENANT_ID": CLIENT["owner"]}))
            yield services, TableClient.from_connection_string(storage.connection_string, DUE)
