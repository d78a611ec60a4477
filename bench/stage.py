"""What a figure is measured on: storage, the emulator as a process of its own, hosts, and what each of them uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import requests
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from dev.host import HostProcess
from dev.storage import Azurite
from provisioning.api.submit import Accepted, submit
from provisioning.domain.callers import KEY_HOLDER
from provisioning.domain.intake import parse
from provisioning.domain.registration import Status
from provisioning.settings import Settings
from provisioning.wiring import AzureServices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".local" / "bench"
OWNER = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a11"
# What a warm process does not call for each client: tokens of its own, discovery, the vault's question who calls.
ONCE = frozenset({"identity.token", "token.discovery", "vault.challenge"})
# In Azure queues are looked at by the host, in another process than the app's; here they would share its interpreter.
ANSWERS_ONLY = {
    f"AzureWebJobs.{name}.Disabled": "1" for name in ("provision", "give_up", "notify", "drop_notice_message")
}
_NEVER = {"PLANNER_SCHEDULE": "0 0 0 1 1 *", "RECONCILE_SCHEDULE": "0 0 0 1 1 *"}
_PATIENCE = 1800.0
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A figure could not be measured; the message says why."""


class Load(NamedTuple):
    """A load: the time from the first outside call to the empty queue, the calls, and CPU seconds by process."""

    seconds: float
    made: list[dict[str, Any]]
    cpu: dict[str, float]

    @property
    def calls(self) -> Counter[str]:
        """How many calls there were of each operation."""
        return Counter(str(call["operation"]) for call in self.made)

    def shares(self) -> str:
        """Return how much of one core each process used."""
        return ", ".join(f"{name} {seconds / self.seconds:.0%}" for name, seconds in self.cpu.items())


