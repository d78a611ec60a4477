"""The WSGI application: finds the operation, lets faults strike, calls the handler under the lock; knows no rule."""

from __future__ import annotations

import functools
import random
import re
import uuid
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from dev.emulator.errors import GraphError, ServiceError, TokenError, VaultError
from dev.emulator.http import envelopes
from dev.emulator.http.exchange import Answer, Call, Context, Route
from dev.emulator.http.wire import WIRE, Dropped, Holds, PlainWire, Wire

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from dev.emulator.faults import Fault, Faults, When
    from dev.emulator.http.bearer import Bearer

VAULT_CHALLENGE = "vault.challenge"  # of a call to the vault without a token
WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})
# In the token of a next page a plus is a plus, as it stands in the links that Graph and Key Vault answer.
_SKIPTOKEN = re.compile(r"(?i)(?<![^&])(?:\$|%24)skiptoken=[^&]*")
FAULT_CODES = {
    404: ("Request_ResourceNotFound", "The resource was not found."),
    500: ("InternalServerError", "An internal server error occurred."),
    502: ("BadGateway", "The gateway received an invalid response."),
    503: ("ServiceUnavailable", "The service is unavailable."),
    504: ("GatewayTimeout", "The gateway timed out."),
}


@functools.cache
def _compiled(addresses: tuple[tuple[str, str], ...]) -> Map:
    """Once in a process, because it takes longer than most tests."""
    rules = [Rule(rule, methods=[method], endpoint=n) for n, (method, rule) in enumerate(addresses)]
    return Map(rules, strict_slashes=False, merge_slashes=False)


class Routing:
    """All addresses."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = list(routes)
        self._map = _compiled(tuple((route.method, route.rule) for route in self._routes))

    @property
    def operations(self) -> frozenset[str]:
        """The names that faults know the calls by; the emulator's own addresses are none."""
        names = {route.operation for route in self._routes if not route.operation.startswith("emulator.")}
        return frozenset({*names, VAULT_CHALLENGE})

    def find(self, request: Request) -> tuple[Route, dict[str, str]]:
        """The operation at this address, and the parts of the path; raises an HTTPException."""
        index, path = self._map.bind_to_environ(request.environ).match()
        return self._routes[index], dict(path)


