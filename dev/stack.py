"""The whole local stack: storage and the emulator of Azure, and the host as a process of its own between them."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from dev.emulator.server import EmulatorServer
from dev.host import HostProcess
from dev.storage import SERVICES, Azurite, why_taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SCHEDULES = {"PLANNER_SCHEDULE": "0 */5 * * * *", "RECONCILE_SCHEDULE": "0 30 3 * * *"}


@dataclass(frozen=True)
class Stack:
    """What runs."""

    storage: Azurite
    azure: EmulatorServer
    host: HostProcess
    settings: dict[str, str]

    @property
    def api(self) -> str:
        """The API's base address."""
        return f"{self.host.origin}/api"


@contextmanager
def stack(  # noqa: PLR0913 - each is one thing that the caller may say
    folder: Path,
    *,
    port: int = 0,
    emulator_port: int = 0,
    usual_ports: bool = False,
    message_lease: int | None = None,
    log_file: Path | None = None,
    app_settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Runs the stack while the context lasts; port 0 takes a free one, and nothing is kept.

    `folder` takes the emulator's certificate authority. `usual_ports` gives storage the emulator's well-known ports
    where all of them are free. `app_settings` go before those of the stack.
    """
    with ExitStack() as running:
        taken = {port, emulator_port} & set(SERVICES.values()) or any(map(why_taken, SERVICES.values()))
        storage = running.enter_context(Azurite(ports=SERVICES if usual_ports and not taken else None))
        azure = running.enter_context(EmulatorServer(folder, port=emulator_port))
        settings = {
            **_SCHEDULES,
            **azure.emulator.settings(),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "AzureWebJobsStorage": storage.connection_string,
            "REQUESTS_CA_BUNDLE": str(azure.ca_bundle.resolve()),
            **(app_settings or {}),
        }
        host = running.enter_context(HostProcess(settings, port=port, message_lease=message_lease, log_file=log_file))
        yield Stack(storage, azure, host, settings)


def stop_on_signals() -> None:
    """Has SIGINT and SIGTERM raise KeyboardInterrupt, once: the cleaning up that follows is not interrupted."""

    def stop(*_: object) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
