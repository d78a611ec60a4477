"""A receiver of notices over TLS on this machine, with a certificate authority that nobody else trusts."""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import trustme

from tests.worlds.receiver import WEBHOOK_TOKEN


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Reads one request and has the server answer it."""

    server: "HttpsReceiver"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.path, headers, body))
        self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Requests are kept, not printed."""


class HttpsReceiver(ThreadingHTTPServer):
    """A receiver over TLS on this machine; `answer` says how it answers."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.answer: Callable[[Handler], None] = answering(204)
        self.ca_bundle = str(folder / "ca.pem")
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(self.ca_bundle)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.url = f"https://localhost:{self.server_address[1]}/hook/?token={WEBHOOK_TOKEN}"

    def __enter__(self) -> Self:
        """Serve, in the background."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or trusts this one not, is no news."""


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    """Return an answer with that status."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer
