"""`python -m dev worker-check`: has the real Python worker's own library call the app, with what is deployed alone.

The local host of this repository is of our making; what it takes for a function, or for an answer, the worker might
refuse. `make worker-check` makes the environment, of what is deployed and that library. The check runs there as a
process of its own, between the storage and the cloud that this process serves meanwhile; `dev/worker/` has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dev.stack import cloud, stop_on_signals
from dev.storage import StorageError

if TYPE_CHECKING:
    import argparse

_ROOT = Path(__file__).parents[1]
_PYTHON = _ROOT / ".local" / "worker" / "bin" / "python"
_PATIENCE = 120.0


def main(_: argparse.Namespace) -> int:
    """Runs the check; its own exit code, or 1 where it cannot be run."""
    stop_on_signals()
    if not _PYTHON.exists():
        print("The environment of the check is missing: `make worker-check` makes it", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="fhir-registrar-") as folder, cloud(Path(folder)) as running:
            settings = running.settings | {"EMULATOR": running.azure.origin, "PATH": os.environ["PATH"]}
            command = [str(_PYTHON), "-m", "dev.worker"]
            return subprocess.run(command, cwd=_ROOT, env=settings, timeout=_PATIENCE, check=False).returncode  # noqa: S603
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.")
        return 130
    except (StorageError, subprocess.TimeoutExpired, OSError) as error:
        print(f"The check could not be run: {error}", file=sys.stderr)
    return 1
