"""The demo's third scene: a client of another team's server may do there what its owner agrees to, for as long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dev.demo_callers import Callers, CallersError, body
from dev.emulator.sts.accounts import OTHER_TEAM

if TYPE_CHECKING:
    from dev.demo_client import Clients

_PATIENCE = 60.0
_ROLE = "globalReader"


def show(callers: Callers, clients: Clients, server: dict[str, Any]) -> None:
    """Plays the scene and prints it; raises CallersError where a token carries more or less than was agreed to."""
    asked = body("service", "Statistics", OTHER_TEAM) | {"resource": server["fhirServerUrl"], "appRoles": [_ROLE]}
    client = callers.ended("mallory", callers.ask("mallory", 202, "POST", "/registrations", json=asked))
    identity, at = client["registrationId"], f"/registrations/{server['registrationId']}/clients"
    callers.say("mallory", f"registers a client of it: {client['status']}, {_ROLE} {client['grants'][0]['state']}")
    _carries(callers, clients, server, client, [])
    [waits] = [each for each in callers.ask("alice", 200, "GET", at)["value"] if each["registrationId"] == identity]
    agreed = {"permissions": [each["permission"] for each in waits["grants"]]}
    callers.ask("mallory", 404, "POST", f"{at}/{identity}/approve", json=agreed)
    callers.ask("alice", 202, "POST", f"{at}/{identity}/approve", json=agreed)
    callers.say("alice", f"reads who asks for what on her server, and agrees to {_ROLE}")
    _carries(callers, clients, server, client, [_ROLE])
    callers.ask("alice", 202, "POST", f"{at}/{identity}/revoke", data=b"")
    callers.say("alice", "takes it back")
    _carries(callers, clients, server, client, [])


def _carries(
    callers: Callers, clients: Clients, server: dict[str, Any], client: dict[str, Any], roles: list[str]
) -> None:
    """Waits until a token of the client carries these roles on the server, as the server reads them."""
    end = time.monotonic() + _PATIENCE
    while True:
        claims = clients.taken_by(server, clients.token(client, client["oauth"]["scope"]))
        if claims.get("roles", []) == roles:
            break
        if time.monotonic() > end:
            raise CallersError(f"a token carries {claims.get('roles', [])}, and should carry {roles}")
        time.sleep(1)
    callers.say("server", f"takes a token of the client, which carries {', '.join(roles) or 'no role'}")
