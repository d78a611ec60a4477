"""The whole local stack: storage and the emulator of Azure, and the host as a process of its own between them."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from dev.emulator.server import EmulatorServer
from dev.host import HostProcess
from dev.storage import SERVICES, Azurite, why_taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SETTINGS = "settings.sh"
_SCHEDULES = {"PLANNER_SCHEDULE": "0 */5 * * * *", "RECONCILE_SCHEDULE": "0 30 3 * * *"}


@dataclass(frozen=True)
class Cloud:
    """What stands for Azure, and the app settings that lead to it."""

    storage: Azurite
    azure: EmulatorServer
    settings: dict[str, str]


@dataclass(frozen=True)
class Stack(Cloud):
    """What runs."""

    host: HostProcess

    @property
    def api(self) -> str:
        """The API's base address."""
        return f"{self.host.origin}/api"


@contextmanager
def cloud(
    folder: Path,
    *,
    emulator_port: int = 0,
    usual_ports: bool = False,
    app_settings: Mapping[str, str] | None = None,
) -> Iterator[Cloud]:
    """Runs storage and the emulator while the context lasts; port 0 takes a free one, and nothing is kept.

    `folder` takes the emulator's certificate authority. `usual_ports` gives storage the emulator's well-known ports
    where all of them are free. `app_settings` go before those that lead here.
    """
    taken = emulator_port in SERVICES.values() or any(map(why_taken, SERVICES.values()))
    with (
        Azurite(ports=SERVICES if usual_ports and not taken else None) as storage,
        EmulatorServer(folder, port=emulator_port) as azure,
    ):
        settings = {
            **_SCHEDULES,
            **azure.emulator.settings(),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "AzureWebJobsStorage": storage.connection_string,
            "REQUESTS_CA_BUNDLE": str(azure.ca_bundle.resolve()),
            **(app_settings or {}),
        }
        yield Cloud(storage, azure, settings)


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
    """Runs the cloud and a host of the app between its parts while the context lasts.

    `folder` takes the app settings too, for a shell.
    """
    usual_ports = usual_ports and port not in SERVICES.values()
    with (
        cloud(folder, emulator_port=emulator_port, usual_ports=usual_ports, app_settings=app_settings) as given,
        HostProcess(given.settings, port=port, message_lease=message_lease, log_file=log_file) as host,
    ):
        _write_settings(folder / SETTINGS, given.settings)
        yield Stack(given.storage, given.azure, given.settings, host)


def _write_settings(file: Path, settings: Mapping[str, str]) -> None:
    """Writes the app settings for a shell, so that the operator's command line finds what runs here."""
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))


def stop_on_signals() -> None:
    """Has SIGINT and SIGTERM raise KeyboardInterrupt, once: the cleaning up that follows is not interrupted."""

    def stop(*_: object) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def to_the_end(run: Callable[[], int], failed: str, *errors: type[Exception]) -> int:
    """Runs what cleans up after itself; its exit code, or 130 when a signal stopped it, or 1 when an error did."""
    stop_on_signals()
    try:
        return run()
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.", file=sys.stderr)
        return 130
    except errors as error:
        print(f"{failed}: {error}", file=sys.stderr)
        return 1
