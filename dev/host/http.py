"""The HTTP server: HTTP/1.1 with connections kept open, on 127.0.0.1, one thread per connection."""

from __future__ import annotations

import logging
import re
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from dev.host.routes import Request, Response
from dev.host.settings import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("dev.host")

LARGEST_BODY = 100 * 1024 * 1024
_IDLE_SECONDS = 120
_DISCARD_SECONDS = 5
_OURS = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
_BROKEN = re.compile(r"[\r\n\0]")


class _Refused(Exception):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    timeout = _IDLE_SECONDS
    error_message_format = ""
    server: HttpServer

    def _serve(self) -> None:
        try:
            body = self._body()
        except _Refused as refused:
            self.close_connection = True
            self._write(Response(refused.status))
            self._discard()
            return
        grouped: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            grouped.setdefault(name.lower(), []).append(value)
        headers = {name: ",".join(values) for name, values in grouped.items()}
        with self.server.counted() as going:
            if not going:
                self.close_connection = True
            request = Request(self.command, self.path, headers, body)
            self._write(self.server.answer(request) if going else Response(HTTPStatus.SERVICE_UNAVAILABLE))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = _serve  # noqa: N815 - the library's

    def _body(self) -> bytes:
        length = self.headers.get_all("content-length", [])
        encoding = self.headers.get("transfer-encoding")
        if encoding:
            if encoding.lower() != "chunked" or length:
                raise _Refused(HTTPStatus.BAD_REQUEST)
            return self._chunks()
        if not length:
            return b""
        if len(set(length)) > 1 or not (length[0].isascii() and length[0].isdecimal()):
            raise _Refused(HTTPStatus.BAD_REQUEST)
        return self._read(int(length[0]))

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = self.rfile.readline(1024).split(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size):
                raise _Refused(HTTPStatus.BAD_REQUEST)
            if int(size, 16) == 0:
                break
            if len(body) + int(size, 16) > LARGEST_BODY:
                raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            body += self._read(int(size, 16))
            if self.rfile.readline(3).strip():
                raise _Refused(HTTPStatus.BAD_REQUEST)
        while self.rfile.readline(65536).strip():
            pass
        return bytes(body)

    def _read(self, size: int) -> bytes:
        if size > LARGEST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionError("the client closed the connection before the end of its request")
        return body

    def _discard(self) -> None:
        """Reads what is still coming for a moment: closing at once would take the answer from a client that sends."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        end = time.monotonic() + _DISCARD_SECONDS
        while time.monotonic() < end and self.rfile.read(65536):
            pass

    def handle_expect_100(self) -> bool:
        """Asks for the body only if it may be read."""
        length = self.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > LARGEST_BODY:
            self.close_connection = True
            self._write(Response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return False
        going = super().handle_expect_100()
        self.wfile.flush()
        return going

    def _write(self, response: Response) -> None:
        if any(_BROKEN.search(name + value) for name, value in response.headers):
            log.error("A response header holds a line break; answered 500")
            response = Response(HTTPStatus.INTERNAL_SERVER_ERROR)
        self.send_response(response.status)
        for name, value in response.headers:
            if name.lower() not in _OURS:
                self.send_header(name, value)
        bodyless = response.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        if not bodyless:
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if not bodyless and self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def version_string(self) -> str:
        return "local-functions-host"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the library's signature
        """Writes nothing: a request line may hold a function key."""


class _Counted:
    def __init__(self, server: HttpServer) -> None:
        self._server = server

    def __enter__(self) -> bool:
        with self._server.changed:
            self._server.active += 1
            return not self._server.stopping

    def __exit__(self, *_: object) -> None:
        with self._server.changed:
            self._server.active -= 1
            self._server.changed.notify_all()


class HttpServer(ThreadingHTTPServer):
    """Serves until told to stop; requests that run by then are answered."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Request], Response]) -> None:
        self.answer = answer
        self.active = 0
        self.stopping = False
        self.changed = threading.Condition()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise HostError(
                f"port {port} of 127.0.0.1 cannot be listened on: {error.strerror}; "
                "name another one with --port, or 0 for a free one"
            ) from error
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="http", daemon=True)

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Begins to accept connections."""
        self._thread.start()

    def counted(self) -> _Counted:
        """Counts a request while it is answered; tells whether it may be."""
        return _Counted(self)

    def stop(self) -> None:
        """Accepts nothing more."""
        with self.changed:
            self.stopping = True
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()

    def drain(self, seconds: float) -> None:
        """Waits until every answer is written, for so long at most."""
        end = time.monotonic() + seconds
        with self.changed:
            while self.active and (left := end - time.monotonic()) > 0:
                self.changed.wait(left)

    def server_bind(self) -> None:
        """Listens without asking the resolver for a name of this machine."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - the library's signature
        """Keeps a vanished client out of the log."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            log.error("The connection was dropped", exc_info=error)
