"""OpenTelemetry, as a collector sees it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from msgspec.structs import replace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import Api, Json, client_of, problem
from tests.conftest import running
from tests.integration.observability.receivers import Collector, attributes_of, collector, never_answering
from tests.server import free_port, serve

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@asynccontextmanager
async def traced(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Collector]]:
    """Run a traced application; when the block ends, the collector has all of it at `collector.spans`."""
    with collector() as there, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.url)
        service = create_app(replace(settings, otel_exporter_otlp_endpoint=there.url))
        token = log_in(settings.database_url, settings.jwt_secret, Role.ADMIN, None, "tester")
        async with client_of(service, Authorization=f"Bearer {token}") as client, running(service):
            yield client, there


async def test_a_request_and_its_queries_are_spans_of_the_callers_trace(
    database_url: str, api: Api, tmp_path: Path
) -> None:
    student = (await api.invoice())["student_id"]
    log = tmp_path / "log"
    with collector() as there:
        with serve(database_url, log, OTEL_EXPORTER_OTLP_ENDPOINT=there.url, OTEL_SERVICE_NAME="billing-x") as server:
            headers = server.admin | {"traceparent": TRACEPARENT, "tracestate": "a=1", "X-Request-Id": "req-7"}
            path = f"/students/{student}/statement"
            async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
                answer = await client.get(f"{path}?as_of=2026-01-31")
            assert answer.status_code == 200
        request = there.named("GET /students/{student_id}/statement")
        query = there.named("statements/student_as_of")
        admission = there.named("auth/valid_sessions")
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert request.trace_state == "a=1"
    assert request.kind == Span.SPAN_KIND_SERVER
    told = attributes_of(request)
    assert told == {
        "http.request.method": "GET",
        "http.route": "/students/{student_id}/statement",
        "http.response.status_code": 200,
        "url.path": path,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "school_billing.request_id": "req-7",
    }
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    for span in (query, admission):
        assert (span.trace_id, span.parent_span_id) == (request.trace_id, request.span_id)
        assert span.kind == Span.SPAN_KIND_CLIENT
        assert request.start_time_unix_nano < span.start_time_unix_nano < span.end_time_unix_nano
        assert span.end_time_unix_nano < request.end_time_unix_nano
        told = attributes_of(span)
        assert told["db.system.name"] == "postgresql"
        assert told["db.query.summary"] == span.name
        assert told["db.namespace"] == database_url.rpartition("/")[2].partition("?")[0]
        assert "error.type" not in told
    resource = there.resources[0]
    assert resource["service.name"] == "billing-x"
    assert {"service.version", "service.instance.id", "deployment.environment.name"} <= resource.keys()
    lines = [msgspec.json.decode(line) for line in log.read_text().splitlines()]
    (access,) = [line for line in lines if line["event"] == "request" and line["request_id"] == "req-7"]
    assert access["trace_id"] == TRACE


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "school-billing"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=billing-a,team=finance"}, "billing-a"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=billing-a", "OTEL_SERVICE_NAME": "billing-b"}, "billing-b"),
    ],
)
async def test_the_standard_variables_name_the_service(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    async with traced(settings) as (client, there):
        await client.get("/health")
    assert there.resources[0]["service.name"] == name


async def test_the_endpoint_of_traces_alone_is_used_as_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as there:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{there.url}/v1/traces")
        service = create_app(replace(settings, otel_exporter_otlp_traces_endpoint=f"{there.url}/v1/traces"))
        async with running(service), client_of(service) as client:
            await client.get("/health")
    assert there.named("GET /health")


async def test_what_is_refused_and_what_fails_is_seen_in_the_spans(
    settings: Settings, new_database: Callable[[], str], surprised: Callable[[str], Json]
) -> None:
    own = replace(settings, database_url=new_database())
    async with traced(own) as (client, there):
        invoice = await Api(client).invoice(total="10.00")
        too_much = await client.post("/payments", json={"invoice_id": invoice["id"], "amount": "10.01"})
        problem(too_much, 409, "overpayment")
        problem(await client.post("/students", json=surprised(own.database_url)), 500, "internal_error")
        await client.get("/students/Lisa%20Simpson?full_name=Lisa%20Simpson")
        await client.get("/Lisa%20Simpson")
        await client.request("BREW", "/students")
    refused = there.named("payments/create")
    assert attributes_of(refused)["error.type"] == "23514"
    assert attributes_of(refused)["db.response.status_code"] == "23514"
    assert refused.status.code == Status.STATUS_CODE_ERROR
    payment = there.named("POST /payments")
    assert payment.status.code == Status.STATUS_CODE_UNSET, "a 409 is an answer, not a failure"
    assert "error.type" not in attributes_of(payment)
    failed = next(
        span
        for span in there.spans
        if span.name == "POST /students" and attributes_of(span)["http.response.status_code"] == 500
    )
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes_of(failed)["error.type"] == "internal_error"
    assert "url.path" not in attributes_of(there.named("GET /students/{student_id}"))
    assert attributes_of(there.named("GET"))["http.response.status_code"] == 404
    assert {span.name for span in there.spans if span.name.startswith("HTTP")} == {"HTTP"}
    assert b"Simpson" not in b"".join(span.SerializeToString() for span in there.spans)


@pytest.mark.parametrize(
    ("sampler", "traceparent", "spans"),
    [("always_off", TRACEPARENT, 0), ("parentbased_always_off", TRACEPARENT, 1), ("parentbased_always_off", "", 0)],
)
async def test_sampling_is_as_the_standard_variables_say(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, sampler: str, traceparent: str, spans: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    async with traced(settings) as (client, there):
        await client.get("/schools", headers={"traceparent": traceparent} if traceparent else {})
    assert len([span for span in there.spans if span.name == "GET /schools"]) == spans
    assert len([span for span in there.spans if span.name == "schools/list"]) == spans


async def test_a_traceparent_that_is_none_begins_a_new_trace(settings: Settings) -> None:
    offers = ["", "00-zz-1-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", "\xff" * 5000]
    async with traced(settings) as (client, there):
        for offered in offers:
            headers = [(b"traceparent", offered.encode("latin-1"))]
            assert (await client.get("/health", headers=headers)).status_code == 200
    spans = [span for span in there.spans if span.name == "GET /health"]
    assert [span.parent_span_id for span in spans] == [b""] * len(offers)
    assert len({span.trace_id for span in spans} - {bytes(16)}) == len(offers)


async def test_requests_at_once_each_have_their_own_queries(settings: Settings) -> None:
    async with traced(settings) as (client, there):
        await asyncio.gather(*(Api(client).school() for _ in range(20)))
    requests = {span.span_id: span for span in there.spans if span.name == "POST /schools"}
    creates = [span for span in there.spans if span.name == "schools/create"]
    assert len(requests) == len(creates) == 20
    assert {span.parent_span_id for span in creates} == requests.keys()
    for span in there.spans:
        if span.name in {"schools/create", "auth/valid_sessions"}:
            parent = requests[span.parent_span_id]
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= parent.end_time_unix_nano


def test_a_collector_that_hangs_or_is_gone_slows_no_request_and_bounds_the_end(database_url: str) -> None:
    quickly = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    # A queue of 20 is full long before the end: what it cannot hold is dropped, and nothing waits for it.
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "20", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}

    def slowest_and_end(endpoint: str) -> tuple[float, float]:
        """Return the seconds of the slowest of many requests, and of the end."""
        slowest = 0.0
        with serve(database_url, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **quickly, **small) as server:
            with httpx.Client(base_url=server.url, headers=server.admin) as client:
                for _ in range(200):
                    started = time.perf_counter()
                    assert client.get("/schools").status_code == 200
                    slowest = max(slowest, time.perf_counter() - started)
            ending = time.perf_counter()
        assert server.process.returncode == 0, "it ended by itself"
        return slowest, time.perf_counter() - ending

    with never_answering() as hanging, ThreadPoolExecutor() as both:
        for slowest, ended_in in both.map(slowest_and_end, [hanging, f"http://127.0.0.1:{free_port()}"]):
            assert slowest < 1
            assert ended_in < 9  # 5 seconds for what is left, and some for a busy machine.


def test_what_is_off_is_not_even_imported() -> None:
    code = """
import sys
from school_billing.app import create_app
from school_billing.platform.settings import Settings
for variables in VARIABLES:
    create_app(Settings.from_environment({"DATABASE_URL": "postgresql://nobody@localhost/none", **variables}))
    print([name for name in ("opentelemetry.sdk", "sentry_sdk") if name in sys.modules])
"""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    off = [{}, endpoint | {"OTEL_SDK_DISABLED": "true"}, endpoint | {"OTEL_TRACES_EXPORTER": "none"}]
    off.append({"OTEL_SERVICE_NAME": "billing"})
    on = {"OTEL_TRACES_EXPORTER": "otlp", "SENTRY_DSN": "http://k@127.0.0.1:9/1"}
    command = [sys.executable, "-c", code.replace("VARIABLES", repr([*off, on]))]
    *without, with_all = subprocess.check_output(command, text=True).splitlines()
    assert without == ["[]"] * len(off)
    assert with_all == "['opentelemetry.sdk', 'sentry_sdk']"
