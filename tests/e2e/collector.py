"""A collector of OpenTelemetry in this process: it takes measures by OTLP over HTTP, and remembers them."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.worlds.leaks import leaked

Attribute = tuple[str, str]


class Collector:
    """What arrived: each measure above zero, with its attributes."""

    def __init__(self) -> None:
        self._told: set[tuple[str, frozenset[Attribute]]] = set()
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def names(self) -> set[str]:
        """The names of what arrived."""
        with self._lock:
            return {name for name, _ in self._told}

    def has(self, name: str, attribute: Attribute | None) -> bool:
        """Whether a measure of this name has arrived, above zero, with the attribute."""
        with self._lock:
            return any(each == name and attribute in (None, *told) for each, told in self._told)

    def __enter__(self) -> Self:
        """Serve, by a thread of its own."""
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> None:
        """Remember what a request for `/v1/metrics` has."""
        assert not leaked(body.decode(errors="replace"))
        request = ExportMetricsServiceRequest.FromString(body)
        metrics = [
            metric
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        with self._lock:
            for metric in metrics:
                self._told |= {(metric.name, each) for each in _above_zero(metric)}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        taken_by = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/metrics":
                    taken_by.take(body)
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _above_zero(metric: Metric) -> list[frozenset[Attribute]]:
    numbers = [*metric.sum.data_points, *metric.gauge.data_points]
    found = [each.attributes for each in numbers if each.as_double > 0 or each.as_int > 0]
    found += [each.attributes for each in metric.histogram.data_points if each.count]
    return [frozenset((one.key, one.value.string_value) for one in each) for each in found]
