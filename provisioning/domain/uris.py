"""What may stand in a redirect URI, a log-out URL and a token issuer. A FHIR server's URL is in `names.py`.

Sources: Microsoft Entra "Redirect URI restrictions and limitations" (reply-url), RFC 6749 section 3.1.2 (fragments);
RFC 8252 section 7 (native applications); the redirect URIs of MSAL for Android, iOS, macOS and the Windows broker;
nested app authentication of Office add-ins (brk-multihub).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal
from urllib.parse import SplitResult

from provisioning.domain.errors import Fault
from provisioning.domain.hosts import FORBIDDEN, HOST_RULE, is_host, is_public, length, split

Platform = Literal["web", "spa", "native"]
_MakeFault = Callable[[str, str], Fault]

LONGEST_REDIRECT_URI: Final = 256
LONGEST_LOGOUT_URL: Final = 255
LONGEST_ISSUER: Final = 600
MOST_REDIRECT_URIS: Final = 256
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1"})

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# A domain of the app's own, in reverse order: what has no dot may be anybody's, the browser's and Windows' included.
_OWN_SCHEME: Final = re.compile(r"[a-z]{2,}(?:\.[a-z0-9-]+)+", re.ASCII)
_GUID: Final = r"(?P<client_id>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
_OF_ONE_CLIENT: Final = (
    re.compile(rf"msal{_GUID}://auth", re.ASCII | re.IGNORECASE),
    re.compile(rf"ms-appx-web://microsoft\.aad\.brokerplugin/{_GUID}", re.ASCII | re.IGNORECASE),
)
_OF_ANDROID: Final = re.compile(  # a package, and the SHA-1 of its signature, by which Android knows its owner
    r"msauth://[A-Za-z]\w*(?:\.[A-Za-z]\w*)+/(?:[A-Za-z0-9+/]|%2[BbFf]){27}(?:=|%3[Dd])", re.ASCII
)
_OUT_OF_BAND: Final = "urn:ietf:wg:oauth:2.0:oob"
_HTTP: Final = re.compile(r"(?P<authority>https?://[^/?#]*)(?P<rest>.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_BROKER: Final = re.compile(r"brk-multihub://(?P<host>[A-Za-z0-9._-]+)(?::[1-9][0-9]{0,4})?", re.ASCII)


def redirect_uri_faults(
    uri: str, platform: Platform, pointer: str = "", client_id: str | None = None
) -> Iterator[Fault]:
    """Yield what is wrong with one redirect URI of a platform; nothing when Entra and we would take it.

    `client_id` is the client's own, once Entra has assigned it: some forms of native clients hold it.
    """

    def fault(code: str, message: str) -> Fault:
        return Fault(pointer, code, message)

    if length(uri) > LONGEST_REDIRECT_URI:
        yield fault("uri-too-long", "A URI may have at most 256 characters. Shorten its path or move data to `state`.")
    if not _SCHEME.match(uri):
        yield fault("uri-not-absolute", "A URI must be absolute: begin with its scheme, such as https://.")
        return
    yield from _character_faults(uri, fault)
    if FORBIDDEN.search(uri):
        return
    parts = split(uri)
    if parts is None:
        yield fault("uri-host", HOST_RULE)
        return
    if "@" in parts.netloc:
        yield fault("uri-credentials", "A URI must not hold a user name or password. Remove everything up to the @.")
    if parts.scheme in ("https", "http"):
        yield from _host_faults(uri, parts, fault)
    elif platform == "native":
        yield from _native_scheme_faults(uri, parts, client_id, fault)
    elif platform != "spa" or not _is_of_broker(uri):
        yield fault(
            "uri-scheme",
            "Use https, or http on localhost. Other schemes, urn:ietf:wg:oauth:2.0:oob and ms-appx-web among them, are "
            "for a public client of the platform native; brk-multihub://host, without a path, is for spa.",
        )


def _character_faults(uri: str, fault: _MakeFault) -> Iterator[Fault]:
    if "*" in uri:
        yield fault(
            "uri-wildcard", "A wildcard lets anyone who owns a matching host take codes. Name each URI in full."
        )
    if "#" in uri:
        yield fault(
            "uri-fragment", "A redirect URI has no fragment (RFC 6749, section 3.1.2). Remove # and what follows."
        )
    if uri.find("?") == len(uri) - 1:
        yield fault("uri-empty-query", "Not everybody keeps a ? with nothing behind it. Remove it.")
    if FORBIDDEN.search(uri):
        yield fault(
            "uri-character",
            "Entra refuses ! $ ' ( ) , ; and RFC 3986 spaces, quotes and non-ASCII characters. Percent-encode them, "
            "and write an international host in its xn-- form.",
        )


def _host_faults(uri: str, parts: SplitResult, fault: _MakeFault) -> Iterator[Fault]:
    host = parts.hostname or ""
    if not uri[len(parts.scheme) + 1 :].startswith("//"):
        yield fault("uri-host", HOST_RULE)
    elif "[" in parts.netloc:  # `urlsplit` takes none without its other half
        yield fault("uri-ipv6", "Entra does not support [::1] or any IPv6 host. Use http://127.0.0.1, or a host name.")
    elif parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        yield fault("uri-not-https", "Use https; plain http is for http://localhost and http://127.0.0.1 only.")
    elif host not in LOOPBACK_HOSTS and not is_host(host.replace("*", "x")):
        yield fault("uri-host", HOST_RULE)


def _native_scheme_faults(uri: str, parts: SplitResult, client_id: str | None, fault: _MakeFault) -> Iterator[Fault]:
    of_one_client = next(filter(None, (form.fullmatch(uri) for form in _OF_ONE_CLIENT)), None)
    if of_one_client is not None:
        if of_one_client["client_id"].lower() != client_id:
            yield fault(
                "uri-client-id",
                "This form holds the client's own client id, which Entra assigns. Register another redirect URI first, "
                "then add this one by PATCH, with the client id of this very registration.",
            )
    elif uri.lower() == _OUT_OF_BAND or _OF_ANDROID.fullmatch(uri):
        return
    elif not _OWN_SCHEME.fullmatch(parts.scheme):
        yield fault(
            "uri-unsafe-scheme",
            "A browser or another app may answer to this scheme. Use one that is a domain of yours in reverse order, "
            "such as com.example.app:/auth (RFC 8252, section 7.1), or a form of MSAL: msauth.<bundle id>://auth, "
            "msauth://<package>/<signature hash>, msal<client id>://auth, "
            "ms-appx-web://microsoft.aad.brokerplugin/<client id>.",
        )
    elif not (parts.netloc or parts.path.strip("/")):
        yield fault("uri-host", "Something must follow the scheme, such as com.example.app://auth.")


def _is_of_broker(uri: str) -> bool:
    found = _BROKER.fullmatch(uri)
    return found is not None and (found["host"].lower() in LOOPBACK_HOSTS or is_host(found["host"].lower()))


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
        return
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
    found = _HTTP.fullmatch(uri)
    if found is None:
        return uri
    rest = found["rest"]
    return found["authority"].lower() + (rest if rest.startswith("/") else f"/{rest}")


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
    if FORBIDDEN.search(url):
        yield fault("uri-character", "Write the issuer as it stands in the claim iss, without white space or quotes.")
        return
    parts = split(url)
    host = (parts.hostname or "").replace("*", "x") if parts is not None else ""
    # What is in brackets is an address, though one of a version to come, such as [v1.example], reads like a name.
    if parts is None or "[" in parts.netloc or not (is_host(host) or host == "localhost"):
        yield fault("uri-host", HOST_RULE)
        return
    if parts.scheme != "https":
        yield fault("uri-not-https", "Entra fetches the issuer's keys by https only. Begin the URL with https://.")
    if not is_public(host):
        yield fault("uri-not-public", "Entra fetches the issuer's keys from the internet. Give a host that it reaches.")
    if "@" in parts.netloc:
        yield fault("uri-credentials", "A URL must not hold a user name or password. Remove everything up to the @.")


def _loopback_without_port(uri: str) -> str | None:
    parts = split(uri)
    if parts is None or parts.hostname not in LOOPBACK_HOSTS:
        return None
    return parts._replace(netloc=parts.hostname).geturl()
