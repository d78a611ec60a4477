"""Who listens to spans: OpenTelemetry, which sends them to Application Insights or to any collector by OTLP.

Loaded only where the settings name one of these. What leaves is looked at once more on its way out: attributes whose
names are not known here, and values that are not short names, ids or numbers, are left out.
"""

import atexit
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from azure.core.credentials import TokenCredential
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from provisioning.telemetry import Span, listen

KNOWN: Final = frozenset(
    {
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "registrar.operation",
        "registrar.registration_id",
        "server.address",
    }
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
_RESOURCE: Final = Resource({"service.name": "fhir-registrar"})
_KINDS: Final = {kind.name: kind for kind in SpanKind}


def redacted(span: Span) -> ReadableSpan:
    """Return the span as OpenTelemetry has it, with nothing in it but what is known to be harmless."""
    wanted: dict[str, str | int] = {
        **span.attributes,
        **({"error.type": span.error} if span.error else {}),
    }
    kept = {
        name: value
        for name, value in wanted.items()
        if name in KNOWN and (isinstance(value, int) or _PLAIN.fullmatch(value))
    }
    return ReadableSpan(
        name=span.name if _PLAIN.fullmatch(span.name.replace(" ", "-")) else "redacted",
        context=_context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
        resource=_RESOURCE,
        attributes=kept,
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR) if span.error else Status(StatusCode.UNSET),
        start_time=_nanoseconds(span.began),
        end_time=_nanoseconds(span.ended or span.began),
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000) * 1000


def start(exporters: Sequence[SpanExporter]) -> Callable[[], None]:
    """Have each exporter be sent every span from now on, in batches by a thread of its own; return what ends that."""
    processors = [BatchSpanProcessor(exporter) for exporter in exporters]

    def tell(span: Span) -> None:
        readable = redacted(span)
        for processor in processors:
            processor.on_end(readable)

    forget = listen(tell)

    def stop() -> None:
        forget()
        for processor in processors:
            processor.shutdown()  # type: ignore[no-untyped-call]
        atexit.unregister(stop)

    atexit.register(stop)  # what waits for its batch is sent, and not lost
    return stop


def to_application_insights(connection_string: str, credential: TokenCredential) -> SpanExporter:
    """Return what sends to Application Insights, as the app's own identity: it takes no keys."""
    from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter  # noqa: PLC0415 -- only where it is used

    return AzureMonitorTraceExporter(
        connection_string=connection_string, credential=credential, disable_offline_storage=True
    )


def to_collector(endpoint: str, ca_bundle: str | None) -> SpanExporter:
    """Return what sends to a collector by OTLP over HTTP; `endpoint` is its address without the signal."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- as above

    return OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", certificate_file=ca_bundle)
