"""The wrapper around the application, around applications that fail in ways of their own."""

from typing import Any, cast

import pytest
from litestar.exceptions import LitestarException
from structlog.testing import capture_logs

from school_billing.platform.database.errors import DatabaseUnavailable, StatementCanceled
from school_billing.platform.observability.instrumentation import Instrumentation
from school_billing.platform.observability.middleware import Observed
from school_billing.platform.settings import Settings
from school_billing.platform.web.errors import AnswerBrokenOff

Event = dict[str, Any]


class Failing:
    """An application that begins its answer, or not, and then fails."""

    def __init__(self, error: Exception, *, begins: bool, listens: bool = False) -> None:
        self.error = error
        self.begins = begins
        self.listens = listens

    async def __call__(self, _scope: Event, receive: Any, send: Any) -> None:
        if self.begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.listens:
            await receive()
        raise self.error


async def answer(app: Failing) -> tuple[list[Event], list[Event], Observed]:
    """Answer one request whose client leaves; return what was sent and what was logged."""
    observed = Observed(cast("Any", app), Instrumentation(Settings(), "1", ["internal_error"]))
    sent: list[Event] = []

    async def receive() -> Event:
        return {"type": "http.disconnect"}

    async def send(message: Event) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "scheme": "http", "http_version": "1.1"}
    with capture_logs() as logged:
        if app.begins and not app.listens:
            with pytest.raises((AnswerBrokenOff, type(app.error))) as raised:
                await observed(cast("Any", scope), cast("Any", receive), cast("Any", send))
            # The connection breaks. The server logs the error, unless it was logged here.
            is_bug = any(line["event"] == "unhandled error" for line in logged)
            assert getattr(raised.value, "is_logged", False) is not is_bug
        else:
            await observed(cast("Any", scope), cast("Any", receive), cast("Any", send))
    return sent, cast("list[Event]", logged), observed


async def test_what_nobody_handles_is_a_500_with_its_traceback_in_the_log() -> None:
    sent, logged, observed = await answer(Failing(RuntimeError("bug"), begins=False))
    assert sent[0]["status"] == 500
    assert [line["event"] for line in logged] == ["unhandled error", "request"]
    assert isinstance(logged[0]["exc_info"], RuntimeError)
    assert b'http_requests_total{method="GET",route="unmatched",status="500"} 1.0' in observed.metrics.exposition()
    assert b"http_requests_in_flight 0.0" in observed.metrics.exposition()


async def test_a_bug_in_the_middle_of_an_answer_is_logged_and_the_connection_breaks() -> None:
    _, logged, _ = await answer(Failing(RuntimeError("bug"), begins=True))
    assert [line["event"] for line in logged] == ["unhandled error", "request"]


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([AnswerBrokenOff("its reader stalled")], "its reader stalled"),
        ([StatementCanceled(), DatabaseUnavailable("statements/school_lines")], "StatementCanceled"),
        ([DatabaseUnavailable("statements/school_lines"), RuntimeError("bug")], None),
    ],
)
async def test_an_answer_that_is_broken_off_is_no_bug_unless_a_bug_is_among_its_causes(
    errors: list[Exception], reason: str | None
) -> None:
    wrapped = LitestarException("Exception caught after response started")
    wrapped.__cause__ = ExceptionGroup("unhandled errors in a TaskGroup", errors)
    for error in (wrapped, wrapped.__cause__, *(errors if len(errors) == 1 else ())):
        _, logged, _ = await answer(Failing(error, begins=True))
        event = "an answer was broken off" if reason else "unhandled error"
        assert [(line["event"], line.get("reason")) for line in logged] == [(event, reason), ("request", None)]


@pytest.mark.parametrize("begins", [False, True])
async def test_what_fails_because_the_client_has_left_is_neither_a_bug_nor_a_500(*, begins: bool) -> None:
    _, logged, observed = await answer(Failing(RuntimeError("gone"), begins=begins, listens=True))
    assert [(line["event"], line["status"]) for line in logged] == [("request", 499)]
    assert b"http_errors_total{" not in observed.metrics.exposition()
