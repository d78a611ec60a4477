"""What the adapters over HTTPS share: TLS trust, pooled and single-use sessions, bearer tokens, Retry-After."""

import base64
import functools
import json
import ssl
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import certifi
import requests
from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies

from provisioning import telemetry

# Seconds to connect, and between two bytes of an answer: short beside the publish bound, so that a request that left
# in time cannot take effect long after it.
TIMEOUT: Final = (5.0, 20.0)
# A caller of the API waits for the tables, and whoever looks at a registration wants to know what a run waits for.
TABLES_TIMEOUT: Final = (2.0, 3.0)
STORAGE_SCOPE: Final = "https://storage.azure.com/.default"
PROOF_TIMEOUT: Final = (3.0, 5.0)


def _sdk_options(timeout: tuple[float, float]) -> dict[str, Any]:
    """Return the same for Azure's libraries, whose own retries are off: a repeat is decided where the clock is read."""
    return {"retry_total": 0, "connection_timeout": timeout[0], "read_timeout": timeout[1]}


SDK_OPTIONS: Final = _sdk_options(TIMEOUT)


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return one TLS context to share: loading the trusted certificates costs more than a whole request."""
    trusted = Path(ca_bundle or certifi.where())
    if trusted.is_dir():
        return ssl.create_default_context(capath=trusted)
    return ssl.create_default_context(cafile=trusted)


class _SharedTls(HTTPAdapter):
    """Has every connection use one given TLS context, where requests would load the certificates anew for each."""

    def __init__(self, context: ssl.SSLContext, pool_size: int) -> None:
        self._context = context
        super().__init__(pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- the signature of requests
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as above
        return super().proxy_manager_for(*args, **kwargs, ssl_context=self._context)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- as above
        host, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {}  # the certificates to trust are those of the context

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ANN401 -- as above
        """Leave the pool as it is: its context verifies."""


class _Session(requests.Session):
    """Asks the environment for a proxy once for each host.

    requests would read the whole environment twice for each request, and a .netrc file for another password: up to a
    third of the processor time of a request, with as many variables as an app in Azure has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 -- as requests
        """Send it, as a span. Of the address only the host is told: a path may name a secret, and a query be one."""
        if not telemetry.is_heard():
            return super().send(request, **options)
        with telemetry.span(f"{request.method} outside", telemetry.Kind.CLIENT) as made:
            made.attributes["http.request.method"] = request.method or ""
            made.attributes["server.address"] = urlsplit(request.url or "").hostname or ""
            response = super().send(request, **options)
            made.attributes["http.response.status_code"] = response.status_code
            return response

    def merge_environment_settings(self, url: Any, proxies: Any, *others: Any, **more: Any) -> Any:  # noqa: ANN401 -- the signature of requests
        parts = urlsplit(url)
        merged = {**_proxies(f"{parts.scheme}://{parts.netloc}"), **(proxies or {})}
        return super().merge_environment_settings(url, merged, *others, **more)


@functools.cache
def _proxies(origin: str) -> Mapping[str, str]:
    return get_environ_proxies(origin)


def new_session(context: ssl.SSLContext, pool_size: int) -> requests.Session:
    """Return a session that keeps up to `pool_size` connections to a host and repeats nothing by itself."""
    session = _Session()
    session.mount("https://", _SharedTls(context, pool_size))
    session.mount("http://", HTTPAdapter(pool_maxsize=pool_size, max_retries=0))
    return session


def sdk_options(session: requests.Session, timeout: tuple[float, float] = TIMEOUT) -> dict[str, Any]:
    """Return the options for a client of Azure's libraries that is to use the session."""
    options = _sdk_options(timeout)
    return {**options, "transport": RequestsTransport(session=session, session_owner=False, **options)}


class BearerToken(AuthBase):
    """Puts a token of a credential on each request; azure-identity caches and renews it."""

    def __init__(self, credential: TokenCredential, scope: str) -> None:
        self._credential = credential
        self._scope = scope

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with its Authorization header."""
        request.headers["Authorization"] = f"Bearer {self._credential.get_token(self._scope).token}"
        return request

    def claims(self) -> Mapping[str, Any]:
        """Return what the token says of this process, which got it for itself: nobody's word is taken for it.

        Raises ValueError for a token that says nothing.
        """
        body = self._credential.get_token(self._scope).token.split(".")[1:2]
        content = json.loads(base64.urlsafe_b64decode(f"{body[0]}==")) if body else None
        if not isinstance(content, dict):
            raise ValueError("no claims")  # noqa: TRY004 -- of whoever wrote the token
        return content


def next_page_token(link: str | None) -> str | None:
    """Return the $skiptoken of a link to a next page, and nothing else of it: the address is never followed.

    It is no form: a plus is a plus. Raises ValueError for a link that has none, so that no page is left out unseen.
    """
    if not link:
        return None
    for part in urlsplit(link).query.split("&"):
        name, _, value = part.partition("=")
        if unquote(name).lower() == "$skiptoken" and value:
            return unquote(value)
    raise ValueError("a link without a $skiptoken")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a Retry-After asks for: whole, fractional or as a date; None where there is none."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, min(float(value), 3600.0))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None
