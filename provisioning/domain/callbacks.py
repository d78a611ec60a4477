"""Callbacks: where a registration has its own notices sent, by its own wish, and only to hosts that the operator names.

How they are signed is `adapters/callbacks.py`. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from provisioning.domain.errors import Fault
from provisioning.domain.hosts import FORBIDDEN, HOST_RULE, is_host, is_public, length, split

LONGEST_CALLBACK_URL: Final = 1024


def callback_url_faults(url: str) -> Iterator[Fault]:
    """Yield what is wrong with the URL of a callback: https on its own port, a public host, no user and no fragment."""
    if length(url) > LONGEST_CALLBACK_URL:
        yield Fault("", "uri-too-long", f"A callback URL has at most {LONGEST_CALLBACK_URL} characters. Shorten it.")
        return
    if FORBIDDEN.search(url):
        yield Fault("", "uri-character", "A character has to be percent-encoded, as RFC 3986 has it. Encode it.")
        return
    parts = split(url)
    if parts is None or parts.port is not None:
        yield Fault("", "uri-host", "Write https://host/path: the host as a dotted name, and no port.")
    elif parts.scheme != "https":
        yield Fault("", "uri-not-https", "Callbacks go by https only. Begin it with https://.")
    elif "@" in parts.netloc:
        yield Fault("", "uri-credentials", "A URL with a user name or a password is refused. Take it out.")
    elif parts.fragment or url.endswith("#"):
        yield Fault("", "uri-fragment", "A fragment is never sent. Take out # and what follows.")
    elif not is_host(host := parts.hostname or ""):
        yield Fault("", "uri-host", HOST_RULE)
    elif not is_public(host):
        yield Fault("", "uri-not-public", "Callbacks go to the internet only. Use a host that everybody reaches.")


def host_is_named(url: str, hosts: Iterable[str]) -> bool:
    """Whether the operator names its host: itself, or by `*.` and a domain that it is below."""
    host = urlsplit(url).hostname or ""
    return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in hosts)
