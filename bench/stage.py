"""What a figure is measured on: storage and the emulator, which this process serves, hosts between them, and loads."""

import json
import os
import shutil
import tempfile
import time
import uuid
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests
from azure.data.tables import TableClient, TableServiceClient
from azure.storage.queue import QueueClient

from bench.harness import say
from dev.host import HostProcess
from dev.stack import Cloud, cloud
from dev.storage import Azurite
from provisioning.adapters.rows import due_key
from provisioning.adapters.tables import DUE, REGISTRATIONS
from provisioning.api.submit import submit
from provisioning.domain.callers import KEY_HOLDER
from provisioning.domain.intake import parse
from provisioning.domain.operation import DueEntry
from provisioning.domain.registration import Status
from provisioning.settings import Settings
from provisioning.wiring import AzureServices

ROOT = Path(__file__).parents[1]
SERVER, CLIENT = (json.loads((ROOT / f"examples/{name}.json").read_text("utf-8")) for name in ("resource", "service"))
# In Azure queues are looked at by the host, in another process than the app's; here they would share its interpreter.
_OFF: Final = ("provision", "give_up", "notify", "drop_notice_message")
ANSWERS_ONLY: Final = {f"AzureWebJobs.{name}.Disabled": "1" for name in _OFF}
_NEVER: Final = {"PLANNER_SCHEDULE": "0 0 0 1 1 *", "RECONCILE_SCHEDULE": "0 0 0 1 1 *"}
# Numbers are counted, and never reached.
_POLICY: Final = {"POLICY": str(ROOT / "bench/policy.json")}
DUE_NOW, _PATIENCE = 300, 1800.0


class Load(NamedTuple):
    """A load: the seconds from the first outside call to the empty queue, the outside calls, and CPU by process."""

    seconds: float
    calls: list[Any]
    cpu: dict[str, float]


class Stage:
    """Hosts, what they are asked, and what that took."""

    def __init__(self, running: Cloud, folder: Path) -> None:
        self.settings, self.emulator = running.settings, running.azure.emulator
        self.services = AzureServices(Settings.from_env(running.settings))
        self.queue = QueueClient.from_connection_string(running.storage.connection_string, "registrations")
        self.queue.create_queue()
        self._azurite, self._folder, self._clients = running.storage.pid, folder, list[str]()
        self._http = requests.Session()
        self._http.trust_env = False

    def host(self, app: str = "function_app", at_once: int = 0, /, **settings: str) -> HostProcess:
        """Return a host, not started, of a module of this repository, for so many messages at once, if not as set."""
        document = json.loads((ROOT / "host.json").read_text("utf-8"))
        if at_once:
            document["extensions"]["queues"] |= {"batchSize": at_once // 2, "newBatchThreshold": at_once // 2}
        folder = self._folder / f"{app}-{at_once}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "host.json").write_text(json.dumps(document), "utf-8")
        shutil.copy2(ROOT / f"{app}.py", folder / "function_app.py")
        return HostProcess({**self.settings, **settings}, folder=folder, log_file=self._folder / "host.log")

    def slow_down(self, seconds: float, **switches: object) -> None:
        """Have each outside call take so long, 20 % less or more at random; turn the switches."""
        rule = {"kind": "latency", "operation": "*", "times": None, "seconds": 0.8 * seconds, "jitter": 0.4 * seconds}
        self.emulator.faults.load({"rules": [rule], "switches": switches})

    def post(self, url: str, body: object) -> Any:  # noqa: ANN401 -- JSON
        """POST what is answered 202; return the answer's content."""
        answer = self._http.post(url, json=body, timeout=60)
        if answer.status_code != requests.codes.accepted:
            raise RuntimeError(f"POST {url} was answered {answer.status_code}")
        return answer.json() if answer.content else None

    def registered(self, host: HostProcess, body: object) -> tuple[str, float]:
        """POST a request and wait until it is active; return its id and the seconds that took."""
        begun, status = time.perf_counter(), Status.ACCEPTED
        found = str(self.post(f"{host.origin}/api/registrations", body)["registrationId"])
        while status is Status.ACCEPTED and time.perf_counter() - begun < _PATIENCE:
            time.sleep(0.02)
            row = self.services.registry.get(found)
            status = row.status if row else status
        if status is not Status.ACTIVE:
            raise RuntimeError(f"a registration ended {status}")
        return found, time.perf_counter() - begun

    def warm(self, host: HostProcess) -> None:
        """Have a host load what it loads once, and open its connections; register the clients' resource."""
        self.registered(host, SERVER)
        self.register(host, 32)

    def register(self, host: HostProcess, number: int) -> Load:
        """Have so many service clients accepted first, and then their messages carried out."""
        request = parse(CLIENT)
        with ThreadPoolExecutor(8) as pool:
            accepted = list(pool.map(lambda _: submit(self.services, request, KEY_HOLDER, None), range(number)))
            self._clients += [each.registration.id for each in accepted]
            messages = [b64encode(str(each.message).encode()).decode() for each in accepted]
            return self._carried(host, number, lambda: list(pool.map(self.queue.send_message, messages)))

    def rotate(self, host: HostProcess, number: int) -> Load:
        """Have the planner find so many clients due that were not rotated yet."""
        registry, now = self.services.registry, self.services.clock.now()
        for _ in range(number):
            row = registry.get(self._clients.pop())
            assert row is not None
            registry.put_due(DueEntry(row.id, now))
            registry.replace(replace(row, due_at=now, replace_before=now))
        planner = f"{host.origin}/admin/functions/planner"
        return self._carried(host, number, lambda: self.post(planner, {"input": ""}))

    def _carried(self, host: HostProcess, number: int, start: Callable[[], object]) -> Load:
        """Start a load, wait until the queue is empty and each client has a secret, and return what it took."""
        self.emulator.calls.clear()
        before, given_up, left = self._cpu(host), time.monotonic() + _PATIENCE, number
        start()
        while left or not self.emulator.calls:
            if time.monotonic() > given_up:
                raise RuntimeError(f"{left} messages are left")
            time.sleep(0.1)
            left = self.queue.get_queue_properties().approximate_message_count or 0
            say(f"carried out: {number - left} of {number}")
        ended, calls = datetime.now(UTC), self.emulator.calls[:]
        if (published := sum(call.operation == "vault.setSecret" for call in calls)) != number:
            raise RuntimeError(f"{published} of {number} clients have a new secret")
        used = {name: seconds - before[name] for name, seconds in self._cpu(host).items()}
        return Load((ended - calls[0].at).total_seconds(), calls, used)

    def _cpu(self, host: HostProcess) -> dict[str, float]:
        """Return the CPU seconds that each process has used, on Linux."""
        pids = {"host": host.pid, "Azurite": self._azurite, "bench and emulator": os.getpid()}
        stats = {name: Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2] for name, pid in pids.items()}
        return {name: sum(map(int, stat.split()[11:13])) / os.sysconf("SC_CLK_TCK") for name, stat in stats.items()}


