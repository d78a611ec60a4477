"""`python -m dev`: the local stack on the command line."""

from __future__ import annotations

import argparse
import importlib
import sys

from dev.host import run


def main() -> int:
    """Reads the command line and runs one command."""
    parser = argparse.ArgumentParser(prog="python -m dev", description="The local stack of FHIR Registrar.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="provision one registration of each type, prove each, rotate a secret, and end")
    up = commands.add_parser("up", help="serve storage, the emulator and the app until Ctrl-C")
    up.add_argument("--port", type=run.port, default=7071, help="of the API; 0 takes a free one (default: 7071)")
    up.add_argument("--emulator-port", type=run.port, default=8443, help="0 takes a free one (default: 8443)")
    up.add_argument("--auth", choices=("key", "entra"), default="key", help="CALLER_AUTH of the app (default: key)")
    token = commands.add_parser("token", help="print a token for the API, of a caller that `up --auth entra` names")
    token.add_argument("name", metavar="NAME")
    commands.add_parser("infra-check", help="look at the infrastructure without a subscription")
    commands.add_parser("package", help="build the zip that is deployed, and the bill of its materials")
    worker = commands.add_parser("worker-check", help="have the real worker's library call every function of the app")
    worker.add_argument("--every-python", action="store_true", help="in a clean environment of each version")
    run.add_arguments(commands.add_parser("host", help="serve function_app.py of the current folder, like func start"))
    arguments = parser.parse_args()
    if arguments.command == "host":
        return run.main(arguments)
    # The host must not need the emulator, nor what these two import.
    code: int = importlib.import_module(f"dev.{arguments.command.replace('-', '_')}").main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
