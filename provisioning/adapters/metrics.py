"""What is measured, and who is told: OpenTelemetry, loaded only where the settings name somebody.

Names and units as OpenTelemetry's semantic conventions have them. A measure whose name or attribute is not in the table
here is left out, so that nothing that anybody sent, and no id, ever makes a series of its own.
"""

import atexit
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple

from azure.core.credentials import TokenCredential
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from provisioning.telemetry import Kind, Span, listen, listen_to_measures

_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_RESOURCE: Final = Resource({"service.name": "fhir-registrar"})


class Instrument(Enum):
    """How measures of one name make a figure: their sum, the last of them, or how they are spread."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """What is measured, in which unit, and which attributes it may have."""

    instrument: Instrument
    unit: str
    description: str
    attributes: frozenset[str] = frozenset()


CALLS: Final = "registrar.dependency.duration"
METRICS: Final[Mapping[str, Metric]] = {
    "registrar.requests.accepted": Metric(
        Instrument.COUNTER, "{request}", "New registrations.", frozenset({"client_type", "waits"})
    ),
    "registrar.operations.ended": Metric(
        Instrument.COUNTER,
        "{operation}",
        "Operations that ended, failed ones by code.",
        frozenset({"operation", "code"}),
    ),
    "registrar.operations.duration": Metric(
        Instrument.HISTOGRAM, "s", "From the request of an operation to its end.", frozenset({"operation"})
    ),
    "registrar.due.entries": Metric(Instrument.GAUGE, "{entry}", "What the planner found due, a thousand at the most."),
    "registrar.due.age": Metric(Instrument.GAUGE, "s", "How long the oldest of that has been due."),
    "registrar.queue.age": Metric(Instrument.HISTOGRAM, "s", "How old a message of the queue was when it was taken."),
    "registrar.secrets.late": Metric(
        Instrument.HISTOGRAM, "s", "How long a secret was past its time of replacement when it was looked at."
    ),
    "registrar.registrations": Metric(
        Instrument.GAUGE, "{registration}", "Those there are, by the last reconciliation.", frozenset({"state"})
    ),
    "registrar.strays": Metric(
        Instrument.GAUGE, "{thing}", "What carries our mark and is no registration's, by the same.", frozenset({"kind"})
    ),
    "registrar.findings": Metric(
        Instrument.COUNTER, "{finding}", "What a check found and left alone, by code.", frozenset({"code"})
    ),
    "registrar.credentials.removed": Metric(
        Instrument.COUNTER, "{credential}", "Replaced secrets and strays, removed."
    ),
    "registrar.publications.late": Metric(
        Instrument.COUNTER, "{secret}", "Secrets that grew too old to be published, and are minted again."
    ),
    "registrar.messages.poisoned": Metric(
        Instrument.COUNTER, "{message}", "Messages that failed as often as the queue allows."
    ),
    CALLS: Metric(
        Instrument.HISTOGRAM,
        "s",
        "Requests to Graph, the vault, the token endpoint and storage.",
        frozenset({"server.address", "http.response.status_code", "error.type"}),
    ),
}


def start(readers: Sequence[MetricReader]) -> Callable[[], None]:
    """Have each reader see every measure from now on; return what ends that, and sends what was not sent."""
    provider = MeterProvider(metric_readers=readers, resource=_RESOURCE, shutdown_on_exit=False)
    meter = provider.get_meter("fhir-registrar")
    tellers = {name: _teller(meter, name, each) for name, each in METRICS.items()}

    def tell(name: str, value: float, attributes: Mapping[str, str]) -> None:
        if name in METRICS:
            tellers[name](value, _harmless(name, attributes))

    def tell_call(span: Span) -> None:
        if span.kind is Kind.CLIENT and span.ended is not None:
            told = {name: str(value) for name, value in span.attributes.items()}
            told |= {"error.type": span.error} if span.error else {}
            tell(CALLS, (span.ended - span.began).total_seconds(), told)

    forget = listen_to_measures(tell), listen(tell_call)

    def stop() -> None:
        for each in forget:
            each()
        provider.shutdown()
        atexit.unregister(stop)

    atexit.register(stop)
    return stop


def _teller(meter: Meter, name: str, metric: Metric) -> Callable[[float, dict[str, str]], None]:
    match metric.instrument:
        case Instrument.COUNTER:
            return meter.create_counter(name, metric.unit, metric.description).add
        case Instrument.GAUGE:
            return meter.create_gauge(name, metric.unit, metric.description).set
        case Instrument.HISTOGRAM:
            return meter.create_histogram(name, metric.unit, metric.description).record


def _harmless(name: str, attributes: Mapping[str, str]) -> dict[str, str]:
    known = METRICS[name].attributes
    return {each: value for each, value in attributes.items() if each in known and _PLAIN.fullmatch(value)}


def periodically(exporter: MetricExporter) -> MetricReader:
    """Return what sends what was measured once a minute, by a thread of its own."""
    return PeriodicExportingMetricReader(exporter)


def to_application_insights(connection_string: str, credential: TokenCredential) -> MetricExporter:
    """Return what sends to Application Insights, as the app's own identity: it takes no keys."""
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter  # noqa: PLC0415 -- only where it is used

    return AzureMonitorMetricExporter(
        connection_string=connection_string, credential=credential, disable_offline_storage=True
    )


def to_collector(endpoint: str, ca_bundle: str | None) -> MetricExporter:
    """Return what sends to a collector by OTLP over HTTP; `endpoint` is its address without the signal."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 -- as above

    return OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics", certificate_file=ca_bundle)