class Stage:
    """Storage in memory and the emulator, while the context lasts. `latency` is that of one outside call in seconds."""

    def __init__(self, *, latency: float = 0.0) -> None:
        self.latency = latency
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start both."""
        try:
            self.folder = Path(self._running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self.storage = self._running.enter_context(Azurite())
            self._emulator = self._running.enter_context(_Emulator(self.folder))
            self.http = requests.Session()
            self.http.trust_env = False
            self.http.verify = self._emulator.settings["REQUESTS_CA_BUNDLE"]
            self.settings = {
                **_NEVER,
                **self._emulator.settings,
                "FUNCTIONS_WORKER_RUNTIME": "python",
                "PYTHON_THREADPOOL_THREAD_COUNT": "32",
                "AzureWebJobsStorage": self.storage.connection_string,
            }
            self.set_latency(self.latency)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both."""
        self._running.close()

    # --- the emulator -------------------------------------------------------------------------------------------------

    def manage(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 -- JSON
        """Call one of the emulator's own addresses."""
        url = f"{self.settings['GRAPH_ENDPOINT']}/_emulator/{path}"
        answer = self.http.request(method, url, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def set_latency(self, seconds: float, **switches: object) -> None:
        """Have each outside call take so long, 20 % less or more at random; turn the switches."""
        self.latency = seconds
        rule = {"kind": "latency", "operation": "*", "times": None, "seconds": 0.8 * seconds, "jitter": 0.4 * seconds}
        self.manage("DELETE", "faults")
        self.manage("POST", "faults", {"rules": [rule] if seconds else [], "switches": switches})

    def calls(self) -> list[dict[str, Any]]:
        """Return the outside calls since the last time, oldest first."""
        calls: list[dict[str, Any]] = self.manage("GET", "calls")["value"]
        self.manage("DELETE", "calls")
        return calls

    # --- hosts --------------------------------------------------------------------------------------------------------

    def host(self, folder: Path = ROOT, settings: Mapping[str, str] | None = None) -> HostProcess:
        """Return a host that is not started; its log is kept while the stage lasts."""
        return HostProcess({**self.settings, **(settings or {})}, folder=folder, log_file=self.folder / "host.log")

    def host_with_queues(self, batch_size: int, new_batch_threshold: int) -> Path:
        """Return a folder from which a host serves the app with another concurrency than the deployed one."""
        document = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
        queues = {"batchSize": batch_size, "newBatchThreshold": new_batch_threshold}
        document["extensions"]["queues"] |= queues
        folder = self.folder / f"host-{batch_size}-{new_batch_threshold}"
        folder.mkdir(exist_ok=True)
        (folder / "host.json").write_text(json.dumps(document), encoding="utf-8")
        return folder

    # --- the service --------------------------------------------------------------------------------------------------

    @cached_property
    def services(self) -> AzureServices:
        """The service's own view of storage, in this process."""
        return AzureServices(Settings.from_env(self.settings))

    @cached_property
    def queue(self) -> QueueClient:
        """The queue of registrations."""
        queue = QueueClient.from_connection_string(self.storage.connection_string, "registrations")
        with suppress(ResourceExistsError):
            queue.create_queue()
        return queue

    def accept(self, count: int, **fields: object) -> list[Accepted]:
        """Have so many service clients accepted, their messages not yet sent."""
        bodies = [a_service_client(**fields) for _ in range(count)]
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda body: submit(self.services, parse(body), KEY_HOLDER, None), bodies))

    def send(self, messages: Iterable[str | None]) -> None:
        """Send messages to the queue of registrations, as the queue output binding does."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.queue.send_message, [b64encode((each or "").encode()).decode() for each in messages]))

    def a_resource(self, host: HostProcess) -> str:
        """Register the FHIR server that the clients ask for; return its registration id."""
        body = {
            "clientType": "resource",
            "displayName": "A FHIR server",
            "owner": OWNER,
            "contact": "team@contoso.example",
            "fhirServerUrl": "https://fhir.contoso.example",
        }
        return self.registered(host, body)[0]

    def registered(self, host: HostProcess, body: Mapping[str, object]) -> tuple[str, float]:
        """POST a request and wait until it is active; return its id and the seconds that took."""
        begun = time.perf_counter()
        answer = self.http.post(f"{host.origin}/api/registrations", json=body, timeout=60)
        answer.raise_for_status()
        registration_id = str(answer.json()["registrationId"])
        while (row := self.services.registry.get(registration_id)) is None or row.status is Status.ACCEPTED:
            if time.perf_counter() - begun > _PATIENCE:
                raise BenchError("a registration did not end in time")
            time.sleep(0.02)
        if row.status is not Status.ACTIVE:
            raise BenchError(f"a registration ended {row.status}: {row.operation.failure}")
        return registration_id, time.perf_counter() - begun

    def carried(self, host: HostProcess, progress: str, total: int, start: Callable[[], None]) -> Load:
        """Start a load, wait until the queue is empty, and return what it took since the first outside call."""
        self.calls()
        before, given_up = self._cpu(host), time.monotonic() + _PATIENCE
        start()
        left = total
        while left or not (made := self.manage("GET", "calls")["value"]):
            if time.monotonic() > given_up:
                raise BenchError(f"{progress}: {left} messages are left")
            time.sleep(0.1)
            left = self.queue.get_queue_properties().approximate_message_count or 0
            say(f"{progress}: {total - left} of {total}")
        ended = time.time()
        cpu = {name: seconds - before[name] for name, seconds in self._cpu(host).items()}
        return Load(ended - datetime.fromisoformat(made[0]["at"]).timestamp(), made, cpu)

    def not_active(self) -> int:
        """Return how many registrations have failed or are not done."""
        found = self.services.registry.find
        return sum(len(found(status=status, top=200).registrations) for status in (Status.FAILED, Status.ACCEPTED))

    def _cpu(self, host: HostProcess) -> dict[str, float]:
        pids = {"host": host.pid, "emulator": self._emulator.pid, "Azurite": self.storage.pid, "bench": os.getpid()}
        return {name: cpu_seconds(pid) for name, pid in pids.items()}


class _Emulator:
    """The emulator as a process of its own, so that its work is not that of the bench."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.settings: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 -- this interpreter
            [sys.executable, "-m", "bench.emulator", str(self._folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("the emulator did not start")
        self.settings = json.loads(line)
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def a_service_client(**fields: object) -> dict[str, object]:
    """Return a request for a service client of the FHIR server."""
    common = {"displayName": "A service client", "owner": OWNER, "contact": "team@contoso.example"}
    return {"clientType": "service", "resource": "https://fhir.contoso.example", "appRoles": ["globalReader"]} | (
        common | fields
    )


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, on Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process holds, on Linux."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    [kilobytes] = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    return kilobytes / 1024


def say(text: str, end: str = "\r") -> None:
    """Show progress: on a terminal in place, else only what ends a line."""
    if sys.stderr.isatty():
        print(f"\033[K  {text}", end=end, file=sys.stderr, flush=True)
    elif end == "\n":
        print(f"  {text}", file=sys.stderr, flush=True)
