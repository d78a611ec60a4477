"""Which function answers a request: route templates as the Functions host reads them, and function keys."""

from __future__ import annotations

import hmac
import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from azure.functions.meta import Datum

from dev.host.settings import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dev.host.functions import Function

log = logging.getLogger("dev.host")

_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)(?::(\w+(?:\(\d+\))?))?(\?)?\}")
_CONSTRAINTS = {
    "int": r"-?[0-9]+",
    "alpha": r"[a-zA-Z]+",
    "guid": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "maxlength(0)": r"(?!)",  # no segment is empty, so an optional one is left out: the route of the prefix alone
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The decoded path; an encoded slash stays encoded, as in the real host."""
        parts = re.split("(%2[fF])", self.target.partition("?")[0])
        return "".join(part if part.upper() == "%2F" else unquote(part) for part in parts)

    @property
    def query(self) -> dict[str, str]:
        """The query; values of a repeated name are joined by a comma, and what has no value is left out.

        The worker of Python does not claim UseNullableValueDictionaryForHttp (azure-functions-python-worker #894).
        """
        found = parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        joined = {name: ",".join(values) for name, values in found.items()}
        return {name: value for name, value in joined.items() if value}

    def datum(self, route_values: dict[str, str]) -> Datum:
        """The request in the form that the library's converter reads."""
        url = f"http://{self.headers.get('host', 'localhost')}{self.target}"
        return Datum(
            {
                "method": Datum(self.method, "string"),
                "url": Datum(url, "string"),
                "headers": _strings(self.headers),
                "query": _strings(self.query),
                "params": _strings(route_values),
                "body": Datum(self.body, "bytes"),
            },
            "http",
        )


def _strings(values: dict[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}


@dataclass(frozen=True)
class Response:
    """What goes back."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Route:
    """A function's route: its template compiled, its methods, and its place among the others."""

    function: Function
    pattern: re.Pattern[str]
    methods: frozenset[str]
    precedence: tuple[int, ...]

    @classmethod
    def of(cls, function: Function, prefix: str) -> Route:
        """Reads the route of an HTTP function; without one it is the function's name."""
        template = str(function.trigger.get("route") or function.name).strip("/")
        pattern, precedence = "", []
        for segment in template.split("/"):
            text, rank = _segment(segment, function.name)
            pattern += text
            precedence.append(rank)
        start = f"/{re.escape(prefix)}" if prefix else ""
        methods = frozenset(str(method).upper() for method in function.trigger.get("methods") or _METHODS)
        return cls(function, re.compile(f"{start}{pattern}/?", re.IGNORECASE), methods, tuple(precedence))


def _segment(segment: str, function: str) -> tuple[str, int]:
    """Returns a segment's pattern, with the slash before it, and its rank: literals first, catch-alls last."""
    if "{" not in segment and "}" not in segment:
        return f"/{re.escape(segment)}", 0
    found = _PARAMETER.fullmatch(segment)
    if not found or (found[3] and found[3] not in _CONSTRAINTS):
        raise HostError(f"function {function}: this host does not serve the route segment '{segment}'")
    stars, name, constraint, optional = found.groups()
    if stars:
        return f"(?:/(?P<{name}>.*))?", 3
    text = f"/(?P<{name}>{_CONSTRAINTS.get(constraint, '[^/]+')})"
    return (f"(?:{text})?" if optional else text), 1 if constraint else 2


class Gateway:
    """Answers requests: finds the function, asks for its key, calls it, encodes what it returned."""

    def __init__(  # noqa: PLR0913 - each is one thing that it depends on
        self,
        functions: list[Function],
        *,
        prefix: str,
        disabled: Collection[str] = (),
        key: str | None,
        call: Callable[[Function, Datum], Datum | None],
        fire: Callable[[Function, Any], None],
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        http = [each for each in functions if each.kind == "httpTrigger" and each.name not in disabled]
        self._routes = sorted((Route.of(function, prefix) for function in http), key=lambda route: route.precedence)
        self._key = key
        self._call = call
        self._fire = fire

    def answer(self, request: Request) -> Response:
        """Answers one request; never raises."""
        path = request.path
        if path.lower().startswith("/admin/"):
            return self._admin(request) if self._allowed("admin", request) else Response(401)
        found = [(route, match) for route in self._routes if (match := route.pattern.fullmatch(path))]
        for route, match in found:
            if request.method in route.methods:
                if not self._allowed(str(route.function.trigger.get("authLevel", "function")).lower(), request):
                    return Response(401)
                values = {name: value for name, value in match.groupdict().items() if value is not None}
                return self._invoke(route.function, request.datum(values))
        if found:
            methods = sorted({method for route, _ in found for method in route.methods})
            log.info("No function answers %s there, only %s; like the real host, 404", request.method, methods)
        return Response(404)

    def _allowed(self, level: str, request: Request) -> bool:
        if self._key is None or level == "anonymous":
            return True
        given = request.headers.get("x-functions-key") or request.query.get("code", "")
        return hmac.compare_digest(given.encode(), self._key.encode())

    def _invoke(self, function: Function, datum: Datum) -> Response:
        try:
            given = self._call(function, datum)
            return _response(given)
        except Exception:  # noqa: BLE001 - logged where it was called; any failure is a 500 without a word
            return Response(500)

    def _admin(self, request: Request) -> Response:
        if request.method == "GET" and request.path.lower() == "/admin/host/status":
            return Response(200, (("content-type", "application/json"),), b'{"state": "Running"}')
        found = re.fullmatch(r"/admin/functions/([^/]+)", request.path, re.IGNORECASE)
        function = self._functions.get(found[1].lower()) if found else None
        if function is None or request.method != "POST":
            return Response(404)
        try:
            document = json.loads(request.body)
            given = document["input"]
        except (ValueError, TypeError, KeyError):
            return Response(400)
        if function.kind == "httpTrigger":
            return Response(400)
        self._fire(function, given)
        return Response(202)


def _response(datum: Datum | None) -> Response:
    """Reads what a function returned; nothing is 204, text is 200, as in the real host."""
    if datum is None:
        return Response(204)
    if datum.type != "http":
        body = datum.value if isinstance(datum.value, bytes) else str(datum.value).encode()
        return Response(200, (("content-type", "text/plain; charset=utf-8"),), body)
    value = datum.value
    headers = [(name, header.value) for name, header in value["headers"].items()]
    for cookie in value["cookies"] or ():
        headers += [("set-cookie", morsel.OutputString()) for morsel in cookie.values()]
    return Response(int(value["status_code"].value), tuple(headers), value["body"].value)
