"""TokenProof over msal: what a client would do with the secret, done once, as if for the first time."""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import msal
import requests
from msal.exceptions import MsalError

from provisioning.adapters.transport import TIMEOUT, retry_after
from provisioning.errors import NeedsOperator, ProvisioningError, TryAgain
from provisioning.ports import Clock, MintedSecret

# "Invalid client secret", "application not found in the directory", "service principal not found": each is also what
# one replica says that has not heard of the secret, the application or the service principal yet.
_NOT_YET: Final = frozenset({7000215, 700016, 7000229})
_DISCOVERY_KEPT_FOR: Final = timedelta(hours=1)


class TokenEndpointProof:
    """Asks for a token for Microsoft Graph, which every tenant has; it needs no permission and proves none.

    A new msal client and a new connection for each attempt: msal remembers a refusal for 60 s, and a connection
    stays with the replica that refused. The discovery document is the one thing that is kept.
    """

    def __init__(self, authority: str, scope: str, new_session: Callable[[], requests.Session], clock: Clock) -> None:
        self._authority = authority
        self._scope = scope
        self._new_session = new_session
        self._clock = clock
        self._discovery = _Discovery(clock)

    def accepts(self, client_id: str, secret: MintedSecret) -> bool:
        """As the port says. Raises NeedsOperator for a refusal that time does not heal."""
        with self._new_session() as session:
            http = _Http(session, self._discovery)
            try:
                client = msal.ConfidentialClientApplication(
                    client_id,
                    client_credential=secret.text,
                    authority=self._authority,
                    instance_discovery=False,
                    http_client=http,
                )
                answer = client.acquire_token_for_client([self._scope])
            except (requests.RequestException, MsalError, ValueError, KeyError, RuntimeError):
                # msal's own errors, and an answer that is not the JSON it should be. Their text may quote the request.
                raise self._unanswered(http) from None
        if answer and "access_token" in answer:
            return True
        if (
            http.status is None
            or http.status == HTTPStatus.TOO_MANY_REQUESTS
            or http.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            raise self._unanswered(http)
        return _judge(answer or {})

    def _unanswered(self, http: "_Http") -> ProvisioningError:
        if http.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
            return NeedsOperator(
                "authority-refused",
                "The token authority does not know the tenant.",
                remedy="Check AZURE_TENANT_ID and AZURE_AUTHORITY_HOST, then retry.",
            )
        return TryAgain(
            "token-endpoint-unavailable",
            "The token endpoint could not answer.",
            remedy="If it lasts, see the health of Entra and the app's network, then retry.",
            retry_after=retry_after(http.headers, self._clock.now()),
        )


def _judge(answer: dict[str, Any]) -> bool:
    codes = {int(code) for code in re.findall(r"AADSTS(\d{1,9})", str(answer.get("error_description", "")))}
    codes |= {code for code in answer.get("error_codes") or () if isinstance(code, int)}
    if codes & _NOT_YET or (not codes and answer.get("error") in ("invalid_client", "unauthorized_client")):
        return False
    named = ", ".join(f"AADSTS{code}" for code in sorted(codes)) or "no code"
    raise NeedsOperator(
        "secret-refused",
        f"The token endpoint refuses the application for a reason that does not pass ({named}).",
        remedy="Look the code up in Microsoft's list of AADSTS errors, mend the cause, then retry.",
    )


class _Discovery:
    """The OpenID Connect discovery document, which msal would fetch anew for each client."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Any, requests.Response]] = {}

    def get(self, url: str, fetch: Callable[[], requests.Response]) -> requests.Response:
        with self._lock:
            until, response = self._kept.get(url, (None, None))
            if response is None or until is None or self._clock.now() >= until:
                response = fetch()
                if response.ok:
                    self._kept[url] = (self._clock.now() + _DISCOVERY_KEPT_FOR, response)
            return response


class _Http:
    """The http client that msal asks for: discovery from memory, everything else over this attempt's connection."""

    def __init__(self, session: requests.Session, discovery: _Discovery) -> None:
        self._session = session
        self._discovery = discovery
        self.status: int | None = None
        self.headers: dict[str, str] = {}

    def get(self, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401 -- msal's protocol
        return self._discovery.get(url, lambda: self._noted(self._session.get(url, timeout=TIMEOUT, **kwargs)))

    def post(self, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401 -- msal's protocol
        return self._noted(self._session.post(url, timeout=TIMEOUT, allow_redirects=False, **kwargs))

    def close(self) -> None:
        """Leave the session to the attempt that owns it."""

    def _noted(self, response: requests.Response) -> requests.Response:
        self.status, self.headers = response.status_code, dict(response.headers)
        return response
