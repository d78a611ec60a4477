"""The demo's second scene, callers who sign in: a team registers, another sees nothing, a bot asks, somebody agrees.

A host of its own serves the same cloud with `CALLER_AUTH=entra` and a policy in which an app role needs an approval.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests

from dev.emulator.sts.accounts import ACCOUNTS, TEAM
from dev.host import HostProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.stack import Cloud

_TIMEOUT = 30
_PATIENCE = 60.0
_SERVER = "https://clinic.contoso.example"
_POLICY = {
    "version": "demo",
    "exceptions": "Ask the platform team.",
    "rules": [
        {
            "id": "no-daemon-writes",
            "kind": "appRoles",
            "resources": {"include": ["*"]},
            "appRoles": {"include": ["*"], "exclude": ["globalWriter"]},
            "approval": "approver",
        }
    ],
}


class CallersError(Exception):
    """A caller was answered something else than it should be."""


class Callers:
    """The API, as each of the local callers sees it."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._session = requests.Session()
        self._session.trust_env = False
        self._began = time.monotonic()

    def ask(self, who: str, status: int, method: str, path: str, **sent: Any) -> dict[str, Any]:  # noqa: ANN401 - requests' own
        """Asks as that caller; raises CallersError for another status than should be."""
        headers = {"X-Dev-As": who, **sent.pop("headers", {})}
        answer = self._session.request(method, f"{self._api}{path}", headers=headers, timeout=_TIMEOUT, **sent)
        if answer.status_code != status:
            raise CallersError(f"{who}: {method} {path} answered {answer.status_code}: {answer.text[:300]}")
        content: dict[str, Any] = answer.json()
        return content

    def ended(self, who: str, registration: dict[str, Any]) -> dict[str, Any]:
        """Waits until the registration's operation has ended; raises CallersError where it is not active then."""
        end = time.monotonic() + _PATIENCE
        while registration["operation"]["status"] == "pending" and time.monotonic() < end:
            time.sleep(1)
            registration = self.ask(who, 200, "GET", f"/registrations/{registration['registrationId']}")
        if registration["status"] != "active":
            raise CallersError(f"{registration['registrationId']} is {registration['status']}")
        return registration

    def say(self, who: str, what: str) -> None:
        """Prints what somebody does, and when."""
        print(f"  {time.monotonic() - self._began:6.1f} s  {who:<12}  {what}", flush=True)


@contextmanager
def signed_in(cloud: Cloud, folder: Path) -> Iterator[Callers]:
    """Serves the cloud for callers who sign in."""
    policy = folder / "policy.json"
    policy.write_text(json.dumps(_POLICY), encoding="utf-8")
    settings = {**cloud.settings, "CALLER_AUTH": "entra", "POLICY": str(policy)}
    with HostProcess(settings, log_file=folder / "callers.log") as host:
        yield Callers(f"{host.origin}/api")


def show(callers: Callers) -> dict[str, Any]:
    """Plays the scene, prints it, and returns the server; raises CallersError where anybody may do more or less."""
    server = _register_server(callers)
    _look_as_another_team(callers, server)
    _have_a_bot_ask_and_somebody_agree(callers)
    return server


def _register_server(callers: Callers) -> dict[str, Any]:
    asked = body("resource", "Clinic", TEAM) | {"fhirServerUrl": _SERVER}
    server = callers.ended("alice", callers.ask("alice", 202, "POST", "/registrations", json=asked))
    callers.say("alice", f"registers {_SERVER} for her team: {server['status']}")
    return server


def _look_as_another_team(callers: Callers, server: dict[str, Any]) -> None:
    identity = server["registrationId"]
    told = callers.ask("mallory", 404, "GET", f"/registrations/{identity}")
    unknown = callers.ask("mallory", 404, "GET", f"/registrations/{identity[:-1]}{'0' if identity[-1] != '0' else '1'}")
    if {**told, "traceId": ""} != {**unknown, "traceId": ""}:
        raise CallersError("mallory can tell alice's registration from none")
    callers.say("mallory", "asks for it: 404, as for one that does not exist")


def _have_a_bot_ask_and_somebody_agree(callers: Callers) -> None:
    alice = ACCOUNTS["alice"].object_id
    asked = body("service", "Importer", alice) | {"resource": _SERVER, "appRoles": ["globalWriter"]}
    waits = callers.ask("bot", 202, "POST", "/registrations", json=asked, headers={"On-Behalf-Of": alice})
    identity, approval = waits["registrationId"], waits["approval"]
    callers.say("bot", f"asks for a client for alice: {waits['operation']['status']}, by rule {approval['rules'][0]}")
    decision = {"digest": approval["digest"], "reason": "The clinic imports its old records."}
    callers.ask("alice", 403, "POST", f"/registrations/{identity}/approve", json=decision)
    callers.say("alice", "cannot agree to her own request: 403")
    agreed = callers.ask("approver", 202, "POST", f"/registrations/{identity}/approve", json=decision)
    active = callers.ended("alice", agreed)
    callers.say("approver", f"agrees: {active['status']}, with a proven secret in Key Vault")
    events = callers.ask("alice", 200, "GET", f"/registrations/{identity}/events")["value"]
    told = (f"{each['what']} ({each['outcome']})" for each in events)
    callers.say("alice", f"reads who did what: {', '.join(told)}")


def body(client_type: str, name: str, owner: str) -> dict[str, Any]:
    """Returns the common fields of a request."""
    return {"clientType": client_type, "displayName": name, "owner": owner, "contact": "clinic@contoso.example"}
