"""The registrar as a client in the emulator's process: its credential, plain calls, and a clock to go with them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from dev.emulator.constants import IDENTITY_HEADER

if TYPE_CHECKING:
    from dev.emulator.emulator import Emulator

TIMEOUT = 10
VAULT_API_VERSION = "2026-04-01"


class ManualClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time."""
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass, at once."""
        with self._lock:
            self._now += timedelta(seconds=seconds)


class RegistrarCredential:
    """The registrar's managed identity for clients in this process; the rules and faults of `/msi/token` hold."""

    def __init__(self, emulator: Emulator, timeout: float = 30, client_id: str | None = None) -> None:
        self._named = {"client_id": client_id} if client_id else {}
        self._url = f"{emulator.origin}/msi/token"
        self._session = emulator.session()
        self._timeout = timeout

    def get_token(self, *scopes: str, **_options: object) -> AccessToken:
        """A token for the resource of the one scope; no cache, so that every fault is felt."""
        (scope,) = scopes
        query = {"api-version": "2019-08-01", "resource": scope.removesuffix("/.default"), **self._named}
        try:
            response = self._session.get(
                self._url, params=query, headers={"X-IDENTITY-HEADER": IDENTITY_HEADER}, timeout=self._timeout
            )
        except requests.RequestException as error:
            raise ClientAuthenticationError("the managed identity endpoint cannot be reached") from error
        if not response.ok:
            raise ClientAuthenticationError(f"the managed identity endpoint answered {response.status_code}")
        body = response.json()
        return AccessToken(body["access_token"], int(body["expires_on"]))

    def close(self) -> None:
        """Nothing to close; asked for by the SDK."""


class Client:
    """Calls as the documents describe them, without an SDK in between."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.session = emulator.session()
        self._credential = RegistrarCredential(emulator)

    def token(self, resource: str) -> str:
        """A token of the registrar."""
        return self._credential.get_token(f"{resource}/.default").token

    def graph(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        """One call to Graph; `path` begins behind the version."""
        headers = {"Authorization": f"Bearer {self.token(self.emulator.origin)}", **headers}
        url = f"{self.emulator.origin}/v1.0{path}"
        return self.session.request(method, url, json=body, headers=headers, timeout=TIMEOUT)

    def create(self, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
        """A new application, with its first secret if `passwordCredentials` are among the properties."""
        response = self.graph("POST", "/applications", {"displayName": "Emulated", **properties})
        assert response.status_code == 201, response.text  # noqa: PLR2004 -- HTTP
        created: dict[str, Any] = response.json()
        return created

    def create_client(self, **properties: Any) -> tuple[str, str]:  # noqa: ANN401 -- JSON
        """A new application with service principal and secret: client id and secret text."""
        created = self.create(passwordCredentials=[{"displayName": "first"}], **properties)
        self.graph("POST", "/servicePrincipals", {"appId": created["appId"]})
        return created["appId"], created["passwordCredentials"][0]["secretText"]

    def vault(self, method: str, path: str, body: object = None, **query: str) -> requests.Response:
        """One call to the vault."""
        headers = {"Authorization": f"Bearer {self.token('https://vault.azure.net')}"}
        query = {"api-version": VAULT_API_VERSION, **query}
        url = f"{self.emulator.origin}{path}"
        return self.session.request(method, url, json=body, params=query, headers=headers, timeout=TIMEOUT)

    def sign_in(self, client_id: str, secret: str, scope: str = "", **form: str) -> requests.Response:
        """A client credentials request to the token endpoint."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
            "scope": scope or f"{self.emulator.origin}/.default",
            **form,
        }
        url = f"{self.emulator.origin}/{self.emulator.tenant_id}/oauth2/v2.0/token"
        return self.session.post(url, data={name: value for name, value in form.items() if value}, timeout=TIMEOUT)