class WsgiApplication:
    """The emulator, as a server calls it."""

    def __init__(  # noqa: PLR0913 -- what it needs of the whole
        self,
        routing: Routing,
        bearer: Bearer,
        *,
        faults: Faults,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        lock: threading.RLock,
    ) -> None:
        self._routing = routing
        self._bearer = bearer
        self._faults = faults
        self._now = now
        self._sleep = sleep
        self._lock = lock
        self._window: tuple[int, int] = (0, 0)  # the second, and how many writes have come in it
        self._rng = random.Random(0)  # noqa: S311 -- jitter
        self.holds = Holds()
        self.calls: list[Call] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        environ["QUERY_STRING"] = _SKIPTOKEN.sub(lambda found: found[0].replace("+", "%2B"), environ["QUERY_STRING"])
        request = Request(environ)
        request.get_data()  # before anything waits: a server must have read the body to keep the connection
        wire: Wire = environ.get(WIRE) or PlainWire(self._sleep)
        response = self._respond(request, wire)
        response.headers["X-Emulator"] = "memory-only"
        return response(environ, start_response)

    def _respond(self, request: Request, wire: Wire) -> Response:
        try:
            route, path = self._routing.find(request)
        except HTTPException as error:
            return self._unrouted(request, error)
        context = Context(request, path)
        if route.operation.startswith("emulator."):
            return self._encode(request, self._answer(route, context))
        operation = route.operation
        if operation.startswith("vault.") and "Authorization" not in request.headers:
            operation = VAULT_CHALLENGE
        call, struck = self._record(request, operation)
        try:
            answer = self._play(route, context, wire, call, struck)
        except Dropped:
            wire.reset()
        call.status = answer.status
        return self._encode(request, answer)

    def _record(self, request: Request, operation: str) -> tuple[Call, list[Fault]]:
        client_request_id = request.headers.get("client-request-id")
        with self._lock:
            call = Call(operation, request.method, request.path, client_request_id, self._now())
            self.calls.append(call)
            return call, [fault for _, fault in self._faults.take(operation)]

    def _play(self, route: Route, context: Context, wire: Wire, call: Call, struck: list[Fault]) -> Answer:
        answer = self._strike("before", call, wire, struck)
        if answer is None:
            context.lives = next((fault.seconds for fault in struck if fault.kind == "lostUpdate"), None)
            answer = self._answer(route, context)
            answer = self._strike("after", call, wire, struck) or answer
        return answer

    def _strike(self, when: When, call: Call, wire: Wire, struck: list[Fault]) -> Answer | None:
        """Play the faults of this moment; an answer takes the place of the real one."""
        for fault in struck:
            if fault.kind == "latency" and when == "before":
                wire.delay(fault.seconds + self._rng.random() * fault.jitter)
            if fault.when != when:
                continue
            if fault.kind == "hold":
                self.holds.wait(call.operation, when)
            elif fault.kind == "hang":
                wire.hang(call.operation, when)
            elif fault.kind == "reset":
                wire.reset()
            elif fault.kind in ("status", "throttle", "concurrencyViolation", "identityHiccup"):
                return envelopes.refusal(self._fault_error(fault, call.operation), self._now())
        return None

    def _answer(self, route: Route, context: Context) -> Answer:
        with self._lock:
            try:
                if route.operation.startswith("graph.") and context.request.method in WRITES:
                    self._count_write()
                return route.handler(context)
            except ServiceError as error:
                return envelopes.refusal(error, self._now())

    def _count_write(self) -> None:
        """The cap on writes, counted by whole seconds; a refused call counts, too."""
        cap = self._faults.switches.writes_per_second
        second = int(self._now().timestamp())
        count = self._window[1] + 1 if self._window[0] == second else 1
        self._window = (second, count)
        if cap is not None and count > cap:
            raise envelopes.too_many("graph.", {"Retry-After": "1"})

    def _fault_error(self, fault: Fault, operation: str) -> ServiceError:
        headers = self._retry_after(fault)
        if fault.kind == "throttle":
            return envelopes.too_many(operation, headers)
        if fault.kind == "concurrencyViolation":
            message = "The request failed due to concurrent modifications of the directory object."
            return GraphError(fault.status or 409, "Directory_ConcurrencyViolation", message)
        status = fault.status or (500 if fault.kind == "identityHiccup" else 503)
        code, message = FAULT_CODES.get(status, ("UnknownError", "An error occurred."))
        code, message = fault.code or code, fault.message or message
        return envelopes.service_error(operation, status, code, message, headers, fault.detail)

    def _retry_after(self, fault: Fault) -> dict[str, str]:
        seconds = 1 if fault.retry_after is None else fault.retry_after
        if fault.form == "none" or (fault.kind != "throttle" and fault.retry_after is None):
            return {}
        if fault.form == "httpDate":
            at = self._now() + timedelta(seconds=seconds)
            return {"Retry-After": format_datetime(at.astimezone(UTC), usegmt=True)}
        return {"Retry-After": f"{seconds:.2f}" if fault.form == "fractional" else str(int(seconds))}

    def _unrouted(self, request: Request, error: HTTPException) -> Response:
        """An address that no operation has. Graph asks for a token first, even there."""
        status = error.code or 500
        message = f"No operation has the address {request.path}."
        refused: ServiceError
        if request.path.startswith(("/secrets", "/deletedsecrets")):
            refused = VaultError(status, "NotFound" if isinstance(error, NotFound) else "MethodNotAllowed", message)
        elif request.path.startswith(("/v1.0", "/beta")):
            code = "MethodNotAllowed" if isinstance(error, MethodNotAllowed) else "ResourceNotFound"
            refused = GraphError(status, code, message)
            with self._lock:
                try:
                    self._bearer.graph(request)
                except ServiceError as unauthorized:
                    refused = unauthorized
        else:
            refused = TokenError(status, "invalid_request", 90014, message)
        with self._lock:
            call = Call("unknown", request.method, request.path, None, self._now(), status)
            self.calls.append(call)
        return self._encode(request, envelopes.refusal(refused, self._now()))

    def _encode(self, request: Request, answer: Answer) -> Response:
        """Ids are added here, so that every answer has them, and the envelope repeats those of the headers."""
        request_id = str(uuid.uuid4())
        client_id = (
            request.headers.get("client-request-id") or request.headers.get("x-ms-client-request-id") or request_id
        )
        return envelopes.response(answer, request_id, client_id)
