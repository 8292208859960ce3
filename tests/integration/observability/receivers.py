"""Somebody else's servers, on real sockets: an OTLP collector, a Sentry, and one that never answers."""

import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What a collector was sent, by OTLP over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans = list[Span]()
        self.resources = list[dict[str, Any]]()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        traces = ExportTraceServiceRequest.FromString(body)
        for of_resource in traces.resource_spans:
            self.resources.append(attributes_of(of_resource.resource))
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans

    def named(self, name: str) -> Span:
        """Return the one span of that name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span


class Sentry:
    """What a Sentry was sent."""

    def __init__(self, url: str) -> None:
        self.dsn = f"{url.replace('://', '://public@')}/1"
        self.bodies = list[bytes]()
        self.events = list[dict[str, Any]]()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/api/1/envelope/"
        self.bodies.append(body)
        lines = body.split(b"\n")
        for header, payload in zip(lines[1::2], lines[2::2], strict=False):
            assert msgspec.json.decode(header)["type"] == "event"
            self.events.append(msgspec.json.decode(payload))


def attributes_of(owner: Any) -> dict[str, Any]:
    """Return the attributes of a span, a point or a resource."""
    entries: list[KeyValue] = list(owner.attributes)
    return {entry.key: getattr(entry.value, str(entry.value.WhichOneof("value"))) for entry in entries}


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector until the end of the block."""
    with _http_server(Collector) as running:
        yield running


@contextmanager
def sentry() -> Iterator[Sentry]:
    """Run a Sentry until the end of the block."""
    with _http_server(Sentry) as running:
        yield running


@contextmanager
def never_answering() -> Iterator[str]:
    """Give the URL of a server that takes every connection and all that is sent, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _http_server(kind: Callable[[str], Any]) -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taker.take(self.path, gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taker = kind(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield taker
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
