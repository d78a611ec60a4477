"""`python -m dev token NAME`: prints a token of the emulated tenant for the API, for whoever is called so there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from dev.emulator.server import CA_BUNDLE, ORIGIN

if TYPE_CHECKING:
    import argparse

_FOLDER = Path(".local")
_TIMEOUT = 10


def main(arguments: argparse.Namespace) -> int:
    """Asks the emulator of `make run`, and prints the token and nothing else."""
    try:
        origin = (_FOLDER / ORIGIN).read_text(encoding="utf-8")
        answer = requests.post(
            f"{origin}/_emulator/accounts/{arguments.name}/token", verify=str(_FOLDER / CA_BUNDLE), timeout=_TIMEOUT
        )
    except (OSError, requests.RequestException):
        print("No emulator answers; `make run AUTH=entra` serves one from this folder", file=sys.stderr)
        return 1
    if not answer.ok:
        print(answer.json()["error"], file=sys.stderr)
        return 1
    print(answer.json()["access_token"])
    return 0
