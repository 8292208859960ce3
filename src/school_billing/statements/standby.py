"""Statements from a streaming standby, as soon as it has replayed all that the primary had when the request came."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar, get_type_hints
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import asdict, replace

from school_billing.platform.database.errors import (
    ConnectionsBusy,
    DatabaseUnavailable,
    SchemaOutdated,
    StatementCanceled,
    ValueRefused,
)
from school_billing.platform.database.pool import Database, Transaction
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.statements.circuit_breaker import CircuitBreaker

Row = TypeVar("Row")

ANSWER_SECONDS = 1.0  # For the standby to say whether it is level, including a new connection.
ACQUIRE_MS = 500  # The part of it in which to wait for a connection, or for the end of another download.
WAIT_SECONDS = 0.05  # For the standby to become level. If that was in vain, no request waits for the next second.
PAUSE_SECONDS = 5.0  # In which a standby that failed is left alone, so that a standby that hangs slows one request.
WARNING_SECONDS = 60.0  # Between two warnings that the standby is never level.

log = structlog.get_logger("school_billing.statements")


class Position(Struct, frozen=True):
    """Where the write-ahead log of the primary ends."""

    position: str
    system_identifier: int
    database_id: int
    timeline: int
    asked_at: datetime


class Level(Struct, frozen=True):
    """Whether the standby has replayed a position."""

    is_level: bool


POSITION = Query("statements/position", Position)
IS_LEVEL = Query("statements/is_level", Level, **get_type_hints(Position))


class _Behind(Exception):
    """The standby is not level."""


def standby_of(settings: Settings) -> Database | None:
    """Return the standby of the settings. It opens no connection before it needs one, so no start waits for it."""
    if not settings.read_database_url:
        return None
    url = settings.read_database_url
    return Database.of(replace(settings, database_url=url, database_pool_min=0, database_acquire_timeout_ms=ACQUIRE_MS))


class StandbyReader:
    """Reads from `standby` if it is level, else from `primary`.

    `count` gets the server that answered and the reason: level; or behind, busy, canceled, unavailable.
    """

    def __init__(self, primary: Database, standby: Database, count: Callable[[str, str], None]) -> None:
        self._primary = primary
        self._standby = standby
        self._count = count
        self._breaker = CircuitBreaker("the standby", PAUSE_SECONDS)
        self._waits_at = 0.0
        self._behind_since: float | None = None

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Read a row like Database.one_or_none."""
        if (position := await self._position()) is not None:
            with self._fallback():
                async with self._level(position, self._standby.transaction) as transaction:
                    row = await transaction.one_or_none(query, **values)
                if row is not None:
                    self._count("standby", "level")
                return row
        return await self._primary.one_or_none(query, **values)

    async def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Read rows like Database.stream. After the first part, the stream stays with the server that it began on."""
        if (position := await self._position()) is not None:
            async with aclosing(self._parts(position, query, school_id, values)) as parts:
                first = None
                with self._fallback():
                    first = await anext(parts)
                    self._count("standby", "level")
                if first is not None:
                    yield first
                    async for part in parts:
                        yield part
                    return
        async with aclosing(self._primary.stream(query, school_id, **values)) as parts:
            async for part in parts:
                yield part

    async def _parts(
        self, position: Position, query: Query[Row], school_id: UUID, values: dict[str, Any]
    ) -> AsyncGenerator[list[Row]]:
        async with (
            self._level(position, lambda: self._standby.streaming(school_id)) as transaction,
            aclosing(transaction.stream(query, **values)) as parts,
        ):
            yield await anext(parts, [])  # If there are no rows, an empty part says that the standby served.
            async for part in parts:
                yield part

    async def _position(self) -> Position | None:
        """Return the primary's position, or None if this request has to read from the primary.

        Raises:
            DatabaseUnavailable: The primary does not answer.
        """
        if not self._breaker.allows():
            self._count("primary", "unavailable")
            return None
        try:
            return await self._primary.one(POSITION)
        except Exception as error:  # It may be a standby itself, or lack a function.
            if isinstance(error, DatabaseUnavailable) and not isinstance(error, SchemaOutdated):
                raise
            self._count("primary", "unavailable")
            self._breaker.fail(error)
            return None

    @asynccontextmanager
    async def _level(
        self, position: Position, begin: Callable[[], AbstractAsyncContextManager[Transaction]]
    ) -> AsyncIterator[Transaction]:
        """Wait for the standby and give a transaction there. Its next query sees all that was replayed by then."""
        if self._standby.size().is_exhausted:
            raise ConnectionsBusy  # The primary can answer without waiting.
        gives_up_at = monotonic() + (WAIT_SECONDS if monotonic() >= self._waits_at else 0)
        while True:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(ANSWER_SECONDS):
                    transaction = await stack.enter_async_context(begin())
                    level = await transaction.one_or_none(IS_LEVEL, **asdict(position))
                self._breaker.succeed()
                if level is not None and level.is_level:
                    self._behind_since = None
                    yield transaction
                    return
            if monotonic() >= gives_up_at:
                raise _Behind
            await asyncio.sleep(0.002)

    @contextmanager
    def _fallback(self) -> Iterator[None]:
        """Go on after the block if the standby fails in it, because the primary is there."""
        try:
            yield
        except ValueRefused:
            raise  # The primary would refuse the value, too.
        except _Behind:
            self._count("primary", "behind")
            self._note_lag(monotonic())
        except StatementCanceled:
            self._count("primary", "canceled")
        except ConnectionsBusy:
            self._count("primary", "busy")
        except Exception as error:  # Whatever is wrong with the standby.
            self._count("primary", "unavailable")
            self._breaker.fail(error)

    def _note_lag(self, now: float) -> None:
        self._waits_at = now + 1
        if self._behind_since is None:
            self._behind_since = now
        elif now >= self._behind_since + WARNING_SECONDS:
            self._behind_since = now
            log.warning("the standby is never level, or it belongs to another primary; the primary serves statements")
