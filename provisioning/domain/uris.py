"""What may stand in a redirect URI, a log-out URL, a token issuer, a FHIR server's URL, and what follows from the last.

Sources: Microsoft Entra "Redirect URI restrictions and limitations" (reply-url), "Restrictions on identifier URIs",
"Identifier URI patterns"; RFC 6749 section 3.1.2 (fragments); RFC 8252 section 7 (native applications).
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from provisioning.domain.errors import Fault

Platform = Literal["web", "spa", "native"]
_MakeFault = Callable[[str, str], Fault]

LONGEST_REDIRECT_URI: Final = 256
LONGEST_LOGOUT_URL: Final = 255
LONGEST_IDENTIFIER_URI: Final = 255
LONGEST_ISSUER: Final = 600
MOST_REDIRECT_URIS: Final = 256
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1"})

# Schemes that a browser or a desktop would run or open instead of handing the answer to an application.
_UNSAFE_SCHEMES: Final = frozenset(
    {"about", "blob", "data", "file", "filesystem", "javascript", "vbscript", "view-source"}
)
# Entra refuses ! $ ' ( ) , ; in redirect URIs; the rest is what RFC 3986 does not allow unescaped.
_FORBIDDEN: Final = re.compile(r"[!$'(),;\"<>\\^`{|}\s\x00-\x20\x7f]|[^\x00-\x7f]|%(?![0-9A-Fa-f]{2})")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HOST_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_SERVER_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_MANAGED_FHIR_HOST: Final = re.compile(
    r"(?:[a-z0-9][a-z0-9-]*\.fhir|[a-z0-9][a-z0-9-]*)\.azurehealthcareapis\.(?:com|us)"
)
_MANAGED_FHIR_SERVICE: Final = re.compile(r"(?P<workspace>[a-z0-9]+)-(?P<service>[a-z0-9-]+)\.fhir\.")


def length(text: str) -> int:
    """Return the length as Entra counts it: in UTF-16 code units, so that an emoji counts two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def redirect_uri_faults(uri: str, platform: Platform, pointer: str = "") -> Iterator[Fault]:
    """Yield what is wrong with one redirect URI of a platform; nothing when Entra and we would take it."""

    def fault(code: str, message: str) -> Fault:
        return Fault(pointer, code, message)

    if length(uri) > LONGEST_REDIRECT_URI:
        yield fault("uri-too-long", "A URI may have at most 256 characters. Shorten its path or move data to `state`.")
    if not _SCHEME.match(uri):
        yield fault("uri-not-absolute", "A URI must be absolute: begin with its scheme, such as https://.")
        return
    if "*" in uri:
        yield fault(
            "uri-wildcard", "A wildcard lets anyone who owns a matching host take codes. Name each URI in full."
        )
    if "#" in uri:
        yield fault(
            "uri-fragment", "A redirect URI has no fragment (RFC 6749, section 3.1.2). Remove # and what follows."
        )
    if _FORBIDDEN.search(uri):
        yield fault(
            "uri-character",
            "Entra refuses ! $ ' ( ) , ; and RFC 3986 spaces, quotes and non-ASCII characters. Percent-encode them, "
            "and write an international host in its xn-- form.",
        )
        return
    yield from _authority_faults(uri, platform, fault)


def _authority_faults(uri: str, platform: Platform, fault: _MakeFault) -> Iterator[Fault]:
    parts = _split(uri)
    if parts is None:
        yield fault("uri-host", "The host or port is not valid. Write https://host/path, the port between 1 and 65535.")
        return
    if "@" in parts.netloc:
        yield fault("uri-credentials", "A URI must not hold a user name or password. Remove everything up to the @.")
    scheme, host = parts.scheme, parts.hostname or ""
    if scheme not in ("https", "http"):
        yield from _other_scheme_faults(parts, platform, fault)
        return
    if not uri[len(scheme) + 1 :].startswith("//"):
        yield fault("uri-host", "The host is missing. Write https://host/path.")
    elif "[" in parts.netloc or "]" in parts.netloc:
        yield fault("uri-ipv6", "Entra does not support [::1] or any IPv6 host. Use http://127.0.0.1, or a host name.")
    elif scheme == "http" and host not in LOOPBACK_HOSTS:
        yield fault("uri-not-https", "Use https; plain http is for http://localhost and http://127.0.0.1 only.")
    elif not _is_host(host.replace("*", "x")):
        yield fault("uri-host", "The host is missing or not valid. Write https://host/path.")


