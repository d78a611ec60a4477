"""Callers as the platform in front names them: App Service Authentication, its configuration and its header.

What they are is the emulated tenant's (`dev/emulator/sts/accounts.py`), and what the platform makes of it the local
host's (`dev/host/platform.py`), so that tests in process and over HTTP meet the same.
"""

import json
from collections.abc import Mapping
from typing import Any

from dev.emulator import Emulator
from dev.emulator.constants import API_CLIENT_ID, TENANT_ID
from dev.emulator.sts import signing
from dev.emulator.sts.accounts import ACCOUNTS, OTHER_TEAM, TEAM, Account
from dev.host.platform import configuration, principal
from provisioning.domain.callers import Caller, CallerKind, Role

__all__ = ["OTHER_TEAM", "TEAM"]


def caller_called(name: str) -> Caller:
    """Return one of the tenant's callers, as the service is to see it."""
    account = ACCOUNTS[name]
    return Caller(
        account.object_id,
        CallerKind.USER if account.client_id is None else CallerKind.APPLICATION,
        frozenset(map(Role, account.roles)),
        frozenset(account.groups),
        account.name if account.client_id is None else "",
    )


ALICE, MALLORY, BOT = map(caller_called, ("alice", "mallory", "bot"))
CONFIGURATION = configuration(f"https://login.microsoftonline.com/{TENANT_ID}/v2.0", API_CLIENT_ID, [API_CLIENT_ID])
ENTRA = {
    "CALLER_AUTH": "entra",
    "WEBSITE_AUTH_ENABLED": "True",
    "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(CONFIGURATION),
}


def claims_of(caller: Caller, **changes: Any) -> dict[str, Any]:
    """Return what Entra says of the caller in a token for the API."""
    client_id = API_CLIENT_ID if caller.kind is CallerKind.APPLICATION else None
    account = Account(
        caller.name, caller.object_id, tuple(sorted(caller.roles)), tuple(sorted(caller.groups)), client_id
    )
    return {name: value for name, value in (account.claims(TENANT_ID) | changes).items() if value is not None}


def principal_of(claims: Mapping[str, Any]) -> str:
    """Return the header by which the platform passes the claims on, its token store off."""
    return principal(claims, "short")


def token_of(emulator: Emulator, claims: Mapping[str, Any], **changes: Any) -> str:
    """Return a token of the emulated tenant for the API with these claims."""
    content = {"aud": API_CLIENT_ID, "iss": f"{emulator.origin}/{TENANT_ID}/v2.0", **claims, **changes}
    return signing.issue(content, emulator.now())


def headers_of(caller: Caller, emulator: Emulator | None = None) -> dict[str, str]:
    """Return the headers of a call of this caller: with its token, where there is an emulator to issue one."""
    claims = claims_of(caller)
    headers = {"x-ms-client-principal": principal_of(claims)}
    if emulator is not None:
        headers["authorization"] = f"Bearer {token_of(emulator, claims)}"
    return headers
