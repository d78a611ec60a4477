"""Puts the host together and runs it until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.host import queues
from dev.host.functions import Worker, disabled, index, load_app, queue_name
from dev.host.http import HttpServer
from dev.host.platform import Platform
from dev.host.queues import POISON, Poller
from dev.host.routes import Gateway
from dev.host.settings import Connections, HostError, HostOptions, load_local_settings
from dev.host.timers import Timer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import azure.functions as func

    from dev.host.functions import Function

log = logging.getLogger("dev.host")

READY = "Functions host ready: "
DEFAULT_LEASE = 600
_STOP_SECONDS = 10.0
_LAST_PORT = 65535


class Host:
    """Serves one app.

    Everything that can be wrong with it is told when it is made, before anything is served.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that the caller may say
        self,
        app: func.FunctionApp,
        options: HostOptions,
        settings: Mapping[str, str],
        *,
        port: int = 0,
        function_key: str | None = None,
        message_lease: int = DEFAULT_LEASE,
        platform: Platform | None = None,
    ) -> None:
        functions = index(app)
        connections = Connections(settings)
        self._worker = Worker(settings, connections, base64=options.queues.base64)
        self._worker.prepare(functions)
        self._pollers = []
        self._disabled = {function.name for function in functions if disabled(function, settings)}
        for function in functions:
            if function.kind == "queueTrigger" and function.name not in self._disabled:
                name = queue_name(function, function.trigger, settings)
                place = str(function.trigger.get("connection") or ""), f"function {function.name}"
                source = connections.queue(place[0], name, place[1])
                poison = None if name.endswith(POISON) else connections.queue(place[0], name + POISON, place[1])
                self._pollers.append(
                    Poller(function, source, poison, options=options.queues, lease=message_lease, worker=self._worker)
                )
        timers = [function for function in functions if function.kind == "timerTrigger"]
        self._timers = {function.name: Timer(function, settings, self._worker) for function in timers}
        gateway = Gateway(
            functions,
            prefix=options.route_prefix,
            disabled=self._disabled,
            key=function_key,
            call=lambda function, datum: self._worker.start(self._worker.invoke, function, datum).result(),
            fire=self._fire,
        )
        answer = gateway.answer if platform is None else partial(platform.answer, app=gateway.answer)
        self._http = HttpServer(port, answer)

    @property
    def origin(self) -> str:
        """Where it listens."""
        return self._http.origin

    def start(self) -> None:
        """Begins to serve."""
        self._http.start()
        for poller in self._pollers:
            poller.start()
        for name, timer in self._timers.items():
            if name not in self._disabled:
                timer.start()

    def stop(self, seconds: float = _STOP_SECONDS) -> int:
        """Takes nothing more and lets what runs end; returns how many invocations did not in time."""
        end = time.monotonic() + seconds
        for poller in self._pollers:
            poller.stop()
        for timer in self._timers.values():
            timer.stop()
        self._http.stop()
        left = self._worker.stop(seconds)
        self._http.drain(max(0.0, end - time.monotonic()) if not left else 0.0)
        return left

    def _fire(self, function: Function, given: Any) -> None:  # noqa: ANN401 - whatever JSON the caller sent
        if function.name in self._timers:
            self._timers[function.name].fire(given)
        else:
            self._worker.start(self._worker.invoke, function, *queues.by_hand(given))


def port(text: str) -> int:
    """Reads a port from the command line."""
    if text.isascii() and text.isdecimal() and int(text) <= _LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"a port is a whole number from 0 to {_LAST_PORT}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `python -m dev host`."""
    parser.add_argument("--port", type=port, default=7071, help="0 takes a free one (default: 7071)")
    parser.add_argument("--function-key", metavar="KEY", help="ask for this key; without it none is asked for")
    parser.add_argument(
        "--message-lease",
        type=int,
        default=DEFAULT_LEASE,
        metavar="SECONDS",
        help="how long the message of a killed host stays hidden (default: 600)",
    )
    parser.add_argument(
        "--as",
        dest="signed_in_as",
        metavar="NAME",
        help="with CALLER_AUTH=entra: whose browser session a request without Authorization comes from",
    )
    parser.add_argument(
        "--claims",
        choices=("long", "short"),
        help="with CALLER_AUTH=entra: the names of claims, as with the token store on, or off (default: short)",
    )
    parser.add_argument(
        "--no-platform", action="store_true", help="with CALLER_AUTH=entra: nothing stands in front of the app"
    )
    parser.add_argument("--environment-only", action="store_true", help="do not read local.settings.json")
    parser.add_argument("--with-parent", action="store_true", help="stop when standard input ends")
    parser.add_argument("--verbose", action="store_true", help="log what the libraries do as well")


def main(arguments: argparse.Namespace) -> int:
    """Runs the host in the current folder until SIGTERM or SIGINT."""
    logging.basicConfig(
        level=logging.DEBUG if arguments.verbose else logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
        stream=sys.stderr,
    )
    logging.Formatter.converter = time.gmtime
    if not arguments.verbose:
        logging.getLogger("azure").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if arguments.with_parent:
        threading.Thread(target=_watch_input, args=(stopping,), name="parent", daemon=True).start()
    try:
        host = _make(arguments)
    except HostError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says it all
        return 1
    except Exception:
        log.exception("function_app.py cannot be imported")
        return 1
    host.start()
    print(f"{READY}{host.origin}", flush=True)
    stopping.wait()
    left = host.stop()
    if left:
        log.warning("%d invocations are still running and are left; their messages come back", left)
    logging.shutdown()
    sys.stdout.flush()
    # Threads that still run a function would hold the process.
    os._exit(0)


def _watch_input(stopping: threading.Event) -> None:
    # Read past Python's buffer, whose lock would be in the way when the interpreter ends.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stopping.set()


def _make(arguments: argparse.Namespace) -> Host:
    folder = Path.cwd()
    if arguments.message_lease < 1:
        raise HostError("--message-lease must be a second or more")
    if not arguments.environment_only:
        load_local_settings(folder / "local.settings.json", os.environ)
    options = HostOptions.read(folder / "host.json")
    platform = platform_of(arguments, os.environ)
    if platform is not None:
        os.environ.update(platform.settings())
    return Host(
        load_app(folder),
        options,
        os.environ,
        port=arguments.port,
        function_key=arguments.function_key,
        message_lease=arguments.message_lease,
        platform=platform,
    )


def platform_of(arguments: argparse.Namespace, settings: Mapping[str, str]) -> Platform | None:
    """Returns what stands in front of the app: nothing where callers have function keys, or where none is wanted.

    Raises:
        HostError: The command line asks for what the settings do not have, or nobody can be asked.
    """
    wanted = arguments.signed_in_as is not None or arguments.claims is not None
    if settings.get("CALLER_AUTH", "").strip() != "entra":
        if wanted or arguments.no_platform:
            raise HostError("--as, --claims and --no-platform are for the app setting CALLER_AUTH=entra")
        return None
    if arguments.no_platform:
        if wanted:
            raise HostError("--no-platform leaves nobody to sign in; leave --as and --claims out")
        return None
    return Platform(settings, names=arguments.claims or "short", signed_in_as=arguments.signed_in_as)
