"""The limits of a connection, on real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import uvicorn

from school_billing.serving import protocol

pytestmark = pytest.mark.smoke

GET = b"GET / HTTP/1.1\r\nHost: test\r\n"


class Service:
    """An application that answers when it may, and counts its requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.port = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += 1
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def answers_to(self, *parts: bytes) -> bytes:
        """Send the parts of a request on a new connection and return what comes back until its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    async with serving(service):
        yield service


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[None]:
    config = uvicorn.Config(service, port=0, http=protocol.LimitedProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    service.port = sock.getsockname()[1]
    task = asyncio.create_task(server._serve([sock]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield
    server.should_exit = True
    await task


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    document = msgspec.json.decode(body)
    assert head.startswith(f"HTTP/1.1 {document['status']} {document['title']}\r\n".encode())
    return document["status"], document["code"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", (400, "malformed_request")),
        (GET + b"Host: another\r\n\r\n", (400, "malformed_request")),
        (b"what is this?\r\n\r\n", (400, "malformed_request")),
        (GET + b"x: " + b"y" * 40_000 + b"\r\n\r\n", (431, "headers_too_large")),
        (GET + b"x: y\r\n" * 9_000 + b"\r\n", (431, "headers_too_large")),
    ],
    ids=["no Host", "two Hosts", "no HTTP", "a long header", "many headers"],
)
async def test_a_head_that_breaks_a_rule_is_a_problem(
    service: Service, request_: bytes, expected: tuple[int, str]
) -> None:
    assert problem(await service.answers_to(request_)) == expected
    assert service.requests == 0


async def test_a_header_without_end_is_refused_while_it_arrives(service: Service) -> None:
    answer = await service.answers_to(GET + b"x: ", *[b"y" * 60_000] * 20)
    assert answer == b"" or problem(answer) == (431, "headers_too_large")
    assert service.requests == 0


async def test_a_head_that_does_not_arrive_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)
    service = Service()
    async with serving(service):
        for part in (b"", GET):
            assert problem(await service.answers_to(part)) == (408, "request_timeout")
        slow = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        service.may_answer.clear()
        asyncio.get_running_loop().call_later(0.3, service.may_answer.set)
        assert (await service.answers_to(slow, b"a", b"b")).endswith(b"ok"), "the limit is for the head alone"


async def test_old_clients_and_pipelines_are_served(service: Service) -> None:
    assert (await service.answers_to(b"GET / HTTP/1.0\r\n\r\n")).endswith(b"ok")
    answers = await service.answers_to((GET + b"\r\n") * 9 + GET + b"Connection: close\r\n\r\n")
    assert answers.count(b"HTTP/1.1 200 OK") == 10


async def test_a_flood_of_pipelined_requests_ends_the_connection(service: Service) -> None:
    service.may_answer.clear()
    assert b"HTTP/1.1 200 OK" not in await service.answers_to((GET + b"\r\n") * 5_000)
    service.may_answer.set()
    assert service.requests <= 1
