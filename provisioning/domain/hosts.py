"""The hosts that URLs name: dotted names and canonical addresses, since another spelling names the same host again.

Sources: RFC 1035 (labels), RFC 3986 sections 3.2.2 and 3.2.3, the URL standard of WHATWG, by which browsers read
`0x7f.1`, `2130706433` and `127.1` as one address.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

HOST_RULE: Final = (
    "The host or port is missing or not valid. Write https://host/path: the host as a dotted name such as "
    "app.contoso.com, or as four decimal numbers; the port, if any, between 1 and 65535."
)

# Entra refuses ! $ ' ( ) , ; in redirect URIs; the rest is what RFC 3986 does not allow unescaped.
FORBIDDEN: Final = re.compile(r"[!$'(),;\"<>\\^`{|}\s\x00-\x20\x7f]|[^\x00-\x7f]|%(?![0-9A-Fa-f]{2})")
_LONGEST_HOST: Final = 253
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
# A last label of digits, or of 0x and digits, is part of a number.
_LAST_LABEL: Final = re.compile(r"[a-z](?:[a-z0-9-]*[a-z])?", re.ASCII)
_CLIENT_ID: Final = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.ASCII)
_HOST_AND_PORT: Final = re.compile(r"(?:[^:\[]*(?:\[.*)?|\[[^\]]*\])(?::[1-9][0-9]{0,4})?", re.ASCII | re.DOTALL)


def length(text: str) -> int:
    """Return the length as Entra counts it: in UTF-16 code units, so that an emoji counts two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(uri: str) -> SplitResult | None:
    """Return the parts of a URI; None where its host cannot be read, or its port is none in its one spelling."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts if _HOST_AND_PORT.fullmatch(parts.netloc.rpartition("@")[2]) else None


def is_host(host: str) -> bool:
    """Whether it is a dotted name that ends in a letter, or an address in its one spelling."""
    labels = host.split(".")
    named = len(labels) > 1 and _LAST_LABEL.fullmatch(labels[-1]) is not None
    if not named:
        return _address(host) is not None
    return len(host) <= _LONGEST_HOST and all(_LABEL.fullmatch(label) for label in labels)


def is_public(host: str) -> bool:
    """Whether Entra can reach it: no address of one machine or one network, and no name of this machine."""
    address = _address(host)
    return address.is_global if address is not None else not on_domain(host, ("localhost",))


def on_domain(host: str, domains: Iterable[str]) -> bool:
    """Whether the host is one of the domains, or below one of them."""
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def names_client_id(host: str) -> bool:
    """Whether a label of the host could be the client id of an application."""
    return any(_CLIENT_ID.fullmatch(label) for label in host.split("."))


def _address(host: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(host)  # which takes four decimal numbers without leading zeros, and nothing else
    except ValueError:
        return None
