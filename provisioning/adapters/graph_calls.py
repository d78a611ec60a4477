"""One request to Microsoft Graph, in the name of one identity; what is asked is in `graph.py` and `app_roles.py`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from provisioning import trail
from provisioning.adapters.graph_errors import Refusal, certificate_error, error_of, refusal, request_id
from provisioning.adapters.pace import Pace
from provisioning.adapters.transport import TIMEOUT, BearerToken, retry_after
from provisioning.domain.errors import ProvisioningError, TryAgain
from provisioning.domain.readiness import SignedIn
from provisioning.domain.traces import as_guid
from provisioning.ports import Clock

logger = trail.logger(__name__)


class Refused(Exception):
    """Graph refused the request, and says why."""

    def __init__(self, refused: Refusal) -> None:
        super().__init__(refused.status)
        self.refused = refused


class Unanswered(Exception):
    """The request may have taken effect; its answer did not arrive whole."""


class GraphCalls:
    """Sends requests through one pooled session, writes no faster than Graph takes them; never a repeat of its own."""

    def __init__(
        self,
        endpoint: str,
        credential: TokenCredential,
        session: requests.Session,
        clock: Clock,
        version: str = "v1.0",
    ) -> None:
        self._root = f"{endpoint}/{version}"
        self._session = session
        self._clock = clock
        self._pace = Pace(clock)
        self.token = BearerToken(credential, f"{endpoint}/.default")

    def signed_in(self) -> SignedIn:
        """Return who this is to Graph, as its token says: no request, but for the token."""
        try:
            claims = self.token.claims()
        except AzureError:
            raise no_token() from None
        except ValueError:
            raise unavailable() from None
        person = "scp" in claims
        permissions = str(claims["scp"]).split() if person else claims.get("roles") or ()
        return SignedIn(
            str(claims.get("oid", "")).lower(),
            str(claims.get("appid") or claims.get("azp") or "").lower(),
            frozenset(map(str, permissions)),
            person,
        )

    def read(self, path: str) -> dict[str, Any] | None:
        """Return what is there, or None where Graph says that there is nothing."""
        try:
            return self.call("GET", path)
        except Refused as error:
            if error.refused.missing:
                return None
            raise error_of(error.refused) from None
        except Unanswered:
            raise unavailable() from None

    def repeatable(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Send a request of which a repeat does no harm."""
        try:
            self.call(method, path, body)
        except Refused as error:
            raise error_about(error.refused, body) from None
        except Unanswered:
            raise unavailable() from None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one request and return its answer; raise Refused, Unanswered, or TryAgain when nothing was sent."""
        response = self._send(method, path, None) if method == "GET" else self._send_in_turn(method, path, body)
        if not response.ok or response.is_redirect:
            raise Refused(refusal(response, self._clock.now()))
        if response.status_code == HTTPStatus.NO_CONTENT:
            return {}
        try:
            answer = response.json()
        except ValueError:
            raise Unanswered from None
        if not isinstance(answer, dict):
            raise Unanswered
        return answer

    def _send_in_turn(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        """Send a write when it is its turn, and learn from the answer how fast they may go out."""
        self._pace.wait()
        response = self._send(method, path, body)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._pace.slow_down(retry_after(response.headers, self._clock.now()))
        else:
            self._pace.let_through()
        return response

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        client_request_id = as_guid(trail.current().trace_id)
        try:
            response = self._session.request(
                method,
                self._root + path,
                json=body,
                auth=self.token,
                headers={"client-request-id": client_request_id, "Accept": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except AzureError:
            # A hiccup of the identity endpoint reads like a missing configuration, so it is never taken for one.
            raise no_token() from None
        except requests.ConnectTimeout:
            raise unavailable() from None
        except requests.RequestException:
            raise Unanswered from None
        operation = path.partition("?")[0].partition("(")[0].rpartition("/")[2]
        theirs = request_id(response.headers.get("request-id"))
        ids = f"client-request-id {client_request_id}, request-id {theirs}"
        logger.info("graph %s %s: %d, %s", method, operation, response.status_code, ids)
        return response


def error_about(refused: Refusal, body: Mapping[str, Any]) -> ProvisioningError:
    """Return the error of a request with this body."""
    return (certificate_error(refused) if "keyCredentials" in body else None) or error_of(refused)


def no_token() -> TryAgain:
    """Return the error of an identity that has no token."""
    return TryAgain(
        "no-identity-token",
        "No token could be had for Microsoft Graph.",
        remedy="If it lasts, check that the app has a managed identity and AZURE_CLIENT_ID names it.",
    )


def unavailable() -> ProvisioningError:
    """Return the error of an answer that did not arrive."""
    return TryAgain(
        "graph-unavailable",
        "Microsoft Graph could not be reached, or its answer was lost.",
        remedy="If it lasts, see the health of Microsoft Graph and the app's network, then retry.",
    )