@contextmanager
def stage() -> Iterator[Stage]:
    """Serve storage in memory and the emulator while the context lasts."""
    settings = _NEVER | _POLICY
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, cloud(Path(folder), app_settings=settings) as running:
        yield Stage(running, Path(folder))


def table_requests(services: AzureServices) -> Counter[str]:
    """Return a count, by method, of what these services ask of tables from now on."""
    seen = Counter[str]()
    hooks: Any = services._session.hooks["response"]  # noqa: SLF001 -- what the adapters share
    hooks.append(lambda answer, **_: seen.update([answer.request.method]))
    return seen


@contextmanager
def kept_table(size: int) -> Iterator[tuple[AzureServices, TableClient]]:
    """Serve a table of so many registrations with due entries, 300 of them due now; it is made once and kept."""
    folder = ROOT / ".local" / "bench" / f"table-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    with Azurite(location=folder) as storage:
        given = {"AzureWebJobsStorage": storage.connection_string, "KEY_VAULT_URL": "https://vault.example"}
        tables = TableServiceClient.from_connection_string(storage.connection_string)
        due, rows = (tables.create_table_if_not_exists(name) for name in (DUE, REGISTRATIONS))
        for start in range(0, 0 if (folder / "made").exists() else size, 100):
            # Nobody reads these rows: a planner that looks at more than is due fails, or makes more requests.
            keys = [{"PartitionKey": f"{start:08}", "RowKey": f"{start:08}-{uuid.uuid4()}"} for _ in range(100)]
            at = datetime(2020 if start < DUE_NOW else 2100, 1, 1, tzinfo=UTC)
            rows.submit_transaction([("create", key) for key in keys])
            due.submit_transaction([("create", due_key(DueEntry(key["RowKey"], at))) for key in keys])
            say(f"planner: making a table of {size:,} that is kept: {start:,}")
        (folder / "made").touch()
        yield AzureServices(Settings.from_env(given | {"AZURE_TENANT_ID": CLIENT["owner"]})), due
