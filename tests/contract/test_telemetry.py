"""One registration is one trace, from the call to Graph, the vault and the token endpoint; and it tells no secret."""

import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.identity import ManagedIdentityCredential
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dev.emulator.server import EmulatorServer
from provisioning import telemetry
from provisioning.adapters import metrics, opentelemetry
from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.messages import read_message
from provisioning.flow.provision import carry_out
from provisioning.settings import Settings
from provisioning.telemetry import Kind, Span
from provisioning.wiring import AzureServices
from tests.worlds.leaks import leaked
from tests.worlds.request_bodies import a_resource, a_service_client

ROOT = Path(__file__).parents[2]
SERVER = "https://traced.contoso.example"
STEPS = [
    *("ensure_approved", "ensure_resource", "ensure_application", "ensure_service_principal"),
    *("ensure_secret", "ensure_vault_read", "ensure_granted"),
]


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorServer]:
    with EmulatorServer(tmp_path_factory.mktemp("ca")) as server:
        yield server


@pytest.fixture
def environment(azure: EmulatorServer, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The settings, in this process's environment too: Azure's libraries read some of them there."""
    trusted = {"AzureWebJobsStorage": azurite, "REQUESTS_CA_BUNDLE": str(azure.ca_bundle)}
    settings = {**azure.emulator.settings(), **trusted}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield settings
    with TableServiceClient.from_connection_string(azurite) as service:
        for table in list(service.list_tables()):
            service.delete_table(table.name)


def registered(services: AzureServices, body: dict[str, object]) -> str:
    """Register something by call and message, and return its trace."""
    call = Call(
        "/api/registrations", {"content-type": "application/json"}, body=json.dumps(body).encode(), method="POST"
    )
    answer = web.answer(lambda: services, web.submit_registration, call)
    assert answer.message is not None
    carry_out(services, read_message(answer.message.encode()))
    return str(answer.headers["traceparent"]).split("-")[1]


def test_one_registration_is_one_trace_with_every_span_and_no_secret(environment: dict[str, str]) -> None:
    services, exporter = AzureServices(Settings.from_env(environment)), InMemorySpanExporter()
    registered(services, a_resource(fhirServerUrl=SERVER))
    stop = opentelemetry.start([exporter])
    trace = int(registered(services, a_service_client(resource=SERVER)), 16)
    stop()
    spans = exporter.get_finished_spans()
    assert {each.context.trace_id for each in spans} == {trace}
    by_id = {each.context.span_id: each for each in spans}
    [call] = [each for each in spans if each.kind.name == "SERVER"]
    [message] = [each for each in spans if each.kind.name == "CONSUMER"]
    assert (call.name, call.parent) == ("submit_registration", None)
    assert parent_of(message, by_id) is call
    steps = [each for each in spans if each.kind.name == "INTERNAL"]
    assert [each.name for each in steps] == STEPS
    assert all(parent_of(each, by_id) is message for each in steps)
    calls = [each for each in spans if each.kind.name == "CLIENT"]
    inside: dict[str, list[object]] = {each.name: [] for each in (call, message, *steps)}
    for each in calls:
        inside[parent_of(each, by_id).name].append(dict(each.attributes or {})["http.request.method"])
    assert inside["ensure_application"] == ["POST"]
    assert inside["ensure_service_principal"] == ["POST"]
    assert inside["ensure_secret"].count("POST") == 3, "three proofs"
    assert inside["ensure_secret"].count("PUT") == 1, "one publication, beside the reading of the vault"
    assert inside["submit_registration"]
    assert all(dict(each.attributes or {})["http.response.status_code"] for each in calls)
    told = "\n".join(each.to_json() for each in spans)
    assert not leaked(told)
    assert "secrets/" not in told
    assert "Bearer" not in told


def test_what_is_measured_of_a_registration_arrives_with_its_units_and_no_id(environment: dict[str, str]) -> None:
    services, reader = AzureServices(Settings.from_env(environment)), InMemoryMetricReader()
    stop = metrics.start([reader])
    registered(services, a_resource(fhirServerUrl="https://measured.contoso.example"))
    measures = reader.get_metrics_data()
    stop()
    assert measures is not None
    [one] = [scope for each in measures.resource_metrics for scope in each.scope_metrics]
    assert all(each.unit == metrics.METRICS[each.name].unit for each in one.metrics)
    assert {each.name for each in one.metrics} >= {"registrar.requests.accepted", metrics.CALLS}
    [calls] = [each for each in one.metrics if each.name == metrics.CALLS]
    told = [dict(point.attributes or {}) for point in calls.data.data_points]
    assert {"server.address": "localhost", "http.response.status_code": "201"} in told
    assert all(each.keys() <= metrics.METRICS[metrics.CALLS].attributes for each in told)
    assert not leaked(measures.to_json())
    assert "registration_id" not in measures.to_json()


def test_every_measure_of_the_table_arrives_with_all_of_its_attributes_and_with_no_other() -> None:
    reader = InMemoryMetricReader()
    stop = metrics.start([reader])
    for name, metric in metrics.METRICS.items():
        telemetry.measure(name, 3, **dict.fromkeys(metric.attributes, "word"), nobodys="word")
    telemetry.measure("registrar.of.nobody", 3)
    measures = reader.get_metrics_data()
    stop()
    assert measures is not None
    [one] = [scope for each in measures.resource_metrics for scope in each.scope_metrics]
    arrived = {each.name: (each.unit, set(each.data.data_points[0].attributes or {})) for each in one.metrics}
    assert arrived == {name: (metric.unit, set(metric.attributes)) for name, metric in metrics.METRICS.items()}


def test_a_call_is_measured_with_how_it_ended_and_what_is_no_call_or_no_plain_word_is_not() -> None:
    reader = InMemoryMetricReader()
    stop = metrics.start([reader])
    for kind in Kind:
        with telemetry.span("GET", kind) as made:
            made.attributes |= {"server.address": kind.value, "http.response.status_code": 200}
    with pytest.raises(ValueError, match="x"), telemetry.span("GET", Kind.CLIENT):
        raise ValueError("x")
    telemetry.measure("registrar.operations.ended", operation="a word?", code="word")
    measures = reader.get_metrics_data()
    stop()
    assert measures is not None
    [one] = [scope for each in measures.resource_metrics for scope in each.scope_metrics]
    points = {each.name: [dict(point.attributes or {}) for point in each.data.data_points] for each in one.metrics}
    assert points == {
        "registrar.operations.ended": [{"code": "word"}],
        metrics.CALLS: [
            {"server.address": "CLIENT", "http.response.status_code": "200"},
            {"error.type": "ValueError"},
        ],
    }
    assert not telemetry.is_heard()


def parent_of(span: ReadableSpan, by_id: dict[int, ReadableSpan]) -> ReadableSpan:
    assert span.parent is not None
    return by_id[span.parent.span_id]


def test_what_is_not_known_to_be_harmless_never_leaves() -> None:
    now = datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)
    attributes: dict[str, str | int] = {
        "http.request.method": "GET",
        "server.address": "host/path?sig=FRMARK",
        "url.full": "https://host",
        "registrar.operation": "provision",
    }
    span = Span("GET outside", Kind.CLIENT, "1" * 32, "2" * 16, None, now, now, "ValueError", attributes)
    told = opentelemetry.redacted(span)
    assert (told.start_time, told.end_time) == (1_768_478_400_123_456_000, 1_768_478_400_123_456_000)
    assert dict(told.attributes or {}) == {
        "http.request.method": "GET",
        "registrar.operation": "provision",
        "error.type": "ValueError",
    }
    assert opentelemetry.redacted(Span("a\nb", Kind.CLIENT, "1" * 32, "2" * 16, None, now)).name == "redacted"


def test_whoever_was_stopped_is_told_of_no_span_and_is_not_stopped_once_more() -> None:
    kept = weakref.ref(opentelemetry.start([InMemorySpanExporter()]))
    gc.collect()
    stop = kept()
    assert stop is not None, "it is kept for the exit, so that what waits then is sent"
    stop()
    del stop
    gc.collect()
    assert (telemetry.is_heard(), kept()) == (False, None)


def test_nothing_of_what_is_told_is_kept_on_a_disk() -> None:
    credential, connection = ManagedIdentityCredential(), "InstrumentationKey=00000000-0000-0000-0000-000000000000"
    for adapter in (opentelemetry, metrics):
        exporter = adapter.to_application_insights(connection, credential)
        assert vars(exporter)["storage"] is None
        exporter.shutdown()


def test_a_collector_is_sent_each_signal_where_otlp_has_it() -> None:
    for adapter, signal in ((opentelemetry, "traces"), (metrics, "metrics")):
        exporter = adapter.to_collector("http://127.0.0.1:4318", None)
        assert vars(exporter)["_endpoint"] == f"http://127.0.0.1:4318/v1/{signal}"
        exporter.shutdown()


def test_a_collector_is_sent_each_signal_at_its_own_address() -> None:
    for adapter, signal in ((opentelemetry, "traces"), (metrics, "metrics")):
        exporter = adapter.to_collector("https://collector.example", __file__)
        assert vars(exporter)["_endpoint"] == f"https://collector.example/v1/{signal}"
        exporter.shutdown()


class Sent(MetricExporter):
    """Keeps the names of what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **_: Any) -> MetricExportResult:
        scopes = [scope for each in metrics_data.resource_metrics for scope in each.scope_metrics]
        self.names += [metric.name for scope in scopes for metric in scope.metrics]
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
        self.names.append("the end")


