"""`python -m dev up`: serves the whole local stack until Ctrl-C."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.stack import stack, stop_on_signals
from dev.storage import StorageError

if TYPE_CHECKING:
    import argparse

_TEXT = """
FHIR Registrar is served on this machine, against an emulator: nothing is real and nothing is kept.

  API         {api}
  In words    {api}/docs
  Emulator    {azure} (Graph, Entra, Key Vault)
  Trust       {bundle} (CA bundle of the emulator)
  Storage     queues http://127.0.0.1:{queue}, tables http://127.0.0.1:{table}

Try it in another terminal:
  curl -i {api}/registrations -H 'Content-Type: application/json' -d @examples/resource.json

Ctrl-C ends it.
"""


def main(arguments: argparse.Namespace) -> int:
    """Serves until it is told to stop, or until the host ends of itself."""
    stop_on_signals()
    folder = Path(".local")
    folder.mkdir(exist_ok=True)
    try:
        with stack(folder, port=arguments.port, emulator_port=arguments.emulator_port, usual_ports=True) as running:
            ports = running.storage.ports
            print(
                _TEXT.format(
                    api=running.api,
                    azure=running.azure.origin,
                    bundle=running.azure.ca_bundle,
                    queue=ports["Queue"],
                    table=ports["Table"],
                ),
                flush=True,
            )
            while running.host.running():
                time.sleep(0.2)
        print("The host has ended; its log above says why.")
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    except (StorageError, RuntimeError, OSError) as error:
        print(f"The local stack did not start: {error}", file=sys.stderr)
    return 1
