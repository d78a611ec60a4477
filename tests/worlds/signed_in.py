"""Callers as the platform in front names them: App Service Authentication, its configuration and its header."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from dev.emulator import Emulator
from dev.emulator.constants import TENANT_ID
from dev.emulator.sts import signing
from provisioning.domain.callers import Caller, CallerKind, Role

API = "5a5a5a5a-0000-4000-8000-00000000a91a"
TEAM, OTHER_TEAM = "7ea11111-0000-4000-8000-000000000001", "7ea22222-0000-4000-8000-000000000002"
ALICE = Caller(
    "a11ce000-0000-4000-8000-000000000001", CallerKind.USER, frozenset({Role.CREATE}), frozenset({TEAM}), "Alice"
)
MALLORY = Caller(
    "3a110000-0000-4000-8000-000000000002",
    CallerKind.USER,
    frozenset({Role.CREATE}),
    frozenset({OTHER_TEAM}),
    "Mallory",
)
CONFIGURATION = {
    "platform": {"enabled": True},
    "globalValidation": {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "Return401",
        "excludedPaths": ["/api/health", "/api/docs", "/api/openapi.json"],
    },
    "identityProviders": {
        "azureActiveDirectory": {
            "enabled": True,
            "registration": {"openIdIssuer": f"https://login.microsoftonline.com/{TENANT_ID}/v2.0", "clientId": API},
            "validation": {"defaultAuthorizationPolicy": {"allowedApplications": [API]}},
        }
    },
}
ENTRA = {
    "CALLER_AUTH": "entra",
    "WEBSITE_AUTH_ENABLED": "True",
    "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(CONFIGURATION),
}


def claims_of(caller: Caller, **changes: Any) -> dict[str, Any]:
    """Return what Entra says of the caller in a token for the API."""
    claims: dict[str, Any] = {"oid": caller.object_id, "tid": TENANT_ID, "roles": sorted(caller.roles), "ver": "2.0"}
    if caller.kind is CallerKind.USER:
        claims |= {"name": caller.name, "scp": "user_impersonation", "groups": sorted(caller.groups)}
    else:
        claims |= {"idtyp": "app", "azp": API}
    return {name: value for name, value in (claims | changes).items() if value is not None}


def principal_of(claims: Mapping[str, Any]) -> str:
    """Return the header by which the platform passes the claims on, its token store off."""
    listed = [
        {"typ": name, "val": str(value)}
        for name, values in claims.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    content = {"auth_typ": "aad", "claims": listed, "name_typ": "name", "role_typ": "roles"}
    return base64.b64encode(json.dumps(content).encode()).decode()


def token_of(emulator: Emulator, claims: Mapping[str, Any], **changes: Any) -> str:
    """Return a token of the emulated tenant for the API with these claims."""
    content = {"aud": API, "iss": f"{emulator.origin}/{TENANT_ID}/v2.0", **claims, **changes}
    return signing.issue(content, emulator.now())


def headers_of(caller: Caller, emulator: Emulator | None = None) -> dict[str, str]:
    """Return the headers of a call of this caller: with its token, where there is an emulator to issue one."""
    claims = claims_of(caller)
    headers = {"x-ms-client-principal": principal_of(claims)}
    if emulator is not None:
        headers["authorization"] = f"Bearer {token_of(emulator, claims)}"
    return headers
