"""The app's own identity: one request, no waiting of its own, and every failure is one that passes."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from azure.core.exceptions import AzureError

from provisioning.adapters.identity import OwnIdentity


class Endpoint(BaseHTTPRequestHandler):
    """An identity endpoint that answers as the test told it."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Endpoint]]:
    fresh = type("Fresh", (Endpoint,), {"asked": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), fresh)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    yield fresh
    server.shutdown()
    server.server_close()


def identity() -> OwnIdentity:
    return OwnIdentity(managed=True, client_id=None, authority_host="https://login.microsoftonline.com")


def test_a_token_is_asked_for_once_and_then_kept(endpoint: type[Endpoint]) -> None:
    token = {"access_token": "a", "expires_on": str(int(time.time()) + 86400), "resource": "r", "token_type": "Bearer"}
    endpoint.answer = (200, {"Content-Type": "application/json"}, json.dumps(token).encode())
    own = identity()
    assert [own.get_token("https://graph.microsoft.com/.default").token for _ in range(3)] == ["a"] * 3
    assert endpoint.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"{}"),
        (429, {"Retry-After": "600"}, b"{}"),
        (400, {"Content-Type": "application/json"}, b'{"error": "invalid_request"}'),
        (200, {"Content-Type": "text/html"}, b"<html>proxy</html>"),
        (403, {"Content-Type": "text/html"}, b"<html>proxy</html>"),
        (200, {"Content-Type": "application/json"}, b"[]"),
        (200, {"Content-Type": "application/json"}, b"{}"),
    ],
    ids=lambda answer: f"{answer[0]} {answer[2].decode()}",
)
def test_a_failure_costs_one_request_no_waiting_and_is_an_azure_error(
    endpoint: type[Endpoint], answer: tuple[int, dict[str, str], bytes]
) -> None:
    endpoint.answer = answer
    began = time.monotonic()
    with pytest.raises(AzureError):
        identity().get_token("https://graph.microsoft.com/.default")
    assert endpoint.asked == 1
    assert time.monotonic() - began < 5
