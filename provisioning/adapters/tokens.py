"""TokenProof over msal: what a client would do with the secret, done once, as if for the first time."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import msal
import requests
from msal.exceptions import MsalError

from provisioning.adapters.transport import PROOF_TIMEOUT, retry_after
from provisioning.domain.errors import NeedsOperator, TryAgain
from provisioning.domain.secrets import MintedSecret
from provisioning.ports import Clock

# "Invalid client secret", "application not found in the directory", "service principal not found": each is also what
# one replica says that has not heard of the secret, the application or the service principal yet.
_NOT_YET: Final = frozenset({7000215, 700016, 7000229})
_UNKNOWN_TENANT: Final = frozenset({90002, 900023})
_PASSING: Final = frozenset({"temporarily_unavailable", "server_error"})
# No answer to the question either: a loop guard that counts equal requests, and hiccups and throttles of Entra itself.
# Source: "Microsoft Entra authentication & authorization error codes".
_PASSING_CODES: Final = frozenset({50196, 90006, 90012, 90024, 90033, 90055})
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
        answer = self._asked(client_id, secret, self._scope)
        return True if "access_token" in answer else _judge(answer)

    def roles(self, client_id: str, secret: MintedSecret, audience: str) -> frozenset[str]:
        """As the port says. The token is read and not verified: it came from the endpoint itself, over TLS."""
        answer = self._asked(client_id, secret, f"{audience}/.default")
        return _roles_of(str(answer.get("access_token", "")))

    def _asked(self, client_id: str, secret: MintedSecret, scope: str) -> Mapping[str, Any]:
        """Return what the endpoint answers; raise TryAgain where that is no answer."""
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
                answer: Mapping[str, Any] = client.acquire_token_for_client([scope])
            except (requests.RequestException, MsalError, ValueError, KeyError, RuntimeError):
                # msal's own errors included; their text may quote the request, so it ends here.
                if http.unknown_tenant:
                    raise _authority_refused() from None
                raise self._unanswered(http) from None
        busy = http.status == HTTPStatus.TOO_MANY_REQUESTS  # what is above 499 msal has raised for
        if busy or str(answer.get("error")) in _PASSING or _codes(answer) & _PASSING_CODES:
            raise self._unanswered(http)
        return answer

    def check_tenant(self) -> None:
        """As the port says: the discovery document, which an endpoint has for each tenant that it knows."""
        with self._new_session() as session:
            http = _Http(session, _Discovery(self._clock))
            try:
                http.get(f"{self._authority}/v2.0/.well-known/openid-configuration")
            except requests.RequestException:
                raise self._unanswered(http) from None
            if http.unknown_tenant:
                raise _authority_refused()
            if http.status != HTTPStatus.OK:
                raise self._unanswered(http)

    def _unanswered(self, http: "_Http") -> TryAgain:
        return TryAgain(
            "token-endpoint-unavailable",
            "The token endpoint could not answer.",
            remedy="If it lasts, see the health of Entra and the app's network, then retry.",
            retry_after=retry_after(http.headers, self._clock.now()),
        )


def _roles_of(token: str) -> frozenset[str]:
    """Return the app roles that a token names; none where it is no token that can be read."""
    try:
        payload = token.split(".")[1]
        roles = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["roles"]
        return frozenset(map(str, roles))
    except (IndexError, ValueError, KeyError, TypeError):
        return frozenset()


def _authority_refused() -> NeedsOperator:
    return NeedsOperator(
        "authority-refused",
        "The token authority does not know the tenant.",
        remedy="Check AZURE_TENANT_ID and AZURE_AUTHORITY_HOST, then retry.",
    )


def _codes(answer: Mapping[str, Any]) -> set[int]:
    codes = {int(code) for code in re.findall(r"AADSTS(\d{1,9})", str(answer.get("error_description", "")))}
    return codes | {code for code in answer.get("error_codes") or () if isinstance(code, int)}


def _judge(answer: Mapping[str, Any]) -> bool:
    codes = _codes(answer)
    if codes & _NOT_YET or (not codes and answer.get("error") in ("invalid_client", "unauthorized_client")):
        return False
    named = ", ".join(f"AADSTS{code}" for code in sorted(codes)) or "no code"
    raise NeedsOperator(
        "secret-refused",
        f"The token endpoint refuses the application for a reason that does not pass ({named}).",
        remedy="Look the code up in Microsoft's list of AADSTS errors, mend the cause, then retry.",
    )


def _object(response: requests.Response) -> dict[str, Any] | None:
    """Return the JSON object that an answer holds, or None for any other answer."""
    try:
        content = response.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


class _NotFromEntra(requests.RequestException):
    """An answer that is no JSON object: a page of something on the way, which may quote the request."""


class _Discovery:
    """The OpenID Connect discovery document, which msal would fetch anew for each client."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[datetime, requests.Response]] = {}

    def get(self, url: str, fetch: Callable[[], requests.Response]) -> requests.Response:
        """Return it from memory for an hour. Without a lock: no thread waits for the time-out of another."""
        until, kept = self._kept.get(url, (None, None))
        if kept is not None and until is not None and self._clock.now() < until:
            return kept
        response = fetch()
        if response.ok and "token_endpoint" in (_object(response) or {}):
            self._kept[url] = (self._clock.now() + _DISCOVERY_KEPT_FOR, response)
        return response


class _Http:
    """The http client that msal asks for: discovery from memory, everything else over this attempt's connection.

    msal logs an answer that is not JSON word for word, so such an answer never reaches it.
    """

    def __init__(self, session: requests.Session, discovery: _Discovery) -> None:
        self._session = session
        self._discovery = discovery
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.unknown_tenant = False

    def get(self, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401 -- msal's protocol
        def fetch() -> requests.Response:
            response = self._checked(self._session.get(url, timeout=PROOF_TIMEOUT, **kwargs))
            self.unknown_tenant = bool(_codes(_object(response) or {}) & _UNKNOWN_TENANT)
            return response

        return self._discovery.get(url, fetch)

    def post(self, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401 -- msal's protocol
        return self._checked(self._session.post(url, timeout=PROOF_TIMEOUT, allow_redirects=False, **kwargs))

    def close(self) -> None:
        """Leave the session to the attempt that owns it."""

    def _checked(self, response: requests.Response) -> requests.Response:
        self.status, self.headers = response.status_code, response.headers
        content = _object(response)
        if content is None or not content.keys() & {"access_token", "error", "token_endpoint"}:
            raise _NotFromEntra("The answer is not one of a token authority.")
        return response
