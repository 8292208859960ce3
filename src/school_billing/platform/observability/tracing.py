"""Traces by OpenTelemetry: a span for each request, and one for each of its queries.

Only a service that exports traces imports this. We make the spans ourselves, because the instrumentation packages make
several for each request, even if the sampler keeps none.
"""

from threading import Thread
from time import time_ns
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import asyncpg
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from school_billing.platform.database.context import RequestContext, context
from school_billing.platform.observability.logging import UNMATCHED, AccessLine
from school_billing.platform.settings import Settings

if TYPE_CHECKING:
    from litestar.types import HTTPScope

_CLOSE_SECONDS = 5
_PROPAGATOR = TraceContextTextMapPropagator()
_NO_PARENT = Context()
_ERROR = Status(StatusCode.ERROR)

log = structlog.get_logger("school_billing.platform.observability")


class Tracing:
    """Makes spans and sends them in the background, as the OTEL_* variables say. OpenTelemetry reads them itself.

    If the collector is slow, the queue drops spans; no request waits.
    """

    def __init__(self, settings: Settings, version: str) -> None:
        resource = Resource.create(
            {
                "service.name": "school-billing",
                "service.version": version,
                "service.instance.id": str(uuid4()),
                "deployment.environment.name": settings.environment,
            }
        )
        # create() alone would let our attributes win over OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME.
        resource = resource.merge(OTELResourceDetector().detect())
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._shutdown = provider.shutdown
        self._tracer = provider.get_tracer("school_billing", version)
        database = urlsplit(settings.database_url)
        name = unquote(database.path.lstrip("/"))
        self._database: dict[str, str | int] = {"db.system.name": "postgresql", "db.namespace": name}
        if database.hostname:
            self._database |= {"server.address": database.hostname, "server.port": database.port or 5432}

    def begin_request(self, scope: "HTTPScope", method: str, known: RequestContext) -> bytes:
        """Begin the span of a request, in the client's trace if it names one. Return the header traceresponse."""
        carrier: dict[str, str] = {}
        for header, value in scope["headers"]:
            if header in {b"traceparent", b"tracestate"}:
                name, text = header.decode(), value.decode("latin-1")
                carrier[name] = f"{carrier[name]},{text}" if name in carrier else text
        parent = _PROPAGATOR.extract(carrier, _NO_PARENT)
        attributes = {
            "http.request.method": "_OTHER" if method == "OTHER" else method,
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
            "school_billing.request_id": known.request_id or "",
        }
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        known.span = span
        own = span.get_span_context()
        known.trace_id = format_trace_id(own.trace_id)
        # The answer to a traceparent in Trace Context, level 2.
        return f"00-{known.trace_id}-{format_span_id(own.span_id)}-{own.trace_flags:02x}".encode()

    def end_request(self, line: AccessLine, failure: str | None) -> None:
        """End the span of this request with the answer; a `failure` is the type of the error."""
        span = _recorded_span()
        if span is None:
            return
        verb = "HTTP" if line.method == "OTHER" else line.method
        route = None if line.route == UNMATCHED else line.route
        span.update_name(f"{verb} {route}" if route else verb)
        span.set_attribute("http.response.status_code", line.status)
        for name, value in (("http.route", route), ("url.path", line.path), ("error.type", failure)):
            if value is not None:
                span.set_attribute(name, value)
        if failure is not None:
            span.set_status(_ERROR)
        span.end()

    def note_query(self, name: str, seconds: float, error: BaseException | None) -> None:
        """Make the span of a query that has just ended, if a recorded request sent it."""
        request = _recorded_span()
        if request is None:
            return
        attributes = self._database | {"db.query.summary": name}
        if isinstance(error, asyncpg.PostgresError):
            sqlstate = str(getattr(error, "sqlstate", None) or "")
            attributes["db.response.status_code"] = attributes["error.type"] = sqlstate
        elif error is not None:
            attributes["error.type"] = type(error).__name__.lstrip("_")
        ended = time_ns()
        started = ended - int(seconds * 1e9)
        parent = set_span_in_context(request, _NO_PARENT)
        span = self._tracer.start_span(name, parent, SpanKind.CLIENT, attributes, start_time=started)
        if error is not None:
            span.set_status(_ERROR)
        span.end(ended)

    def close(self) -> None:
        """Send the spans that are left, if the collector takes them in time."""
        # The provider's own limit is half a minute. At its exit, Python does not wait for a daemon thread.
        closing = Thread(target=self._shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if closing.is_alive():
            log.warning("the collector did not take the last spans in time", seconds=_CLOSE_SECONDS)


def _recorded_span() -> Span | None:
    """Return the span of the request at work, if the sampler keeps it."""
    span = cast("Span | None", context().span)
    return span if span is not None and span.is_recording() else None
