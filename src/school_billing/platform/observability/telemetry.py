"""Traces and metrics by OpenTelemetry: a span for each request, one for each of its queries, and two histograms.

Imported only where it is on. The spans are our own, made after the fact from what is known then: the instrumentation
packages make several for each request, whether they are kept or not.
"""

from collections.abc import Callable
from contextvars import ContextVar
from time import time_ns
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import asyncpg
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from school_billing.platform.settings import Settings

if TYPE_CHECKING:
    from litestar.types import HTTPScope
    from opentelemetry.util.types import Attributes

_NAME = "school_billing"
_PROPAGATOR = TraceContextTextMapPropagator()
_NOTHING = Context()
_UNKNOWN_METHOD = "_OTHER"
# As the semantic conventions advise for the two histograms.
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_QUERY_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

_request: ContextVar["RequestSpan | None"] = ContextVar("request_span", default=None)


class RequestSpan:
    """The span of a request that is being answered."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.context = set_span_in_context(span, _NOTHING)
        own = span.get_span_context()
        self.trace_id = format_trace_id(own.trace_id)
        # For the caller, in the words of the Trace Context's level 2; what comes in is called traceparent.
        self.traceresponse = f"00-{self.trace_id}-{format_span_id(own.span_id)}-{own.trace_flags:02x}"


class Telemetry:
    """Makes spans and measures, and sends them in the background, as the OTEL_* variables say.

    What a collector does not take is dropped when the queue is full; no request waits for it.
    """

    def __init__(self, settings: Settings, version: str) -> None:
        resource = _resource(settings, version)
        database = urlsplit(settings.database_url)
        self._database: dict[str, str | int] = {
            "db.system.name": "postgresql",
            "db.namespace": unquote(database.path.lstrip("/")),
        }
        if database.hostname:
            self._database |= {"server.address": database.hostname, "server.port": database.port or 5432}
        self.closers: list[Callable[[], object]] = []
        """What ends it; each may take as long as a collector that does not answer."""
        self._tracer = self._request_seconds = self._query_seconds = None
        if settings.exports_traces:
            traces = TracerProvider(resource=resource, shutdown_on_exit=False)
            traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_url("traces"))))
            self._tracer = traces.get_tracer(_NAME, version)
            self.closers.append(traces.shutdown)
        if settings.exports_metrics:
            reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=settings.otlp_url("metrics")))
            metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            meter = metrics.get_meter(_NAME, version)
            self._request_seconds = meter.create_histogram(
                "http.server.request.duration",
                unit="s",
                description="Duration of HTTP server requests.",
                explicit_bucket_boundaries_advisory=_REQUEST_BUCKETS,
            )
            self._query_seconds = meter.create_histogram(
                "db.client.operation.duration",
                unit="s",
                description="Duration of database client operations.",
                explicit_bucket_boundaries_advisory=_QUERY_BUCKETS,
            )
            self.closers.append(metrics.shutdown)

    def begin_request(self, scope: "HTTPScope", method: str) -> RequestSpan | None:
        """Begin the span of a request, as a part of the caller's trace where it names one."""
        if self._tracer is None:
            return None
        carrier: dict[str, str] = {}
        for header, value in scope["headers"]:
            if header in {b"traceparent", b"tracestate"}:
                name, text = header.decode(), value.decode("latin-1")
                carrier[name] = f"{carrier[name]},{text}" if name in carrier else text
        parent = _PROPAGATOR.extract(carrier, _NOTHING) if carrier else _NOTHING
        attributes: Attributes = {"http.request.method": _method(method), "url.scheme": scope["scheme"]}
        span = self._tracer.start_span(_name(method, None), parent, SpanKind.SERVER, attributes)
        begun = RequestSpan(span)
        _request.set(begun)
        return begun

    def end_request(
        self,
        begun: RequestSpan | None,
        scope: "HTTPScope",
        *,
        method: str,
        route: str | None,
        path: str | None,
        status: int,
        seconds: float,
        failure: str | None,
        request_id: str,
    ) -> None:
        """End the span of a request and measure it; a `path` of None is not to be told."""
        attributes: dict[str, str | int] = {
            "http.request.method": _method(method),
            "url.scheme": scope["scheme"],
            "http.response.status_code": status,
            "network.protocol.version": scope["http_version"],
        }
        if route is not None:
            attributes["http.route"] = route
        if failure is not None:
            attributes["error.type"] = failure
        if self._request_seconds is not None:
            self._request_seconds.record(seconds, attributes, begun.context if begun else _NOTHING)
        if begun is not None:
            span = begun.span
            if span.is_recording():
                attributes["school_billing.request_id"] = request_id
                if path is not None:
                    attributes["url.path"] = path
                span.update_name(_name(method, route))
                span.set_attributes(attributes)
                if failure is not None:
                    span.set_status(Status(StatusCode.ERROR))
            span.end()

    def note_query(self, name: str, seconds: float, error: BaseException | None) -> None:
        """Measure a query that has ended just now, and make its span where it belongs to a request that has one."""
        begun = _request.get()
        traced = self._tracer is not None and begun is not None and begun.span.is_recording()
        if not traced and self._query_seconds is None:
            return
        attributes = {**self._database, "db.query.summary": name}
        if isinstance(error, asyncpg.PostgresError):
            sqlstate = str(getattr(error, "sqlstate", None) or "")
            attributes["db.response.status_code"] = attributes["error.type"] = sqlstate
        elif error is not None:
            attributes["error.type"] = type(error).__name__.lstrip("_")
        if self._query_seconds is not None:
            self._query_seconds.record(seconds, attributes, begun.context if begun else _NOTHING)
        if traced and self._tracer is not None and begun is not None:
            ended = time_ns()
            span = self._tracer.start_span(
                name, begun.context, SpanKind.CLIENT, attributes, start_time=ended - int(seconds * 1e9)
            )
            if error is not None:
                span.set_status(Status(StatusCode.ERROR))
            span.end(ended)


def _resource(settings: Settings, version: str) -> Resource:
    ours = {
        "service.name": "school-billing",
        "service.version": version,
        "service.instance.id": str(uuid4()),
        "deployment.environment.name": settings.environment,
    }
    # OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME win; create() alone would have it the other way round.
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())
    if settings.otel_service_name:
        resource = resource.merge(Resource({"service.name": settings.otel_service_name}))
    return resource


def _method(method: str) -> str:
    return _UNKNOWN_METHOD if method == "OTHER" else method


def _name(method: str, route: str | None) -> str:
    verb = "HTTP" if method == "OTHER" else method
    return f"{verb} {route}" if route else verb
