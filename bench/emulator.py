"""`python -m bench.emulator FOLDER`: serves the emulator until standard input ends; its settings are its first line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dev.emulator.server import EmulatorServer


def main() -> None:
    """Serve."""
    with EmulatorServer(Path(sys.argv[1])) as server:
        settings = {**server.emulator.settings(), "REQUESTS_CA_BUNDLE": str(server.ca_bundle.resolve())}
        print(json.dumps(settings), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
