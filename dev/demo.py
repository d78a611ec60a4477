"""`python -m dev demo`: one registration of each type on this machine, each proven from outside, and one rotation.

What is checked is what a caller, a FHIR server and a client see: the API, the vault, the token endpoint and a token.
A secret is fetched to be tried and is never printed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import requests
from azure.core.exceptions import AzureError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import KeyVaultSecretIdentifier

from dev import demo_callers, demo_grants
from dev.demo_callers import CallersError
from dev.demo_client import ClientError, Clients
from dev.stack import stack, stop_on_signals
from dev.storage import StorageError

if TYPE_CHECKING:
    import argparse

    from dev.stack import Stack

_EXAMPLES = Path(__file__).parents[1] / "examples"
# The resource application comes first: the others ask for it.
_TYPES = ("resource", "confidential", "public", "service")
_PATIENCE = 300.0
_TIMEOUT = 30
_LOG_LINES = 40
_INVALID_SECRET = 7000215
# So short that a replaced secret is seen to end; anywhere but beside the storage emulator this is refused.
_OVERLAP_SECONDS = 15
_APP_SETTINGS = {
    "SECRET_OVERLAP": f"PT{_OVERLAP_SECONDS}S",
    "PLANNER_SCHEDULE": "*/2 * * * * *",
    "GRANTS": "on",
}
_BETWEEN_LOOKS = 1.0
_PROGRESS_EVERY = 5


class DemoError(Exception):
    """The demo found something that is not as it should be."""


_FAILURES = (DemoError, ClientError, CallersError, StorageError)


@dataclass
class _Case:
    """One example and what became of it."""

    name: str
    url: str = ""
    registration: dict[str, Any] = field(default_factory=dict)
    poll_at: float = 0.0
    vault_name: str = "-"
    proof: str = ""

    @property
    def status(self) -> str:
        return str(self.registration.get("status", "?"))

    @property
    def operation(self) -> str:
        return str(self.registration["operation"]["status"])

    @property
    def pending(self) -> bool:
        return self.operation == "pending"

    @property
    def client_id(self) -> str:
        return str(self.registration.get("clientId") or "-")


class _Demo:
    def __init__(self, running: Stack) -> None:
        self._settings = running.settings
        self._api = running.api
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(running.azure.ca_bundle)
        credential = ManagedIdentityCredential()
        self._graph_token = credential.get_token(f"{self._graph}/.default").token
        self.clients = Clients(self._session, self._settings["KEY_VAULT_URL"])
        self._began = time.monotonic()

    @property
    def _graph(self) -> str:
        return self._settings["GRAPH_ENDPOINT"]

    def register(self) -> list[_Case]:
        """Has one of each type registered and proven."""
        cases = [self._submit(name) for name in _TYPES]
        self._await(cases)
        for case in cases:
            if case.status == "active":
                try:
                    case.proof = self._prove(case, cases)
                except (
                    DemoError,
                    ClientError,
                    AzureError,
                    requests.RequestException,
                    jwt.PyJWTError,
                    LookupError,
                ) as error:
                    case.registration["status"] = "unproven"
                    case.proof = f"{type(error).__name__}: {error}"
            else:
                failure = (case.registration.get("operation") or {}).get("failure") or {}
                case.proof = f"{failure.get('code', 'not ended in time')}: {failure.get('message', '')}"
        return cases

    def rotate(self, case: _Case) -> None:
        """Replaces a client's secret, and shows that the old one works through the overlap, and not after it.

        Raises:
            DemoError: A secret is refused that should work, or works on.
        """
        old, old_id = self._secret(case), case.registration["secret"]["keyId"]
        asked = time.monotonic()
        answer = self._session.post(f"{case.url}/rotate", json={"revokePrevious": False}, timeout=_TIMEOUT)
        if answer.status_code != requests.codes.accepted:
            raise DemoError(f"the rotation was answered {answer.status_code}: {answer.text}")
        case.registration, case.poll_at = answer.json(), _after(answer)
        self._say(f"rotation      {case.operation}")
        self._await([case])
        new, new_id = self._secret(case), case.registration["secret"]["keyId"]
        if case.operation != "succeeded" or old == new:
            raise DemoError("the secret was not replaced")
        rotated = time.monotonic()
        self._show(case, f"old secret    {old_id}", old, works=True)
        self._show(case, f"new secret    {new_id}", new, works=True)
        self._say(f"the old one goes on working for the overlap of {_OVERLAP_SECONDS} s ...")
        said = 0
        while self._works(case, old):
            waited = time.monotonic() - rotated
            if waited > _PATIENCE:
                raise DemoError("the old secret works on after the overlap")
            if waited >= said + _PROGRESS_EVERY:
                said += _PROGRESS_EVERY
                self._say(f"old secret    works after {said} s")
            time.sleep(_BETWEEN_LOOKS)
        if time.monotonic() - asked < _OVERLAP_SECONDS:
            raise DemoError("the old secret was refused before the overlap had ended")
        self._show(case, f"old secret    {old_id}", old, works=False)
        self._show(case, f"new secret    {new_id}", new, works=True)

    def _show(self, case: _Case, name: str, secret: str, *, works: bool) -> None:
        """Says whether a secret works; raises DemoError where it is the other way round."""
        found = self._works(case, secret)
        self._say(f"{name}  {'works' if found else 'is refused'}")
        if found is not works:
            raise DemoError("that is not as it should be")

    def _say(self, text: str) -> None:
        print(f"  {time.monotonic() - self._began:5.1f} s  {text}", flush=True)

    def _submit(self, name: str) -> _Case:
        answer = self._session.post(
            f"{self._api}/registrations",
            json=json.loads((_EXAMPLES / f"{name}.json").read_text(encoding="utf-8")),
            headers={"Idempotency-Key": str(uuid.uuid4())},
            timeout=_TIMEOUT,
        )
        if answer.status_code != requests.codes.accepted:
            raise DemoError(f"the {name} example was answered {answer.status_code}: {answer.text}")
        case = _Case(name, requests.compat.urljoin(answer.url, answer.headers["Location"]), answer.json())
        case.poll_at = _after(answer)
        self._say(f"{name:<13} {case.status}")
        return case

    def _await(self, cases: list[_Case]) -> None:
        end = time.monotonic() + _PATIENCE
        while waiting := [case for case in cases if case.pending]:
            case = min(waiting, key=lambda one: one.poll_at)
            if case.poll_at > end:
                return
            time.sleep(max(0.0, case.poll_at - time.monotonic()))
            answer = self._session.get(case.url, timeout=_TIMEOUT)
            answer.raise_for_status()
            case.registration, case.poll_at = answer.json(), _after(answer)
            if not case.pending:
                first = case.registration["operation"]["type"] == "provision"
                self._say(f"{case.name:<13} {case.status}" if first else f"rotation      {case.operation}")

    def _prove(self, case: _Case, cases: list[_Case]) -> str:
        if case.name == "resource":
            return self._prove_resource(case, next(one for one in cases if one.name == "service"))
        if case.name == "public":
            return self._prove_public(case)
        if not self._works(case, self._secret(case)):
            raise DemoError("the token endpoint does not take the secret")
        return "the token endpoint takes the secret"

    def _secret(self, case: _Case) -> str:
        """Returns the client's current secret, from the vault."""
        case.vault_name = KeyVaultSecretIdentifier(str(case.registration["secret"]["id"])).name
        return self.clients.secret(case.registration)

    def _works(self, case: _Case, secret: str) -> bool:
        """Whether the token endpoint takes a secret; raises DemoError for anything but yes and an unknown secret."""
        answer = self.clients.ask(case.registration, secret, f"{self._graph}/.default")
        works: bool = answer.status_code == requests.codes.ok
        if not works and _INVALID_SECRET not in answer.json().get("error_codes", ()):
            raise DemoError(f"the token endpoint answered {answer.status_code} {answer.json().get('error', '')}")
        return works

    def _prove_resource(self, case: _Case, client: _Case) -> str:
        if not client.registration.get("secret"):
            raise DemoError("there is no service client to ask for a token")
        audience = case.registration["fhirServerSettings"]["FhirServer__Security__Authentication__Audience"]
        self.clients.taken_by(case.registration, self.clients.token(client.registration, f"{audience}/.default"))
        return f"a token for {audience} passes issuer, signature, audience"

    def _prove_public(self, case: _Case) -> str:
        application = self._get(f"{self._graph}/v1.0/applications/{case.registration['applicationObjectId']}")
        self._get(f"{self._graph}/v1.0/servicePrincipals/{case.registration['servicePrincipalId']}")
        if application["passwordCredentials"] or application["keyCredentials"] or case.registration.get("secret"):
            raise DemoError("it holds a credential")
        return "in Entra with its service principal, without a credential"

    def _get(self, url: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._graph_token}"} if url.startswith(f"{self._graph}/v1.0/") else {}
        answer = self._session.get(url, headers=headers, timeout=_TIMEOUT)
        if answer.status_code != requests.codes.ok:
            raise DemoError(f"{url} answered {answer.status_code}")
        document: dict[str, Any] = answer.json()
        return document


