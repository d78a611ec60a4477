"""`python -m bench.bare_client N`: the calls that N service clients cost, made bare, and nothing decided.

The settings come as JSON on standard input. It prints the CPU seconds that the calls took, all imports done.
"""

from __future__ import annotations

import json
import resource
import ssl
import sys
import uuid
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import urllib3
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.queue import QueueClient

_CONCURRENCY: Final = 16
_VAULT_VERSION: Final = "2025-07-01"


class _Bare:
    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self._tls = ssl.create_default_context(cafile=settings["REQUESTS_CA_BUNDLE"])
        self._http = urllib3.PoolManager(maxsize=_CONCURRENCY, ssl_context=self._tls)
        self._graph_token = self._token(settings["GRAPH_ENDPOINT"])
        self._vault_token = self._token("https://vault.azure.net")
        storage = settings["AzureWebJobsStorage"]
        tables = TableServiceClient.from_connection_string(storage)
        self._rows = tables.create_table_if_not_exists("barerows")
        self._due = tables.create_table_if_not_exists("baredue")
        self.queue = QueueClient.from_connection_string(storage, "bare-messages")
        with suppress(ResourceExistsError):
            self.queue.create_queue()

    def _token(self, audience: str) -> str:
        settings = self._settings
        answer = self._http.request(
            "GET",
            settings["IDENTITY_ENDPOINT"],
            fields={"api-version": "2019-08-01", "resource": audience},
            headers={"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]},
        )
        return str(answer.json()["access_token"])

    def put(self, key: str) -> None:
        """Store what the POST of a client leaves."""
        self._rows.create_entity({"PartitionKey": "bare", "RowKey": key, "request": "x" * 500})
        self.queue.send_message(b64encode(key.encode()).decode())

    def carry_out(self, message: Any) -> None:  # noqa: ANN401 -- a queue message
        """Make the calls of one service client."""
        key = str(uuid.uuid4())
        row, *_ = [self._rows.get_entity("bare", b64decode(message.content).decode()) for _ in range(3)]
        application = self._graph("applications", _application(key))
        self._graph("servicePrincipals", {"appId": application["appId"]})
        vault = f"{self._settings['KEY_VAULT_URL']}/secrets/bare-{key}"
        self._vault("GET", f"{vault}/", 404)
        secret = application["passwordCredentials"][0]["secretText"]
        for _ in range(3):
            self._prove(application["appId"], secret)
        self._vault("PUT", vault, 200, {"value": secret, "tags": {"id": key}, "contentType": "text/plain"})
        self._due.upsert_entity({"PartitionKey": "due", "RowKey": key}, mode=UpdateMode.REPLACE)
        self._rows.update_entity(row, mode=UpdateMode.REPLACE)
        self._due.delete_entity("due", key)
        self.queue.delete_message(message)

    def _graph(self, path: str, body: object) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._graph_token}"}
        url = f"{self._settings['GRAPH_ENDPOINT']}/v1.0/{path}"
        return _content(self._http.request("POST", url, json=body, headers=headers, retries=False), 201)

    def _vault(self, method: str, url: str, expected: int, body: object = None) -> None:
        headers = {"Authorization": f"Bearer {self._vault_token}"}
        address = f"{url}?api-version={_VAULT_VERSION}"
        _content(self._http.request(method, address, json=body, headers=headers, retries=False), expected)

    def _prove(self, client_id: str, secret: str) -> None:
        settings = self._settings
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
            "scope": f"{settings['GRAPH_ENDPOINT']}/.default",
        }
        url = f"{settings['AZURE_AUTHORITY_HOST']}/{settings['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        with urllib3.PoolManager(ssl_context=self._tls) as once:
            _content(once.request("POST", url, fields=form, encode_multipart=False, retries=False), 200)


def _application(key: str) -> dict[str, Any]:
    return {
        "displayName": "A service client",
        "signInAudience": "AzureADMyOrg",
        "uniqueName": f"bare-{key}",
        "tags": ["bare", f"bare:id={key}"],
        "notes": '{"contact": "team@contoso.example"}',
        "isFallbackPublicClient": False,
        "passwordCredentials": [{"displayName": key, "endDateTime": "2099-01-01T00:00:00Z"}],
    }


def _content(answer: urllib3.BaseHTTPResponse, expected: int) -> dict[str, Any]:
    if answer.status != expected:
        raise SystemExit(f"bare client: {answer.status} in place of {expected}: {answer.data.decode()[:500]}")
    content: dict[str, Any] = answer.json()
    return content


def main() -> None:
    """Make the calls, sixteen clients at a time."""
    number = int(sys.argv[1])
    bare = _Bare(json.loads(sys.stdin.readline()))
    for _ in range(number):
        bare.put(str(uuid.uuid4()))
    begun = resource.getrusage(resource.RUSAGE_SELF)
    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        messages = bare.queue.receive_messages(messages_per_page=_CONCURRENCY, visibility_timeout=600)
        list(pool.map(bare.carry_out, messages))
    ended = resource.getrusage(resource.RUSAGE_SELF)
    print(ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime)


if __name__ == "__main__":
    main()
