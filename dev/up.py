"""`python -m dev up`: serves the whole local stack until Ctrl-C."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.emulator.sts.accounts import ACCOUNTS
from dev.stack import stack, stop_on_signals
from dev.storage import SERVICES, StorageError, why_taken

if TYPE_CHECKING:
    import argparse

    from dev.emulator.sts.accounts import Account

_TEXT = """
FHIR Registrar is served on this machine, against an emulator: nothing is real and nothing is kept.

  Page        {api}/page/
  API         {api}
  In words    {api}/docs
  Emulator    {azure} (Graph, Entra, Key Vault)
  Trust       {bundle} (CA bundle of the emulator)
  Settings    . .local/settings.sh (for `.venv/bin/python -m provisioning status`)
  Storage     queues http://127.0.0.1:{queue}, tables http://127.0.0.1:{table}{storage}

Try it in another terminal:
{example}

Ctrl-C ends it.
"""
_WITH_KEYS = """\
  curl -i {api}/registrations -H 'Content-Type: application/json' -d @examples/resource.json"""
_SIGNED_IN = """\
  curl -i {api}/registrations -H 'X-Dev-As: alice'
  curl -i {api}/registrations -H "Authorization: Bearer $(.venv/bin/python -m dev token alice)"

Callers, each by its name:
{callers}"""


def _ports_can_be_had(arguments: argparse.Namespace) -> bool:
    """Whether both ports that the caller may name can be listened on; if not, says which cannot, and the way out."""
    api, emulator = arguments.port, arguments.emulator_port
    for name, port, why in (
        ("PORT", api, why_taken(api)),
        ("EMULATOR_PORT", emulator, "it is the API's" if emulator and emulator == api else why_taken(emulator)),
    ):
        if why:
            way_out = f"take another one with `make run {name}=...`, or a free one with `make run {name}=0`"
            print(f"Port {port} cannot be had ({why}): {way_out}", file=sys.stderr)
            return False
    return True


def _example(api: str, auth: str) -> str:
    """Returns what to try, and who can call where callers sign in."""
    if auth == "key":
        return _WITH_KEYS.format(api=api)
    callers = (f"  {name:<10} {account.object_id}  {_rights(account)}" for name, account in ACCOUNTS.items())
    return _SIGNED_IN.format(api=api, callers="\n".join(callers))


def _rights(account: Account) -> str:
    groups = f"in {len(account.groups)} groups" if len(account.groups) > 1 else "".join(account.groups)
    return ", ".join([*account.roles, *([groups] if groups else [])])


def main(arguments: argparse.Namespace) -> int:
    """Serves until it is told to stop, or until the host ends of itself."""
    if not _ports_can_be_had(arguments):
        return 1
    stop_on_signals()
    folder = Path(".local")
    folder.mkdir(exist_ok=True)
    try:
        with stack(
            folder,
            port=arguments.port,
            emulator_port=arguments.emulator_port,
            usual_ports=True,
            app_settings={"CALLER_AUTH": arguments.auth},
        ) as running:
            ports = running.storage.ports
            print(
                _TEXT.format(
                    api=running.api,
                    azure=running.azure.origin,
                    bundle=running.azure.ca_bundle,
                    queue=ports["Queue"],
                    table=ports["Table"],
                    example=_example(running.api, arguments.auth),
                    storage="" if ports == SERVICES else " (the usual ports are in use)",
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
