"""The host as a child process: the real command, for the demo and for tests that kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

_ROOT = Path(__file__).parents[2]
_READY = "Functions host ready: "
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


class HostProcess:
    """`python -m dev host` while the context lasts; it ends with this process, even a killed one.

    The environment given is the child's whole one but for what Python and the shell need. What it logs goes to
    `log_file`, or is inherited. A local.settings.json is read only if asked for. `platform` is what the command line
    says of the platform in front of the app: `--as`, `--claims`, `--no-platform`.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that the caller may say
        self,
        environment: Mapping[str, str],
        *,
        folder: Path = _ROOT,
        port: int = 0,
        function_key: str | None = None,
        message_lease: int | None = None,
        local_settings: bool = False,
        platform: Sequence[str] = (),
        log_file: Path | None = None,
    ) -> None:
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV")
        self._environment = {name: os.environ[name] for name in kept if name in os.environ} | dict(environment)
        paths = [str(_ROOT), self._environment.get("PYTHONPATH", "")]
        self._environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self._folder = folder
        self._flags = ["--port", str(port), "--with-parent"]
        self._flags += ["--function-key", function_key] if function_key is not None else []
        self._flags += ["--message-lease", str(message_lease)] if message_lease is not None else []
        self._flags += platform
        self._flags += [] if local_settings else ["--environment-only"]
        self._log_file = log_file
        self._process: subprocess.Popen[str] | None = None
        self.origin = ""

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._process
        return self._process.pid

    def start(self) -> Self:
        """Starts it and waits until it is ready.

        Raises:
            RuntimeError: It ended, or was not ready in time; the reason is in its log.
        """
        errors = self._log_file.open("ab") if self._log_file else None
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "dev", "host", *self._flags],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # A Ctrl-C in the terminal is the parent's to handle.
                start_new_session=True,
            )
        finally:
            if errors:
                errors.close()
        watch = threading.Timer(_START_SECONDS, self._process.kill)
        watch.start()
        try:
            assert self._process.stdout
            line = self._process.stdout.readline()
        except BaseException:
            self.kill()
            raise
        finally:
            watch.cancel()
        if not line.startswith(_READY):
            self.kill()
            raise RuntimeError("the Functions host did not start; its log says why")
        self.origin = line.removeprefix(_READY).strip()
        return self

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """Asks it to end, as a platform would, and returns its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Ends it at once, as a lost machine would."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        process.send_signal(number)
        try:
            code = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        return code

    def __enter__(self) -> Self:
        """Starts it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it."""
        self.stop()
