"""The emulator inside a `requests` session: no sockets, and time-outs in the emulator's own time."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import ProtocolError

from dev.emulator.http.wire import WIRE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from dev.emulator.faults import When

Timeout = None | float | tuple[float | None, float | None]


class WouldHangForEver(AssertionError):
    """A call without a time-out met a hanging server."""


class _TimedOut(Exception):
    pass


class _Reset(Exception):
    pass


class _InProcessWire:
    """A connection that is a function call."""

    def __init__(self, timeout: float | None, sleep: Callable[[float], None]) -> None:
        self._left = timeout
        self._sleep = sleep
        self.late = False

    def delay(self, seconds: float) -> None:
        """Past the time-out the client has gone, but the call still takes effect."""
        if self._left is not None and seconds >= self._left:
            self.late = True
            seconds = self._left
        self._sleep(seconds)
        if self._left is not None:
            self._left -= seconds

    def hang(self, operation: str, when: When) -> NoReturn:
        del operation, when  # time-outs are the client's
        if self._left is None:
            raise WouldHangForEver("this call has no read time-out, and the server does not answer")
        self._sleep(self._left)
        raise _TimedOut

    def reset(self) -> NoReturn:
        raise _Reset


class InProcessAdapter(BaseAdapter):
    """Hands each request to a WSGI application."""

    def __init__(self, application: WSGIApplication, sleep: Callable[[float], None]) -> None:
        super().__init__()
        self._application = application
        self._sleep = sleep

    def send(  # noqa: PLR0913, PLR0917 -- the signature is that of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 -- as above
        timeout: Timeout = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 -- as above
        cert: object = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer, or fail as a network would."""
        del stream, verify, cert, proxies  # there is no connection that they could be about
        wire = _InProcessWire(timeout[1] if isinstance(timeout, tuple) else timeout, self._sleep)
        status, headers, body = 0, [("", "")], b""

        def start_response(
            line: str, fields: list[tuple[str, str]], _error: object = None
        ) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = int(line.split(maxsplit=1)[0]), fields
            return lambda _data: None

        environ = _environ(request)
        environ[WIRE] = wire
        try:
            body = b"".join(self._application(environ, start_response))
        except _TimedOut:
            wire.late = True
        except _Reset:
            reset = ConnectionResetError(104, "Connection reset by peer")
            aborted = ProtocolError("Connection aborted.", reset)  # what clients look at to tell whether it was sent
            raise requests.ConnectionError(aborted, request=request) from aborted
        if wire.late:
            raise requests.ReadTimeout("Read timed out.", request=request)
        raw = HTTPResponse(io.BytesIO(body), headers=HTTPHeaderDict(headers), status=status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing to close."""


def _environ(request: requests.PreparedRequest) -> dict[str, Any]:
    parts = urlsplit(str(request.url))
    body = _bytes(request.body)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or 443),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
    environ["HTTP_HOST"] = parts.netloc
    return environ


def _bytes(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes):
        return body
    if hasattr(body, "read"):
        return _bytes(body.read())
    assert isinstance(body, Iterable)
    return b"".join(map(_bytes, body))
