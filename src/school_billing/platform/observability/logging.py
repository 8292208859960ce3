"""Logs: structlog, readable on a terminal and JSON otherwise; uvicorn's lines go the same way."""

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from school_billing.platform.database.context import context
from school_billing.platform.observability.errors import message_for_logs

# Without the local variables, which structlog shows unless told otherwise: they hold tokens and names.
_TRANSFORM = ExceptionDictTransformer(show_locals=False)


def _without_values(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """Make a traceback for JSON whose messages quote no value of a row or a body."""
    found = _TRANSFORM(exc_info)
    _replace_messages(found, exc_info[1])
    return found


def _replace_messages(stacks: list[dict[str, Any]], error: BaseException | None) -> None:
    for stack in stacks:
        # The same way down the chain as structlog goes; where they part, no message is better than a wrong one.
        known = error is not None and type(error).__name__ == stack["exc_type"]
        stack["exc_value"] = message_for_logs(error) if known and error is not None else ""
        stack["exc_notes"] = []
        if isinstance(error, BaseExceptionGroup):
            for inner, inner_stacks in zip(error.exceptions, stack.get("exceptions", []), strict=False):
                _replace_messages(inner_stacks, inner)
        if error is not None:
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


_TRACEBACKS = structlog.processors.ExceptionRenderer(_without_values)


def configure_logging(level: str = "info", form: Literal["auto", "console", "json"] = "auto") -> None:
    """Send every log line of the process to standard error, from `level` on, in the given form."""
    readable = sys.stderr.isatty() if form == "auto" else form == "console"
    final: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if readable
        else [_TRACEBACKS, _render_json]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _describe],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    _AccessLog.is_plain = not readable and level in {"debug", "info"}
    structlog.configure(
        processors=[_describe, *final],
        # Not by way of the standard library, through which an access line takes six times as long.
        logger_factory=_StandardError,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )


class AccessLine(msgspec.Struct, frozen=True, kw_only=True):
    """How a request was answered, in the words of its log line."""

    method: str
    route: str
    path: str | None
    status: int
    duration_ms: float
    user: str | None
    school: str | None
    request_id: str | None
    trace_id: str | msgspec.UnsetType = msgspec.UNSET
    timestamp: datetime
    event: str = "request"
    level: str = "info"
    logger: str = "school_billing.access"


def log_access(line: AccessLine) -> None:
    """Log how a request was answered.

    There is one for each request, so where lines are JSON it is encoded as it is: by way of structlog it would cost a
    small request an eighth of its time.
    """
    if _AccessLog.is_plain:
        _StandardError.write_soon(_encode(line))
        return
    told = {
        name: getattr(line, name) for name in ("method", "route", "path", "status", "duration_ms", "user", "school")
    }
    structlog.get_logger(line.logger).info(line.event, **told)


class _AccessLog:
    is_plain = False
    """Whether an access line is nothing but its JSON; configure_logging decides."""


_encode = msgspec.json.Encoder().encode


class _StandardError:
    """A logger that writes finished lines to standard error, and swallows what it cannot write, as logging does.

    What goes well waits for the end of the event loop's turn, to be written with all of that turn at once: under load
    one system call serves many requests. What does not is written at once, behind what waits.
    """

    waiting: ClassVar[list[bytes]] = []

    def __init__(self, name: str = "") -> None:
        self.name = name

    def info(self, line: str) -> None:
        """Write one line, soon."""
        self.write_soon(line.encode("utf-8", "backslashreplace"))

    def error(self, line: str) -> None:
        """Write one line, now."""
        encoded = line.encode("utf-8", "backslashreplace")
        if _running_loop() is None:
            _write([encoded])
            return
        self.waiting.append(encoded)
        self._write_waiting()

    debug = info
    warning = critical = error

    @classmethod
    def write_soon(cls, line: bytes) -> None:
        """Write one line at the end of this turn; now, where no loop runs."""
        loop = _running_loop()
        if loop is None:
            _write([line])
            return
        if not cls.waiting:
            loop.call_soon(cls._write_waiting)
        cls.waiting.append(line)

    @classmethod
    def _write_waiting(cls) -> None:
        _write(cls.waiting)
        cls.waiting.clear()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, for what waits belongs to one thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _write(lines: Sequence[bytes]) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.buffer.write(b"\n".join([*lines, b""]))
        sys.stderr.buffer.flush()


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=repr).decode()
    except UnicodeEncodeError:  # Half of a surrogate pair, which only escapes can tell.
        return json.dumps(event, default=repr)


def _describe(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Add the level, the logger, the time in UTC and the request: in one step, for it is taken with every request."""
    record: logging.LogRecord | None = event.get("_record")
    event["level"] = "error" if method == "exception" else method
    event["logger"] = logger.name if record is None else record.name
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    known = context()
    if known.request_id:
        event.setdefault("request_id", known.request_id)
    if known.trace_id:
        event.setdefault("trace_id", known.trace_id)
    event.pop("color_message", None)  # uvicorn's own copy of the event, for terminals.
    return event
