"""A session for URLs that callers choose: it connects to public addresses by https, and to nothing else.

A name can lead anywhere, and elsewhere a moment later. So the name is resolved once for each connection, every address
that it leads to is looked at, and the connection is made to one that was: nothing is resolved again in between. The
certificate is still that of the name. A proxy would resolve by itself, and a redirect leads to another name: there is
none of either.

Sources: the registries of special addresses (RFC 6890; Python's `ipaddress` has them); RFC 4291, 3056, 4380 and 6052
for IPv4 addresses within IPv6 ones; "What is IP address 168.63.129.16?" (the platform's own address, on every machine
in Azure, which is of a public range).
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError

Resolve = Callable[[str, int], Iterable[str]]
IsPublic = Callable[[str], bool]

# Seconds: a function has ten minutes for all that it does.
LONGEST: Final = 20.0

_OF_THE_PLATFORM: Final = frozenset({"168.63.129.16"})
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Of the form ::1.2.3.4, long out of use: what is left of it are the unspecified address and the loopback.
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")


def is_public_address(address: str) -> bool:
    """Whether it is an address of the internet: of no one machine, no one network, no group, and not the platform's.

    An IPv4 address within an IPv6 one is looked at as such. What cannot be read is none.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None or parsed in _COMPATIBLE:
            return False
        within = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        within += [ipaddress.IPv4Address(parsed.packed[-4:])] if parsed in _NAT64 else []
        found = [each for each in within if each is not None]
        if found:
            return all(is_public_address(str(each)) for each in found)
    return parsed.is_global and not parsed.is_multicast and str(parsed) not in _OF_THE_PLATFORM


def addresses_of(host: str, port: int) -> Iterable[str]:
    """Return the addresses that a name leads to now; raise OSError for none."""
    return dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def public_session(
    context: ssl.SSLContext,
    resolve: Resolve = addresses_of,
    is_public: IsPublic = is_public_address,
    longest: float = LONGEST,
) -> requests.Session:
    """Return a session that reaches public addresses by https only, keeps no proxy, and repeats nothing.

    Whatever else it is asked for raises requests.RequestException, before a byte is sent. No connection lasts longer
    than `longest` seconds: one that answers a byte at a time keeps every other limit.
    """

    class Connection(HTTPSConnection):
        _end: _End | None = None

        def close(self) -> None:
            """Close it, and wait for its end no longer."""
            super().close()
            if self._end is not None:
                self._end.cancel()

        def _new_conn(self) -> socket.socket:
            """Connect to an address that was looked at; of a name that leads to any other, to none."""
            try:
                addresses = list(resolve(self.host, self.port))
            except (OSError, UnicodeError) as error:
                raise NameResolutionError(self.host, self, socket.gaierror(str(error))) from None
            if not addresses or not all(map(is_public, addresses)):
                raise NewConnectionError(self, "the name leads to an address that is not public")
            timeout = self.timeout if isinstance(self.timeout, int | float) else None
            for address in addresses:
                try:
                    connection = socket.create_connection((address, self.port), timeout)
                except OSError:
                    continue
                self._end = _End(connection, longest)
                return connection
            raise NewConnectionError(self, "no address of the name takes a connection")

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    session = _Session()
    session.trust_env = False
    session.adapters.clear()
    session.mount("https://", _Direct(context, Pool))
    return session


class _End:
    """Shuts a connection down after so many seconds, whatever it is doing then, unless it is cancelled before."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        # TLS takes the socket over and leaves this object behind without one: what it is shut down by is its own.
        self._connection = connection.dup()
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Let it be; a second time is no error."""
        self._timer.cancel()
        self._connection.close()

    def _shut_down(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class _Session(requests.Session):
    def get_redirect_target(self, _response: requests.Response) -> None:
        """Say that no answer leads elsewhere: a redirect is an answer like any other."""


class _Direct(HTTPAdapter):
    """Has its connections made by one class of pools, with one TLS context; http has no pool, and so no connection."""

    def __init__(self, context: ssl.SSLContext, pool: type[HTTPSConnectionPool]) -> None:
        self._context = context
        self._pool = pool
        super().__init__(max_retries=0)

    def init_poolmanager(self, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 -- the signature of requests
        manager = PoolManager(num_pools=10, maxsize=1, ssl_context=self._context)
        manager.pool_classes_by_scheme = {"https": self._pool}
        self.poolmanager = manager

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as above
        host, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {}  # the certificates to trust are those of the context

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ANN401 -- as above
        """Leave the pool as it is: its context verifies."""

    def proxy_manager_for(self, *_args: Any, **_kwargs: Any) -> Any:  # noqa: ANN401 -- as above
        """Refuse: a proxy would look up the name by itself."""
        raise requests.exceptions.ProxyError("a URL that a caller chose is asked for without a proxy")
