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

from school_billing.database.context import context
from school_billing.observability.errors import message_for_logs

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
    structlog.configure(
        processors=[_describe, *final],
        # Not by way of the standard library, through which an access line takes six times as long.
        logger_factory=_StandardError,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )


class _StandardError:
    """A logger that writes finished lines to standard error, and swallows what it cannot write, as logging does.

    What goes well waits for the end of the event loop's turn, to be written with all of that turn at once: under load
    one system call serves many requests. What does not is written at once, behind what waits.
    """

    waiting: ClassVar[list[str]] = []

    def __init__(self, name: str = "") -> None:
        self.name = name

    def info(self, line: str) -> None:
        """Write one line, soon."""
        loop = _running_loop()
        if loop is None:
            _write([line])
            return
        if not self.waiting:
            loop.call_soon(self._write_waiting)
        self.waiting.append(line)

    def error(self, line: str) -> None:
        """Write one line, now."""
        if _running_loop() is None:
            _write([line])
            return
        self.waiting.append(line)
        self._write_waiting()

    debug = info
    warning = critical = error

    def _write_waiting(self) -> None:
        _write(self.waiting)
        self.waiting.clear()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, for what waits belongs to one thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _write(lines: Sequence[str]) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.buffer.write("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
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
