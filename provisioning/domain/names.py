"""What a resource is called, when two names are one, and which name is nobody's to claim.

A FHIR server's URL decides what its application is called in Entra, and whom clients mean that name it. Entra compares
identifier URIs without regard to case, so every lookup here goes by `canonical_name`; what is stored and sent is what
the caller wrote.

Sources: Microsoft Entra "Restrictions on identifier URIs", "Identifier URI patterns"; that identifier URIs are found
without regard to case is seen in public reports.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

from provisioning.domain.errors import Fault
from provisioning.domain.hosts import FORBIDDEN, HOST_RULE, is_host, length, names_client_id, on_domain, split
from provisioning.domain.values import dataclass

LONGEST_IDENTIFIER_URI: Final = 255
# How long the name of a deleted registration is held for its last owner: clients may mean it for longer than it lived.
HELD_FOR: Final = timedelta(days=30)
# The longest form that can follow from it has api://{tenant id}/ in place of https://.
LONGEST_SERVER_URL: Final = LONGEST_IDENTIFIER_URI - len("api://") - 37 + len("https://")

# "Azure Healthcare APIs", the first-party application of every managed FHIR service.
MANAGED_FHIR_CLIENT_ID: Final = "4f6778d8-5aef-43dc-a1ff-b073724b9495"

# With the permissions of these whoever may register could reach the whole directory, all of Azure, or every secret.
DIRECTORY_AND_AZURE_CLIENT_IDS: Final = frozenset(
    {
        "00000003-0000-0000-c000-000000000000",  # Microsoft Graph
        "00000002-0000-0000-c000-000000000000",  # Azure AD Graph, its predecessor
        "797f4846-ba00-4fd7-ba43-dac1f8f63013",  # Azure Resource Manager
        "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",  # Azure Key Vault
    }
)
_DIRECTORY_AND_AZURE_HOSTS: Final = (
    *("graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"),
    *("graph.windows.net", "graph.microsoftazure.us", "graph.chinacloudapi.cn", "ags.windows.net"),
    *("management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn"),
    *("management.core.windows.net", "management.core.usgovcloudapi.net", "management.core.chinacloudapi.cn"),
    *("vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn"),
)
_MANAGED_FHIR_DOMAINS: Final = ("azurehealthcareapis.com", "azurehealthcareapis.us", "azurehealthcareapis.cn")
_MICROSOFTS_DOMAINS: Final = (
    *("microsoft.com", "microsoft.us", "microsoftazure.us", "windows.net"),
    *("microsoftonline.com", "microsoftonline.us", "microsoftonline.cn"),
    *("azure.com", "azure.net", "azure.us", "azure.cn", "usgovcloudapi.net", "chinacloudapi.cn"),
)
_CUSTOMERS_MACHINES: Final = ".cloudapp."  # a label of the names that virtual machines of customers have there

_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
# Wider than the rules for a new one: what an older version took is still found.
_SERVER_URL: Final = re.compile(
    r"https://(?P<host>[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[a-z0-9._~-]+)*)/*", re.ASCII | re.IGNORECASE
)
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:[^\s\"<>\\^`{|}*#]*[^\s\"<>\\^`{|}*#:/]/?", re.ASCII | re.IGNORECASE)
_MANAGED_FHIR_HOST: Final = re.compile(
    r"(?:[a-z0-9][a-z0-9-]*\.fhir|[a-z0-9][a-z0-9-]*)\.azurehealthcareapis\.(?:com|us)"
)
_MANAGED_FHIR_SERVICE: Final = re.compile(r"(?P<workspace>[a-z0-9]+)-(?P<service>[a-z0-9-]+)\.fhir\.")


@dataclass(frozen=True, slots=True)
class Hold:
    """For which owner a name that is free is held, and until when."""

    owner: str
    until: datetime

    def keeps_out(self, owner: str, now: datetime) -> bool:
        """Whether this owner has to wait."""
        return owner != self.owner and now < self.until


def server_url_faults(url: str, pointer: str = "") -> Iterator[Fault]:
    """Yield what is wrong with the URL of a FHIR server."""

    def fault(code: str, message: str) -> Fault:
        return Fault(pointer, code, message)

    if "*" in url:
        yield fault("uri-wildcard", "An identifier URI has no wildcard. Give the URL of one server.")
    if "#" in url or "?" in url:
        yield fault("uri-query", "The URL of a server has no query and no fragment. End it with its base path.")
    if FORBIDDEN.search(url):
        yield fault("uri-character", "Use letters, digits and . _ ~ - / only; write an international host as xn--.")
        return
    parts = split(url)
    host = (parts.hostname or "").replace("*", "x") if parts is not None else ""
    named_by_address = parts is not None and "[" in parts.netloc
    if parts is None or not (named_by_address or names_client_id(host) or is_host(host)):
        yield fault("uri-host", HOST_RULE)
        return
    if named_by_address:
        yield fault("uri-ipv6", "An identifier URI has a host name, not an IPv6 address. Give the server a name.")
    elif names_client_id(host):
        yield fault("uri-client-id", "Part of this host could be the client id of an application. Give another name.")
    yield from _server_parts_faults(parts, fault)
    if length(url) > LONGEST_SERVER_URL:
        yield fault("uri-too-long", "The identifier URI made of it would pass 255 characters. Shorten the path.")


def _server_parts_faults(parts: SplitResult, fault: Callable[[str, str], Fault]) -> Iterator[Fault]:
    if parts.scheme != "https":
        yield fault("uri-not-https", "A FHIR server is reached, and named, by https. Begin the URL with https://.")
    if "@" in parts.netloc:
        yield fault("uri-credentials", "A URL must not hold a user name or password. Remove everything up to the @.")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path.replace("*", "x")) or {".", ".."} & set(path.split("/")):
        yield fault("uri-path", "Use path segments of letters, digits and . _ ~ -; none empty, none of them . or ..")


def normalise_server_url(url: str) -> str:
    """Return a server's URL with its host in lower case, without default port and trailing slash.

    The path stays as it was written; any other text is returned as it is.
    """
    found = _SERVER_URL.fullmatch(url)
    if found is None:
        return url
    port = f":{int(found['port'])}" if found["port"] and int(found["port"]) != 443 else ""  # noqa: PLR2004 -- of https
    return f"https://{found['host'].lower()}{port}{found['path']}"


def plain_name(reference: str, tenant_id: str) -> str:
    """Return the name of a resource as written: its server's URL, or its client id, without what Entra adds to it.

    `api://{tenant id}/…` is the server's URL, but for a client id behind it: so Entra calls that application.
    """
    name = reference.strip()
    scheme, _, rest = name.partition("://")
    if scheme.lower() == "api":
        if rest.lower().startswith(f"{tenant_id}/"):
            rest = rest[len(tenant_id) + 1 :]
            name = f"https://{rest}"
        if _GUID.fullmatch(rest):
            name = rest
    return name.lower() if _GUID.fullmatch(name) else normalise_server_url(name)


def canonical_name(reference: str, tenant_id: str) -> str:
    """Return the one name under which the registry knows a resource, equal for all that Entra compares as equal."""
    return compared(plain_name(reference, tenant_id))


def compared(name: str) -> str:
    """Return a plain name as Entra compares it: without regard to case, of ASCII letters alone, and trailing slash."""
    return name.rstrip("/").lower() if name.isascii() else name


def identifier_uri(server_url: str, tenant_id: str, verified_domains: Sequence[str]) -> str:
    """Return the identifier URI of a resource application with v1 access tokens, derived from its server's URL.

    It is the URL itself where the host is on a verified domain, which is all that a tenant takes since 2021, and
    `api://{tenant id}/{host}{path}` elsewhere, which the 2025 policy for v1 tokens takes. A port other than 443 always
    leads to the second form, because the documented https patterns have none.
    """
    parts = urlsplit(server_url)
    if on_domain(parts.hostname or "", verified_domains) and parts.port is None:
        return server_url
    return f"api://{tenant_id}/{server_url.removeprefix('https://')}"


def is_microsofts(server_url: str, verified_domains: Sequence[str]) -> bool:
    """Whether the server's URL is a name that means a service of Microsoft to whoever reads it.

    A managed FHIR service is one. On a domain that the tenant has verified the name is the tenant's own.
    """
    host = urlsplit(server_url).hostname or ""
    if on_domain(host, _MANAGED_FHIR_DOMAINS):
        return True
    ours = on_domain(host, verified_domains) or _CUSTOMERS_MACHINES in f".{host}"
    return on_domain(host, _MICROSOFTS_DOMAINS) and not ours


def opens_directory_or_azure(name: str) -> bool:
    """Whether a canonical name is that of Microsoft Graph, of Azure's own management, or of Key Vault."""
    if name in DIRECTORY_AND_AZURE_CLIENT_IDS:
        return True
    parts = split(name)
    return parts is not None and on_domain(parts.hostname or "", _DIRECTORY_AND_AZURE_HOSTS)


def can_name_resource(reference: str) -> bool:
    """Whether the text is a client id or an identifier URI: what a resource of somebody else's goes by."""
    is_uri = length(reference) <= LONGEST_IDENTIFIER_URI and _URI.fullmatch(reference) is not None
    return (is_uri and reference.isascii()) or _GUID.fullmatch(reference) is not None


def managed_fhir_url(uri: str) -> str | None:
    """Return the URL of the managed FHIR service that the URI names, in its one spelling; None for any other URI."""
    if any(server_url_faults(uri)):
        return None
    url = normalise_server_url(uri)
    return url if _MANAGED_FHIR_HOST.fullmatch(url.removeprefix("https://")) else None


def managed_fhir_service(url: str) -> tuple[str, str] | None:
    """Return workspace and name of a FHIR service of Azure Health Data Services, read from its URL's host.

    A workspace's name has letters and digits only, so the first hyphen ends it. None for an Azure API for FHIR.
    """
    match = _MANAGED_FHIR_SERVICE.match(urlsplit(url).hostname or "")
    return (match["workspace"], match["service"]) if match else None