def _other_scheme_faults(parts: SplitResult, platform: Platform, fault: _MakeFault) -> Iterator[Fault]:
    if platform != "native":
        yield fault("uri-scheme", "Use https, or http on localhost; other schemes are for the native platform.")
    elif parts.scheme in _UNSAFE_SCHEMES:
        yield fault(
            "uri-unsafe-scheme", "A browser would run or open this scheme. Use a scheme that your app alone owns."
        )
    elif not (parts.netloc or parts.path.strip("/")):
        yield fault("uri-host", "Something must follow the scheme, such as com.example.app://auth.")


def logout_url_faults(url: str, pointer: str = "") -> Iterator[Fault]:
    """Yield what is wrong with a front-channel log-out URL: all that is with a redirect URI, and anything but https."""
    faults = list(redirect_uri_faults(url, "web", pointer))
    yield from faults
    if not faults and not url.lower().startswith("https:"):
        yield Fault(pointer, "uri-not-https", "Entra calls a log-out URL by https only. Begin it with https://.")
    if length(url) == LONGEST_LOGOUT_URL + 1:
        yield Fault(pointer, "uri-too-long", "A log-out URL may have at most 255 characters. Shorten its path.")


def redirect_uri_list_faults(uris: Sequence[str], pointer: str = "") -> Iterator[Fault]:
    """Yield what is wrong with a list of redirect URIs taken together: its count, and pairs that Entra cannot tell."""
    if not uris:
        yield Fault(pointer, "too-few-items", "At least one redirect URI is required: where the answer is to be sent.")
    if len(uris) > MOST_REDIRECT_URIS:
        yield Fault(
            pointer, "too-many-items", "An application may have at most 256 redirect URIs. Split the registration."
        )
    seen: set[str] = set()
    portless: set[str] = set()
    for index, uri in enumerate(map(normalise_redirect_uri, uris)):
        place = f"{pointer}/{index}"
        if uri in seen:
            yield Fault(place, "uri-duplicate", "The same redirect URI stands earlier in the list. Remove one of them.")
        elif (without_port := _loopback_without_port(uri)) and without_port in portless:
            yield Fault(
                place,
                "uri-differs-by-port",
                "Entra ignores the port of a loopback URI, so two that differ by it cannot be told apart. Keep one.",
            )
        elif without_port:
            portless.add(without_port)
        seen.add(uri)


def normalise_redirect_uri(uri: str) -> str:
    """Return the URI as Entra gives it back: scheme and host in lower case, and `/` where an http URI has no path."""
    parts = _split(uri)
    if parts is None or parts.scheme not in ("http", "https"):
        return uri
    return parts._replace(netloc=parts.netloc.lower(), path=parts.path or "/").geturl()


def server_url_faults(url: str, pointer: str = "") -> Iterator[Fault]:
    """Yield what is wrong with the URL of a FHIR server."""

    def fault(code: str, message: str) -> Fault:
        return Fault(pointer, code, message)

    if "*" in url:
        yield fault("uri-wildcard", "An identifier URI has no wildcard. Give the URL of one server.")
    if "#" in url or "?" in url:
        yield fault("uri-query", "The URL of a server has no query and no fragment. End it with its base path.")
    if _FORBIDDEN.search(url):
        yield fault("uri-character", "Use letters, digits and . _ ~ - / only; write an international host as xn--.")
        return
    parts = _split(url)
    if parts is None or not (parts.hostname and _is_host(parts.hostname.replace("*", "x"))):
        yield fault("uri-host", "The host is missing or not valid. Write https://host/path.")
        return
    yield from _server_parts_faults(parts, fault)
    # The longest form that can follow from it: api://{tenant id}/ in place of https://.
    if length(url) + len("api://") + 37 - len("https://") > LONGEST_IDENTIFIER_URI:
        yield fault("uri-too-long", "The identifier URI made of it would pass 255 characters. Shorten the path.")


