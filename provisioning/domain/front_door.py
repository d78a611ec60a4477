"""Whether the platform in front of this app vouches for the callers that it names: App Service Authentication.

Its headers are unsigned, so they are worth what its configuration is worth; `WEBSITE_AUTH_ENABLED` and
`WEBSITE_AUTH_V2_CONFIG_JSON` are how an app can read it (app settings reference). An early Flex Consumption plan let
anonymous callers through although authentication was on, and a bad token is an anonymous call under AllowAnonymous.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from provisioning.domain.values import dataclass

# What may be reached without signing in: its handlers never read a principal.
# The page's files have a folder of their own: the platform knows wildcards at the end alone (azure-docs #86514).
# A chat signs what it sends, and has no token of the tenant; without a chat there is nothing at its path.
OPEN_PATHS: Final = frozenset(
    {"/api/health", "/api/docs", "/api/openapi.json", "/api/page/*", "/api/chat/slack", "/api/chat/teams"}
)


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """What the platform in front is set to: `faults` name each setting that is wrong, and how it should be.

    `audiences` are those that a token for this API may have.
    """

    faults: tuple[str, ...]
    audiences: frozenset[str] = frozenset()

    @property
    def vouches(self) -> bool:
        """Whether the principals that it writes can be believed."""
        return not self.faults


def front_door(enabled: str, configuration: str, legacy_claims: str, tenant_id: str) -> FrontDoor:
    """Return what the platform's own settings say of it; nothing of them is repeated in a fault."""
    if enabled.strip().lower() != "true":
        return FrontDoor(("WEBSITE_AUTH_ENABLED: App Service Authentication is off; turn it on",))
    try:
        content = json.loads(configuration)
        content = content.get("properties", content)
        faults = tuple(_faults(content, tenant_id))
        entra = _part(content, "identityProviders", "azureActiveDirectory")
        client_id = str(_part(entra, "registration").get("clientId") or "")
        audiences = {client_id, *(_part(entra, "validation").get("allowedAudiences") or ())}
    except (ValueError, AttributeError, TypeError):
        return FrontDoor(("WEBSITE_AUTH_V2_CONFIG_JSON: the configuration of authentication cannot be read",))
    if legacy_claims.strip().lower() in ("true", "1"):
        faults += ("WEBSITE_AUTH_USE_LEGACY_CLAIMS: renames claims in a way that this app does not read; remove it",)
    return FrontDoor(faults, frozenset(str(each) for each in audiences if each))


def _part(content: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for step in path:
        content = content.get(step) or {}
    return content


def _faults(content: Mapping[str, Any], tenant_id: str) -> Iterator[str]:
    name = "WEBSITE_AUTH_V2_CONFIG_JSON"
    validation = _part(content, "globalValidation")
    if _part(content, "platform").get("enabled") is not True:
        yield f"{name}: platform.enabled must be true"
    if validation.get("requireAuthentication") is not True:
        yield f"{name}: globalValidation.requireAuthentication must be true"
    if validation.get("unauthenticatedClientAction") == "AllowAnonymous":
        yield f"{name}: globalValidation.unauthenticatedClientAction must be Return401, not AllowAnonymous"
    excluded = {str(each).rstrip("/").lower() for each in validation.get("excludedPaths") or ()}
    if excluded - OPEN_PATHS:
        yield f"{name}: globalValidation.excludedPaths may hold only {', '.join(sorted(OPEN_PATHS))}"
    entra = _part(content, "identityProviders", "azureActiveDirectory")
    registration = _part(entra, "registration")
    if entra.get("enabled") is False or not registration.get("clientId"):
        yield f"{name}: identityProviders.azureActiveDirectory must be on, with the client id of this API"
    if tenant_id.lower() not in str(registration.get("openIdIssuer") or "").lower():
        yield f"{name}: registration.openIdIssuer must be that of the tenant in AZURE_TENANT_ID"
    if "validation" in entra and not _part(entra, "validation", "defaultAuthorizationPolicy").get(
        "allowedApplications"
    ):
        # Stored as an empty allow-list it refuses valid tokens and lets bad ones through as anonymous calls.
        yield (
            f"{name}: validation.defaultAuthorizationPolicy.allowedApplications is empty; "
            "list the client ids that may call, this API's own included"
        )
