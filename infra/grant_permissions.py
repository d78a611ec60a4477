"""The tenant administrator's part of a deployment, which whoever deploys may not do as a rule.

    python -m infra.grant_permissions --api                              the API's own application, before deploying
    python -m infra.grant_permissions --api --host HOST --sign-in ID     where people come back to, afterwards
    python -m infra.grant_permissions --registrar ID [--quota] [--sign-ins]   what the registrar needs of Graph
    python -m infra.grant_permissions --granter ID --resource ID ...     who may assign the app roles of one resource

It shows what is there and what it will do, asks, does exactly that, and looks whether it is so. What is there already
is left alone, so it may be repeated. `--remove` takes the same things back. IDs of identities and resources are object
ids of service principals. It needs nothing but Python and a signed-in Azure CLI; sign in as a Privileged Role
Administrator. For `--api` alone an Application Administrator will do.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from infra.wishes import (
    GRANTER,
    QUOTA,
    SIGN_INS,
    ApiApplication,
    DirectoryRole,
    Graph,
    GraphPermission,
    GraphRefused,
    Wish,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# How long Graph may take to show what it has just taken.
PATIENCE = 120.0
_TIMEOUT = 30


def wishes(arguments: argparse.Namespace) -> list[Wish]:
    """Returns what the command line asks for."""
    wanted: list[Wish] = []
    if arguments.api:
        cloud = {"authority": arguments.authority, "tenant": arguments.tenant, "audience": arguments.audience}
        wanted.append(ApiApplication(arguments.host, arguments.sign_in, **cloud))
    if arguments.registrar:
        wanted.append(GraphPermission(arguments.registrar))
        if arguments.quota:
            wanted.append(DirectoryRole(arguments.registrar, *QUOTA))
        if arguments.sign_ins:
            wanted.append(GraphPermission(arguments.registrar, SIGN_INS))
    wanted += [DirectoryRole(arguments.granter, *GRANTER, f"/{each}") for each in arguments.resource]
    return wanted


def carry_out(graph: Graph, wanted: Sequence[Wish], *, remove: bool, agree: Callable[[], bool]) -> int:
    """Shows, asks, does, and looks; 0 where all is as it was asked for, 1 where it is not, 2 where nobody agreed."""
    ready = [wish.gone(graph) if remove else wish.holds(graph) for wish in wanted]
    for wish, is_ready in zip(wanted, ready, strict=True):
        done, to_do = ("gone already", "take back") if remove else ("there already", "make it so")
        print(f"  {done if is_ready else to_do:>13}: {wish.text}")
    left = [wish for wish, is_ready in zip(wanted, ready, strict=True) if not is_ready]
    if not left:
        return 0
    if not agree():
        print("Nothing was done.")
        return 2
    for wish in left:
        wish.take_back(graph) if remove else wish.make(graph)
    verified = [_is_so(graph, wish, remove=remove) for wish in left]
    return 0 if all(verified) else 1


def _is_so(graph: Graph, wish: Wish, *, remove: bool) -> bool:
    """Whether Graph shows it, which may take it a while."""
    until, wait = time.monotonic() + PATIENCE, 1.0
    while not (wish.gone(graph) if remove else wish.holds(graph)):
        if time.monotonic() > until:
            print(f"  NOT verified: {wish.text}")
            return False
        time.sleep(wait)
        wait = min(2 * wait, 15.0)
    print(f"       verified: {wish.text}{' -- taken back' if remove else ''}")
    return True


def over_https(method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, bytes]:
    """Sends a request with the standard library."""
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 -- the address is checked below
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 -- as above
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _azure_cli(*arguments: str) -> str:
    az = shutil.which("az")
    if az is None:
        raise GraphRefused("the Azure CLI is not on the path; install it and sign in")
    ran = subprocess.run([az, *arguments, "--output", "tsv"], capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise GraphRefused(f"the Azure CLI: {ran.stderr.strip()}")
    return ran.stdout.strip()


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What a tenant administrator does for the FHIR registrar.")
    parser.add_argument("--api", action="store_true", help="the API's own application")
    parser.add_argument("--host", help="host name of the function app, for --api")
    parser.add_argument("--sign-in", metavar="ID", help="the identity that vouches for the API's application")
    parser.add_argument("--registrar", metavar="ID", help="the registrar's identity")
    parser.add_argument("--quota", action="store_true", help="with --registrar: more than 250 objects")
    parser.add_argument("--sign-ins", action="store_true", help="with --registrar: reads who signed in last with what")
    parser.add_argument("--granter", metavar="ID", help="the identity that assigns app roles")
    parser.add_argument("--resource", metavar="ID", action="append", default=[], help="of which resource; repeatable")
    parser.add_argument("--remove", action="store_true", help="take the same things back")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--graph", default="https://graph.microsoft.com", help="Microsoft Graph of the cloud")
    parser.add_argument("--authority", default="https://login.microsoftonline.com", help="authority of the cloud")
    parser.add_argument("--audience", default="api://AzureADTokenExchange", help="audience of exchanged tokens there")
    parser.add_argument("--tenant", default="", help="tenant id; that of the Azure CLI without it")
    read = parser.parse_args(arguments)
    if not (read.api or read.registrar or read.granter):
        parser.error("say what for: --api, --registrar or --granter")
    if (read.host or read.sign_in) and not read.api:
        parser.error("--host and --sign-in are parts of --api")
    if read.quota and not read.registrar:
        parser.error("--quota is for the identity of --registrar")
    if read.sign_ins and not read.registrar:
        parser.error("--sign-ins is for the identity of --registrar")
    if bool(read.granter) != bool(read.resource):
        parser.error("--granter and --resource belong together")
    if not read.graph.startswith("https://"):
        parser.error("--graph must begin with https://")
    return read


def main() -> int:
    """Reads the command line, signs in by the Azure CLI, and does it."""
    arguments = read_arguments(sys.argv[1:])
    try:
        arguments.tenant = arguments.tenant or _azure_cli("account", "show", "--query", "tenantId")
        ask = ("account", "get-access-token", "--resource", arguments.graph, "--query", "accessToken")
        graph = Graph(arguments.graph.rstrip("/"), _azure_cli(*ask), over_https)
        agree = lambda: arguments.yes or input("Go on? [y/N] ").strip().lower() == "y"  # noqa: E731 -- one line
        return carry_out(graph, wishes(arguments), remove=arguments.remove, agree=agree)
    except (GraphRefused, OSError) as error:
        print(f"It could not be done: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