def _after(answer: requests.Response) -> float:
    """When to ask again: as the answer says, else in a second."""
    given = answer.headers.get("Retry-After", "1")
    return time.monotonic() + (int(given) if given.isdecimal() else 1)


def _table(cases: list[_Case]) -> str:
    rows = [("type", "client id", "status", "vault secret", "proof")]
    rows += [(case.name, case.client_id, case.status, case.vault_name, case.proof) for case in cases]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def main(_: argparse.Namespace) -> int:
    """Runs the demo; 0 only if every registration is active and proven, and the rotation cut nobody off."""
    stop_on_signals()
    began, rotated = time.monotonic(), False
    with tempfile.TemporaryDirectory(prefix="fhir-registrar-") as folder:
        log = Path(folder) / "host.log"
        print("Starting storage, the emulator of Azure and the Functions host ...", flush=True)
        try:
            with stack(Path(folder), log_file=log, app_settings=_APP_SETTINGS) as running:
                os.environ.update(running.settings)
                print(f"The API is {running.api}. Submitting one example of each type ...", flush=True)
                demo = _Demo(running)
                cases = demo.register()
                print(f"\n{_table(cases)}\n", flush=True)
                if all(case.status == "active" for case in cases):
                    print("Rotating the secret of the service client ...", flush=True)
                    demo.rotate(cases[-1])
                    print("\nCallers who sign in, on a host that asks for it ...", flush=True)
                    with demo_callers.signed_in(running, Path(folder)) as callers:
                        server = demo_callers.show(callers)
                        print("\nA client of that server, which its owner agrees to ...", flush=True)
                        demo_grants.show(callers, demo.clients, server)
                    rotated = True
        except KeyboardInterrupt:
            print("\nStopped; nothing is left running.")
            return 130
        except (*_FAILURES, RuntimeError, requests.RequestException, AzureError, jwt.PyJWTError) as error:
            print(f"The demo failed: {error}", file=sys.stderr)
        if rotated:
            print(
                f"\nAll {len(_TYPES)} are active and proven, and a secret was replaced without an outage, "
                f"in {time.monotonic() - began:.0f} s; nothing is left running."
            )
            return 0
        if log.exists():
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
            print("The end of the host's log:", *lines, sep="\n  ", file=sys.stderr)
        return 1