def _server_parts_faults(parts: SplitResult, fault: _MakeFault) -> Iterator[Fault]:
    if "[" in parts.netloc:
        yield fault("uri-ipv6", "An identifier URI has a host name, not an IPv6 address. Give the server a name.")
    if parts.scheme != "https":
        yield fault("uri-not-https", "A FHIR server is reached, and named, by https. Begin the URL with https://.")
    if "@" in parts.netloc:
        yield fault("uri-credentials", "A URL must not hold a user name or password. Remove everything up to the @.")
    path = parts.path.rstrip("/")
    if not _SERVER_PATH.fullmatch(path.replace("*", "x")) or {".", ".."} & set(path.split("/")):
        yield fault("uri-path", "Use path segments of letters, digits and . _ ~ -; none empty, none of them . or ..")


def issuer_faults(url: str, pointer: str = "") -> Iterator[Fault]:
    """Yield what is wrong with the issuer of a federated identity credential.

    It is compared with the claim `iss` as it stands, letter by letter, so nothing of it is normalised.
    """

    def fault(code: str, message: str) -> Fault:
        return Fault(pointer, code, message)

    if length(url) > LONGEST_ISSUER:
        yield fault("uri-too-long", "An issuer may have at most 600 characters.")
    if "*" in url:
        yield fault("uri-wildcard", "Entra compares the issuer whole. Write it as it stands in the claim iss.")
    if "#" in url or "?" in url:
        yield fault("uri-query", "An issuer has no query and no fragment (OpenID Connect Discovery). Remove them.")
    if _FORBIDDEN.search(url):
        yield fault("uri-character", "Write the issuer as it stands in the claim iss, without white space or quotes.")
        return
    parts = _split(url)
    if parts is None or not (parts.hostname and _is_host(parts.hostname.replace("*", "x"))):
        yield fault("uri-host", "The host is missing or not valid. Write https://host/path, as in the claim iss.")
        return
    if parts.scheme != "https":
        yield fault("uri-not-https", "Entra fetches the issuer's keys by https only. Begin the URL with https://.")
    if "@" in parts.netloc:
        yield fault("uri-credentials", "A URL must not hold a user name or password. Remove everything up to the @.")


def normalise_server_url(url: str) -> str:
    """Return the one spelling of a server's URL: lower-case host, no default port, no trailing slash."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port not in (None, 443) else ""
    return f"https://{parts.hostname}{port}{parts.path.rstrip('/')}"


def canonical_name(reference: str, tenant_id: str) -> str:
    """Return the one name under which the registry knows a resource: its server's URL, or its client id."""
    name = reference.strip()
    if _GUID.fullmatch(name.lower()):
        return name.lower()
    scheme, _, rest = name.partition("://")
    if scheme == "api" and _GUID.fullmatch(rest.lower()):
        return rest.lower()
    if scheme == "api" and rest.lower().startswith(f"{tenant_id}/"):
        name = f"https://{rest[len(tenant_id) + 1 :]}"
    return name if any(server_url_faults(name)) else normalise_server_url(name)


def identifier_uri(server_url: str, tenant_id: str, verified_domains: Sequence[str]) -> str:
    """Return the identifier URI of a resource application with v1 access tokens, derived from its server's URL.

    It is the URL itself where the host is on a verified domain, which is all that a tenant takes since 2021, and
    `api://{tenant id}/{host}{path}` elsewhere, which the 2025 policy for v1 tokens takes. A port other than 443 always
    leads to the second form, because the documented https patterns have none.
    """
    parts = urlsplit(server_url)
    host = parts.hostname or ""
    on_verified_domain = any(host == domain or host.endswith(f".{domain}") for domain in verified_domains)
    if on_verified_domain and parts.port is None:
        return server_url
    return f"api://{tenant_id}/{server_url.removeprefix('https://')}"


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


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 or parts.netloc.endswith(":") else parts


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        return len(host) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in labels)  # noqa: PLR2004 -- RFC 1035
    return True


def _loopback_without_port(uri: str) -> str | None:
    parts = _split(uri)
    if parts is None or parts.hostname not in LOOPBACK_HOSTS:
        return None
    return parts._replace(netloc=parts.hostname).geturl()
