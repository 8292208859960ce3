"""Logs: structlog writes JSON, or readable text on a terminal. Lines of the standard library go the same way."""

import asyncio
import json
import logging
import sys
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, Literal

import asyncpg
import msgspec
import psycopg
import structlog
from structlog.processors import ExceptionRenderer, TimeStamper
from structlog.stdlib import add_log_level, add_logger_name
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from school_billing.platform.database.context import context
from school_billing.platform.database.errors import DatabaseError

# Local variables hold tokens and names.
_TRANSFORM = ExceptionDictTransformer(show_locals=False)

UNMATCHED = "unmatched"  # The route of a request that no route matches.


class AccessLine(msgspec.Struct, frozen=True, kw_only=True):
    """The log line of a request."""

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

    is_written_directly: ClassVar[bool] = False
    """Whether lines are JSON and of this level; configure_logging decides."""

    def log(self) -> None:
        """Write the line: directly if possible, because structlog would take an eighth of a small request's time."""
        if self.is_written_directly:
            _write_soon(_encode(self))
        else:
            structlog.get_logger(self.logger).info(**msgspec.to_builtins(self))


_encode = msgspec.json.Encoder().encode


def configure_logging(level: str = "info", form: Literal["auto", "console", "json"] = "auto") -> None:
    """Send every log line of the process to standard error, from `level` on, in the given form."""
    readable = sys.stderr.isatty() if form == "auto" else form == "console"
    AccessLine.is_written_directly = not readable and level in {"debug", "info"}
    final: list[Processor] = [ExceptionRenderer(_traceback), _as_json]
    if readable:
        final = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    structlog.configure(
        processors=[add_log_level, add_logger_name, TimeStamper(fmt="iso"), _add_request, *final],
        logger_factory=_StandardError,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[LinesToStructlog()], level=level.upper(), force=True)


class LinesToStructlog(logging.Handler):
    """Passes the lines of the standard library on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, unless it is about an error that the application has logged itself."""
        if record.exc_info and getattr(record.exc_info[1], "is_logged", False):
            return
        try:
            log = structlog.get_logger(record.name)
            log.log(record.levelno // 10 * 10, record.getMessage(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


class _StandardError:
    """A logger of finished lines."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def info(self, line: str | bytes) -> None:
        """Write one line soon."""
        _write_soon(line.encode("utf-8", "backslashreplace") if isinstance(line, str) else line)

    def error(self, line: str | bytes) -> None:
        """Write one line now, because the process may be about to end."""
        self.info(line)
        _write_waiting()

    debug = info
    warning = critical = error


_waiting: list[bytes] = []  # Only the thread of the event loop uses it.


def _write_soon(line: bytes) -> None:
    """Write the lines of one turn of the event loop together: under load, one system call serves many requests.

    structlog's BytesLogger writes each line by itself, which cost GET /health 4 to 6 %, and raises if it cannot write.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        _write([line])
        return
    if not _waiting:
        loop.call_soon(_write_waiting)
    _waiting.append(line)


def _write_waiting() -> None:
    lines = _waiting.copy()
    _waiting.clear()
    _write(lines)


def _write(lines: list[bytes]) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.buffer.write(b"\n".join([*lines, b""]))
        sys.stderr.buffer.flush()


def _add_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    current = context()
    for name, value in (("request_id", current.request_id), ("trace_id", current.trace_id)):
        if value:
            event.setdefault(name, value)
    return event


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    try:
        return msgspec.json.encode(event, enc_hook=repr)
    except UnicodeEncodeError:  # UTF-8 has no half of a surrogate pair; an escape has.
        return json.dumps(event, default=repr).encode()


def facts_of(error: BaseException) -> str | None:
    """Return facts about a failed query, without a value of any row; None for other errors."""
    if isinstance(error, DatabaseError):
        return str(error)
    if not isinstance(error, (asyncpg.PostgresError, psycopg.Error)):
        return None
    source = getattr(error, "diag", error)  # psycopg keeps the fields of the server's answer there.
    facts = (getattr(source, field, None) for field in ("sqlstate", "constraint_name", "table_name"))
    labelled = zip(("SQLSTATE", "constraint", "table"), facts, strict=True)
    return ", ".join(f"{label} {fact}" for label, fact in labelled if fact)


def _traceback(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """Make a traceback for JSON. Its messages quote no value of a row or a body."""
    return _without_values(_TRANSFORM(exc_info), exc_info[1])


def _without_values(stacks: list[dict[str, Any]], error: BaseException | None) -> list[dict[str, Any]]:
    for stack in stacks:
        stack["exc_value"], stack["exc_notes"] = "", []
        # This follows the chain of causes as structlog does. If the two differ, a stack has no message.
        if error is None or type(error).__name__ != stack["exc_type"]:
            continue
        message = "(not logged: it may quote a value)" if isinstance(error, (ValueError, LookupError)) else str(error)
        facts = facts_of(error)
        stack["exc_value"] = message if facts is None else facts
        if isinstance(error, BaseExceptionGroup):
            for inner, inner_stacks in zip(error.exceptions, stack.get("exceptions", []), strict=False):
                _without_values(inner_stacks, inner)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return stacks
