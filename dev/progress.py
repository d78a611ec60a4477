"""Runs a command and says what it is for, that it goes on, and how long it took.

`python dev/progress.py TEXT COMMAND ...`: of a command that takes long, the last line that it printed is shown every
few seconds. What it says on standard error is shown as it comes. The exit code is the command's. Only the standard
library is imported: it runs before anything is installed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque

_WIDTH = 100


def main(text: str, command: list[str], *, every: float = 5.0) -> int:
    """Runs the command to its end and returns its exit code."""
    began = time.monotonic()
    print(f"{text} ...", flush=True)
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")  # noqa: S603
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    last: deque[str] = deque(maxlen=1)
    with process:
        reader = threading.Thread(target=last.extend, args=(process.stdout,), name="output", daemon=True)
        reader.start()
        while (code := _ended(process, every)) is None:
            doing = f": {last[0].strip()[:_WIDTH]}" if last else ""
            print(f"  {time.monotonic() - began:3.0f} s{doing}", flush=True)
        reader.join()
    print(f"  {'done' if code == 0 else 'failed'} after {time.monotonic() - began:.0f} s", flush=True)
    return code


def _ended(process: subprocess.Popen[str], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit(130)