def test_what_was_measured_and_not_sent_yet_is_sent_at_the_end() -> None:
    sent = Sent()
    stop = metrics.start([metrics.periodically(sent)])
    telemetry.measure("registrar.due.age", 3)
    assert sent.names == []
    stop()
    assert sent.names == ["registrar.due.age", "the end"]


LOADED = """
import json, sys
from provisioning.settings import Settings
from provisioning.wiring import AzureServices
from provisioning import telemetry
services = AzureServices(Settings.from_env({settings}))
services.registry, services.directory, services.vault, services.proof
print(json.dumps([[each for each in sys.modules if each.startswith("opentelemetry")], len(telemetry._LISTENERS)]))
"""


@pytest.mark.parametrize(
    ("setting", "listeners"),
    [
        ({}, 0),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, 2),
        ({"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=00000000-0000-0000-0000-000000000000"}, 2),
    ],
    ids=["neither", "a collector", "Application Insights"],
)
def test_opentelemetry_is_loaded_where_a_setting_asks_for_it_and_nowhere_else(
    environment: dict[str, str], setting: dict[str, str], listeners: int
) -> None:
    script = LOADED.replace("{settings}", repr(environment | setting))
    ran = subprocess.run(  # noqa: S603 -- this very interpreter
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    modules, listening = json.loads(ran.stdout)
    assert listening == listeners
    assert bool(modules) == bool(listeners)
