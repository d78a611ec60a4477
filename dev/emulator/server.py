"""The emulator over TLS, on loopback only, with what a socket can have: held, hung and reset connections."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import struct
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import urlsplit

import trustme
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from dev.emulator.emulator import Emulator
from dev.emulator.http.wire import WIRE, Dropped

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment

    from dev.emulator.faults import When

BANNER = (
    "Emulator of Microsoft Graph, Entra and Key Vault at {origin}: in memory only, for this machine, never production."
)
# What is written for other processes: whom to trust, and where the emulator is.
CA_BUNDLE = "ca.pem"
ORIGIN = "emulator-origin"
_BACKLOG = 128
_NO_LINGER = struct.pack("ii", 1, 0)  # close() then sends RST in place of FIN


class _Broken(Exception):
    """The connection is to be reset."""


class _SocketWire:
    """The connection of one request over a socket."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    @staticmethod
    def delay(seconds: float) -> None:
        time.sleep(seconds)

    def hang(self, operation: str, when: When) -> NoReturn:
        """Hold the connection until somebody releases it or the server stops; an answer never comes."""
        with contextlib.suppress(Dropped):
            self._emulator.holds.wait(operation, when)
        raise _Broken

    @staticmethod
    def reset() -> NoReturn:
        raise _Broken


class _Handler(WSGIRequestHandler):
    """One connection, kept alive: unlike its parent it knows that the application reads every body to its end."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave together
    server: Server

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        environ[WIRE] = _SocketWire(self.server.emulator)
        try:
            self._answer(environ)
        except _Broken:
            self.server.broken.add(self.connection)
            self.close_connection = True

    def _answer(self, environ: WSGIEnvironment) -> None:
        status, headers = "500 Internal Server Error", [("Content-Length", "0")]

        def start_response(line: str, fields: list[tuple[str, str]], _error: object = None) -> Any:  # noqa: ANN401
            nonlocal status, headers
            status, headers = line, fields

        body = b""
        try:
            body = b"".join(self.server.app(environ, start_response))
        except _Broken:
            raise
        except Exception:  # noqa: BLE001 -- a mistake of the emulator itself must not look like a fault
            traceback.print_exc()
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Calls are recorded by the emulator."""


class Server(ThreadedWSGIServer):
    """A running emulator; `stop` ends it and every connection."""

    def __init__(self, emulator: Emulator, listener: socket.socket, context: ssl.SSLContext) -> None:
        self.emulator = emulator
        self.broken: set[socket.socket] = set()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._context = context
        host, port = listener.getsockname()
        super().__init__(host, port, emulator.wsgi, _Handler, fd=listener.fileno())
        listener.close()
        self.ssl_context = context  # only told to the handlers: the sockets are wrapped below
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="emulator", daemon=True)

    def start(self) -> None:
        """Serve from now on, in the background."""
        print(BANNER.format(origin=self.emulator.origin), file=sys.stderr)
        self._thread.start()

    def stop(self) -> None:
        """End: nothing held stays held, no connection stays open."""
        self.shutdown()
        self._thread.join()
        while self._connections:
            self.emulator.holds.release(drop=True)
            for thread, connection in list(self._connections.items()):
                with contextlib.suppress(OSError):  # below TLS, whose state belongs to the connection's thread
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
                thread.join(0.05)

    def get_request(self) -> tuple[socket.socket, Any]:
        """The handshake is left to the connection's own thread: a silent client must not hold up the others."""
        connection, address = self.socket.accept()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as in socketserver
        """A thread for each connection, kept in mind so that `stop` can end it."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        self._connections[thread] = request
        thread.start()

    def _serve(self, request: socket.socket, client_address: object) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            self._connections.pop(threading.current_thread(), None)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 -- as in socketserver
        """A broken connection ends with RST, every other with FIN."""
        if request in self.broken:
            self.broken.discard(request)
            with contextlib.suppress(OSError):
                request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as in socketserver
        """Clients that go away are no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _loopback(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    if not ipaddress.ip_address(address).is_loopback:
        message = f"the emulator serves this machine only, not {host}"
        raise ValueError(message)
    return address


def _listen(host: str, port: int) -> socket.socket:
    address = _loopback(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def serve(emulator: Emulator, host: str = "127.0.0.1", port: int = 0, *, certificate: Path, key: Path) -> Server:
    """Serve an emulator in the background; port 0 is the port of its origin."""
    address = _loopback(host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(emulator, _listen(address, port or urlsplit(emulator.origin).port or 443), context)
    server.start()
    return server


class EmulatorServer:
    """An emulator over TLS as a context manager, with a certificate authority of its own that nobody else trusts.

    `ca_bundle` is what clients must trust (`REQUESTS_CA_BUNDLE`). The folder gets that, and the address. Further
    arguments are those of `Emulator`.
    """

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:  # noqa: ANN401
        self._listener = _listen(host, port)
        self.origin = f"https://localhost:{self._listener.getsockname()[1]}"
        self.ca_bundle = folder / CA_BUNDLE
        self._told = folder / ORIGIN
        self.emulator = Emulator(origin=self.origin, **options)
        self._server: Server | None = None

    def __enter__(self) -> Self:
        """Start."""
        authority = trustme.CA(organization_name="FHIR Registrar emulator, this machine only")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        self._told.write_text(self.origin, encoding="utf-8")
        self._server = Server(self.emulator, self._listener, context)
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        if self._server is not None:
            self._server.stop()
