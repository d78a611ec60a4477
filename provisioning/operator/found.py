"""An application that somebody made by hand, read as a request for a registration of it would say it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from provisioning.domain.certificates import from_base64
from provisioning.domain.client_types import ClientType
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.intake import DEFAULT_SCOPE
from provisioning.domain.manifest import SIGN_IN_AUDIENCE
from provisioning.domain.openid import GRAPH_CLIENT_ID, OPENID_SCOPES
from provisioning.domain.recovered import Manifest, resources_of
from provisioning.domain.values import dataclass


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A secret that the application has: what somebody called it, and when it ends."""

    key_id: str
    label: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """What of an application matters to its adoption; `faults` say why it cannot be adopted as it is."""

    manifest: Manifest
    object_id: str
    client_id: str
    display_name: str
    client_type: ClientType | None
    tags: tuple[str, ...]
    notes: str
    unique_name: str | None
    secrets: tuple[FoundSecret, ...]
    certificates: int
    redirect_uris: tuple[str, ...]
    resources: tuple[str, ...]
    faults: tuple[str, ...]


def found_in(manifest: Manifest) -> Found:
    """Return what an application is, as far as it can be adopted."""
    web, spa, native = (manifest.get(name) or {} for name in ("web", "spa", "publicClient"))
    uris = [tuple(each.get("redirectUris") or ()) for each in (web, spa, native)]
    return Found(
        manifest=manifest,
        object_id=str(manifest["id"]),
        client_id=str(manifest["appId"]),
        display_name=str(manifest.get("displayName") or ""),
        client_type=_type(manifest, *uris),
        tags=tuple(manifest.get("tags") or ()),
        notes=str(manifest.get("notes") or ""),
        unique_name=manifest.get("uniqueName"),
        secrets=tuple(_secret(each) for each in manifest.get("passwordCredentials") or ()),
        certificates=len(manifest.get("keyCredentials") or ()),
        redirect_uris=tuple(uri for each in uris for uri in each),
        resources=tuple(resources_of(manifest)),
        faults=tuple(_faults(manifest, uris)),
    )


def _secret(item: Mapping[str, Any]) -> FoundSecret:
    end = item.get("endDateTime")
    return FoundSecret(
        str(item["keyId"]), str(item.get("displayName") or ""), datetime.fromisoformat(str(end)) if end else None
    )


def _exposes(manifest: Manifest) -> bool:
    """Whether it is an API that others ask for: by ids that this service did not choose."""
    api = manifest.get("api") or {}
    return bool(manifest.get("appRoles") or api.get("oauth2PermissionScopes"))


def _type(manifest: Manifest, web: tuple[str, ...], spa: tuple[str, ...], native: tuple[str, ...]) -> ClientType | None:
    """Return what it looks like; None where it looks like several things, or like an API."""
    if _exposes(manifest) or sum(map(bool, (web, spa, native))) > 1:
        return None
    if web:
        return ClientType.CONFIDENTIAL
    return ClientType.PUBLIC if spa or native else ClientType.SERVICE


def _faults(manifest: Manifest, uris: list[tuple[str, ...]]) -> list[str]:
    found = []
    implicit = (manifest.get("web") or {}).get("implicitGrantSettings") or {}
    if manifest.get("signInAudience") != SIGN_IN_AUDIENCE:
        found.append("It is for accounts of other tenants too: set its signInAudience to AzureADMyOrg first.")
    if _exposes(manifest):
        found.append(
            "It exposes scopes or app roles whose ids this service did not choose, and which clients know: register "
            "the FHIR server anew in its place."
        )
    if sum(map(bool, uris)) > 1:
        found.append("It has redirect URIs of several platforms: keep those of one, and make another one of the rest.")
    if any(implicit.values()):
        found.append("The implicit grant is on, which shows tokens in URLs: turn it off first.")
    if manifest.get("isFallbackPublicClient"):
        found.append("The device code flow is on (isFallbackPublicClient): turn it off first.")
    return found


def body_of(  # noqa: PLR0913 -- what only a person knows
    found: Found,
    *,
    owner: str,
    contact: str,
    client_type: ClientType | None,
    resource: tuple[str | None, str | None],
    names: Mapping[str, str],
) -> dict[str, Any]:
    """Return the request that would lead to the application as it is.

    `resource` is the client id and the name of the resource, and `names` are those of its permissions by their ids.
    Raises RequestRejected where a person has to say what it is.
    """
    kind, (client_id, name) = client_type or found.client_type, resource
    if kind is None or kind is ClientType.RESOURCE:
        raise _unclear("type", "It cannot be told whether this is a confidential, public or service client: --type.")
    if name is None:
        raise _unclear("resource", "It asks for no resource, so that nobody knows which one it is for: --resource.")
    kinds = _asked(found, client_id, names)
    body: dict[str, Any] = {
        "clientType": kind.value,
        "displayName": found.display_name,
        "owner": owner,
        "contact": contact,
        "resource": name,
        "description": found.manifest.get("description"),
        "serviceManagementReference": found.manifest.get("serviceManagementReference"),
    }
    match kind:
        case ClientType.SERVICE:
            body |= {"appRoles": kinds["Role"], "credential": _credential(found)}
        case ClientType.CONFIDENTIAL:
            web = found.manifest.get("web") or {}
            body |= {"redirectUris": list(found.redirect_uris), "logoutUrl": web.get("logoutUrl")}
            body["scopes"] = _scopes(kinds["Scope"])
        case ClientType.PUBLIC:
            platform = "spa" if (found.manifest.get("spa") or {}).get("redirectUris") else "native"
            body |= {"platform": platform, "redirectUris": list(found.redirect_uris)}
            body["scopes"] = _scopes(kinds["Scope"])
    return {each: value for each, value in body.items() if value is not None}


def _asked(found: Found, client_id: str | None, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the scopes and of the app roles that it asks of its resource, and of Graph."""
    openid = {identity: name for name, identity in OPENID_SCOPES.items()}
    asked: dict[str, list[str]] = {"Scope": [], "Role": []}
    for entry in found.manifest.get("requiredResourceAccess") or ():
        known = {client_id: names, GRAPH_CLIENT_ID: openid}.get(entry["resourceAppId"], {})
        for access in entry.get("resourceAccess") or ():
            if access["id"] in known:
                asked[access["type"]].append(known[access["id"]])
    return asked


def _scopes(names: list[str]) -> list[str] | None:
    return None if names in ([], [DEFAULT_SCOPE]) else names


def _credential(found: Found) -> dict[str, Any] | None:
    """Return how the client is to prove itself: by the certificate that lasts longest; None for by a secret."""
    keys = [each for each in found.manifest.get("keyCredentials") or () if each.get("key")]
    if found.secrets or not keys:
        return None
    longest = max(keys, key=lambda each: str(each.get("endDateTime")))
    return {"type": "certificate", "certificate": from_base64(longest["key"])}


def _unclear(name: str, rule: str) -> RequestRejected:
    return RequestRejected(400, "adoption-unclear", "A person has to say it.", [Fault(f"--{name}", "required", rule)])
