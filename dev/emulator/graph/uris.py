"""Entra's rules for redirect URIs and identifier URIs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from dev.emulator.errors import GraphError, Json, bad_request
from dev.emulator.shapes import is_guid, utf16_length

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_REDIRECT_URI = 256
LONGEST_IDENTIFIER_URI = 255
MOST_REDIRECT_URIS = 256
MOST_FOR_PERSONAL = 100
LOOPBACK = frozenset({"localhost", "127.0.0.1"})
WEB_SCHEMES = frozenset({"https", "http", "ms-appx-web"})
SPA_SCHEMES = frozenset({"https", "http", "brk-multihub"})
PLATFORMS: dict[str, frozenset[str] | None] = {"web": WEB_SCHEMES, "spa": SPA_SCHEMES, "publicClient": None}

# Section "Restrictions" of the page on redirect URIs, and what RFC 3986 does not allow in any URI.
_UNSUPPORTED = re.compile(r"""[!$'(),;\s\\<>"{}|^`\x00-\x1f\x7f]""")
_NOT_IN_URIS = re.compile(r"""[\s\\<>"{}|^`\x00-\x1f\x7f]""")


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def redirect_uri(uri: str, platform: str) -> str:
    """One redirect URI as Entra stores it: a URI without a path gets the path `/`."""
    parts = _split(uri)
    why = _fault_of_text(uri) or (_fault_of_parts(parts, PLATFORMS[platform]) if parts else "it must be a URI")
    if why:
        message = f"The redirect URI '{uri}' of '{platform}' is not valid: {why}."
        raise bad_request(message, code="InvalidRedirectUri", detail="InvalidValue", target=f"{platform}/redirectUris")
    assert parts is not None
    return parts._replace(path="/").geturl() if parts.scheme in {"http", "https"} and not parts.path else uri


def _fault_of_text(uri: str) -> str:
    if not 1 <= utf16_length(uri) <= LONGEST_REDIRECT_URI:
        return "it must have 1 to 256 characters"
    if _UNSUPPORTED.search(uri):
        return "it has a character that is not supported"
    return "wildcards and fragments are not supported" if "*" in uri or "#" in uri else ""


def _fault_of_parts(parts: SplitResult, schemes: frozenset[str] | None) -> str:
    if not parts.scheme or not (parts.netloc or parts.path):
        return "it must be an absolute URI"
    if schemes is not None and parts.scheme not in schemes:
        return f"the scheme must be one of {', '.join(sorted(schemes))}"
    return _fault_of_host(parts) if parts.scheme in {"http", "https"} else ""


def _fault_of_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host or "@" in parts.netloc:
        return "it must have a host and no user information"
    if "[" in parts.netloc or "]" in parts.netloc:
        return "IPv6 addresses are not supported"
    return "http is only for localhost" if parts.scheme == "http" and host not in LOOPBACK else ""


def redirect_uris(body: Json, *, personal: bool) -> None:
    """All redirect URIs of an application, in place: each valid, none twice, not too many across the platforms."""
    everything: list[str] = []
    for platform in PLATFORMS:
        if "redirectUris" in body[platform]:
            stored = [redirect_uri(uri, platform) for uri in body[platform]["redirectUris"]]
            body[platform]["redirectUris"] = stored
            everything += stored
    most = MOST_FOR_PERSONAL if personal else MOST_REDIRECT_URIS
    if len(everything) > most:
        raise bad_request(f"The application has more than {most} redirect URIs.", detail="TooManyValues")
    if personal and any("?" in uri for uri in everything):
        raise bad_request("Redirect URIs with a query are for work and school accounts only.", detail="InvalidValue")
    if len(set(everything)) != len(everything):
        raise bad_request("Request contains a property with duplicate values. Property: redirectUris.")


@dataclass(frozen=True)
class UriPolicy:
    """What the tenant lets an application take as its identifier URI."""

    tenant_id: str
    verified_domains: frozenset[str]
    only_default_uris: bool  # the opt-in restriction `nonDefaultUriAddition`


def is_verified(uri: str, domains: Iterable[str]) -> bool:
    """Whether it is an https URI on a verified domain of the tenant."""
    parts = _split(uri)
    return parts is not None and parts.scheme == "https" and _on_verified_domain(parts.hostname or "", domains)


def _on_verified_domain(host: str, domains: Iterable[str]) -> bool:
    return any(host == domain or host.endswith("." + domain) for domain in domains)


def identifier_uri(uri: str, app_id: str | None, token_version: int, policy: UriPolicy) -> None:
    """Refuse an added identifier URI that one of the three generations of rules forbids.

    `token_version` is the one stored before the write: whether a version in the same write already counts is not
    settled. For the same reason the check of the host applies to applications with tokens of version 2, too.
    """

    def refuse(why: str) -> GraphError:
        message = f"Invalid value specified for property 'identifierUris' of resource 'Application': {why}."
        return bad_request(message, detail="InvalidValue", target="identifierUris")

    if not 1 <= utf16_length(uri) <= LONGEST_IDENTIFIER_URI:
        raise refuse("it must have 1 to 255 characters")
    if uri.endswith("/") or "*" in uri or "#" in uri or _NOT_IN_URIS.search(uri):
        raise refuse("it must not end in a slash and not have wildcards, fragments or unsafe characters")
    parts = _split(uri)
    if parts is None or not parts.scheme or not (parts.netloc or parts.path):
        raise refuse("it must be an absolute URI")
    if parts.scheme in {"http", "https"}:
        if not _on_verified_domain(parts.hostname or "", policy.verified_domains):
            raise bad_request(
                "Values of identifierUris property must use a verified domain of the organization or its subdomain: "
                f"'{uri}'",
                code="HostNameNotOnVerifiedDomain",
                detail="HostNameNotOnVerifiedDomain",
                target="identifierUris",
            )
    elif parts.scheme == "api" and is_guid(parts.netloc) and parts.netloc.lower() not in {policy.tenant_id, app_id}:
        raise refuse("a GUID after api:// must be the tenant's or the application's id")
    if token_version == 1:
        _secure_pattern(uri, parts, app_id, policy)


def _secure_pattern(uri: str, parts: SplitResult, app_id: str | None, policy: UriPolicy) -> None:
    """What applications with tokens of version 1 must keep to."""
    host, path = parts.netloc.lower(), parts.path.strip("/")
    default = parts.scheme == "api" and (
        (host == app_id and not path) or (host == policy.tenant_id and path.lower() == app_id)
    )
    if policy.only_default_uris and not default:
        raise bad_request(
            f"The newly added URI {uri} must comply with the format 'api://{{appId}}' or 'api://{{tenantId}}/{{appId}}'"
            " as per the default app management policy of your organization.",
            code="InvalidNonDefaultUriAsPerAppPolicy",
            target="identifierUris",
        )
    secure = (
        default
        or parts.scheme == "https"
        or (parts.scheme == "api" and ((host == policy.tenant_id and path) or (host and path.lower() == app_id)))
    )
    if not secure:
        raise bad_request(
            f"Failed to add identifier URI {uri}. All newly added URIs must contain a tenant verified domain, "
            "tenant ID, or app ID, as per the default tenant policy of your organization.",
            code="InvalidUniqueTenantIdentifierAsPerAppPolicy",
            target="identifierUris",
        )
