"""Statements from a streaming standby, as soon as it has replayed all that the primary had when the request came."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

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
Answer = TypeVar("Answer")

ANSWER_SECONDS = 1.0  # For the standby to say whether it is level, including a new connection.
ACQUIRE_MS = 500  # The part of it in which to wait for a connection, or for the end of another download.
WAIT_SECONDS = 0.05  # For the standby to become level. If that was in vain, no request waits for the next second.
PAUSE_SECONDS = 5.0  # In which a standby that failed is left alone, so that a standby that hangs slows one request.


class Position(Struct, frozen=True):
    """Where the write-ahead log of the primary ends."""

    position: str
    system_identifier: int
    database_id: int
    timeline: int
    asked_at: datetime


POSITION = Query("statements/position", Position)
IS_LEVEL = Query("statements/is_level", bool)


class _Behind(Exception):
    """The standby is not level."""


_HARMLESS = {_Behind: "behind", StatementCanceled: "canceled", ConnectionsBusy: "busy"}
"""The reasons why the primary serves a request, although the standby works."""


def standby_of(settings: Settings) -> Database | None:
    """Return the standby of the settings. It opens no connection before it needs one, so no start waits for it."""
    if not settings.read_database_url:
        return None
    url = settings.read_database_url
    return Database(replace(settings, database_url=url, database_pool_min=0, database_acquire_timeout_ms=ACQUIRE_MS))


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

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Read a row like Database.one_or_none."""
        async with AsyncExitStack() as stack:
            row = await self._try(stack, self._standby.transaction, lambda standby: standby.all(query, **values))
        if row is not None:
            return row[0] if row else None
        return await self._primary.one_or_none(query, **values)

    async def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Read rows like Database.stream. After the first part, the stream stays with the server that it began on."""
        async with AsyncExitStack() as stack:

            async def begin(standby: Transaction) -> tuple[list[Row], AsyncGenerator[list[Row]]]:
                parts = await stack.enter_async_context(aclosing(standby.stream(query, **values)))
                return await anext(parts, []), parts

            begun = await self._try(stack, lambda: self._standby.streaming(school_id), begin)
            if begun is None:
                parts = await stack.enter_async_context(aclosing(self._primary.stream(query, school_id, **values)))
            else:
                first, parts = begun
                yield first
            async for part in parts:
                yield part

    async def _try(
        self,
        stack: AsyncExitStack,
        begin: Callable[[], AbstractAsyncContextManager[Transaction]],
        read: Callable[[Transaction], Awaitable[Answer]],
    ) -> Answer | None:
        """Return what `read` gets from the standby, or None if the primary has to answer. `stack` ends the transaction.

        Raises:
            DatabaseUnavailable: The primary does not answer.
            ValueRefused: The primary would refuse the value, too.
        """
        if not self._breaker.allows():
            self._count("primary", "unavailable")
            return None
        position = None
        try:
            position = await self._primary.one(POSITION)
            async with AsyncExitStack() as attempt:
                answer = await read(await self._level(attempt, begin, position))
                self._count("standby", "level")
                stack.push_async_exit(attempt.pop_all())
                return answer
        except ValueRefused:
            raise
        except Exception as error:  # Whatever is wrong with the standby. The primary may lack a function, too.
            if position is None and isinstance(error, DatabaseUnavailable) and not isinstance(error, SchemaOutdated):
                raise
            self._count("primary", _HARMLESS.get(type(error), "unavailable"))
            if type(error) not in _HARMLESS:
                self._breaker.fail(error)
            return None

    async def _level(
        self, stack: AsyncExitStack, begin: Callable[[], AbstractAsyncContextManager[Transaction]], position: Position
    ) -> Transaction:
        """Wait for the standby and return a transaction there. Its next query sees all that was replayed by then."""
        size = self._standby.size()
        if size.open - size.idle >= size.limit:
            raise ConnectionsBusy  # The primary can answer without waiting.
        gives_up_at = monotonic() + (WAIT_SECONDS if monotonic() >= self._waits_at else 0)
        while True:
            async with AsyncExitStack() as attempt:
                async with asyncio.timeout(ANSWER_SECONDS):
                    # A new transaction each time, because now() is compared as well.
                    transaction = await attempt.enter_async_context(begin())
                    (is_level,) = await transaction.all(IS_LEVEL, **asdict(position))
                self._breaker.succeed()
                if is_level:
                    stack.push_async_exit(attempt.pop_all())
                    return transaction
            if monotonic() >= gives_up_at:
                self._waits_at = monotonic() + 1
                raise _Behind
            await asyncio.sleep(0.002)
