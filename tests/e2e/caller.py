"""A caller of the running product, over HTTP only."""

import json
import time
from pathlib import Path
from typing import Any

import requests

from dev.stack import Stack

EXAMPLES = Path("examples")
PATIENCE = 60.0


class Caller:
    """Someone who has the address of the API, and of the cloud, and nothing else."""

    def __init__(self, running: Stack, log: Path) -> None:
        self.running = running
        self.log = log
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(running.azure.ca_bundle)

    def post(self, body: Any, *, key: str | None = None, path: str = "/registrations") -> requests.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post(self.running.api + path, json=body, headers=headers, timeout=30)

    def get(self, path: str) -> requests.Response:
        return self.http.get(self.running.api + path, timeout=30)

    def patch(self, path: str, body: Any) -> requests.Response:
        return self.http.patch(self.running.api + path, json=body, timeout=30)

    def delete(self, path: str) -> requests.Response:
        return self.http.delete(self.running.api + path, timeout=30)

    def registered(self, body: Any) -> dict[str, Any]:
        registration = self.ended(self.post(body))
        assert registration["status"] == "active", registration
        return registration

    def ended(self, accepted: requests.Response) -> dict[str, Any]:
        """Follow an accepted operation to its end, and return the registration; whether it succeeded is in there."""
        assert accepted.status_code == 202, accepted.text
        location = self.running.host.origin + accepted.headers["Location"]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.http.get(location, timeout=30)
            registration: dict[str, Any] = answer.json()
            if registration["operation"]["status"] != "pending":
                return registration
            assert int(answer.headers["Retry-After"]) >= 1
            time.sleep(0.1)
        raise AssertionError(f"still pending: {registration}")

    def stored_secret(self, registration: dict[str, Any]) -> str:
        """Read the secret as its owner does: with a token for Key Vault, by the id that the answer names."""
        answer = self.http.get(
            f"{registration['secret']['id']}?api-version=7.4",
            headers=self._signed_in("https://vault.azure.net"),
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["value"])

    def graph(self, method: str, path: str, body: Any = None) -> Any:
        """Look at, or do by hand, what an administrator can in Entra; return the JSON of the answer."""
        endpoint = self.running.settings["GRAPH_ENDPOINT"]
        headers = self._signed_in(endpoint)
        answer = self.http.request(method, f"{endpoint}/v1.0{path}", json=body, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def _signed_in(self, resource: str) -> dict[str, str]:
        settings = self.running.settings
        identity = self.http.get(
            settings["IDENTITY_ENDPOINT"],
            params={"api-version": "2019-08-01", "resource": resource},
            headers={"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]},
            timeout=10,
        ).json()
        return {"Authorization": f"Bearer {identity['access_token']}"}

    def token(self, client: dict[str, Any], scope: str) -> str:
        answer = self.token_answer(client, scope, self.stored_secret(client))
        assert answer.status_code == 200, answer.json()["error_description"]
        return str(answer.json()["access_token"])

    def token_answer(self, client: dict[str, Any], scope: str, secret: str) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": client["clientId"],
            "client_secret": secret,
            "scope": scope,
        }
        return self.http.post(client["oauth"]["tokenEndpoint"], data=form, timeout=10)

    def accepts(self, client: dict[str, Any], secret: str) -> bool:
        """Whether the token endpoint takes the secret; it must be that, or be told that there is no such secret."""
        answer = self.token_answer(client, f"{self.running.settings['GRAPH_ENDPOINT']}/.default", secret)
        assert answer.status_code == 200 or answer.json()["error_codes"] == [7000215], answer.text
        return answer.status_code == 200

    def state(self) -> dict[str, Any]:
        """What the emulator holds: ids, names, key ids and labels."""
        answer = self.http.get(f"{self.running.azure.origin}/_emulator/state", timeout=10)
        return dict(answer.json())


def example(name: str) -> dict[str, Any]:
    return dict(json.loads((EXAMPLES / f"{name}.json").read_text()))
