"""The connection pool, with the methods by which repositories run queries."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from time import perf_counter
from typing import Any, Self, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.database.connections import Connections
from school_billing.platform.database.errors import (
    ConnectionsBusy,
    ConstraintViolated,
    DatabaseUnavailable,
    SchemaOutdated,
    StatementCanceled,
    ValueRefused,
)
from school_billing.platform.database.sql import AnyQuery, Query
from school_billing.platform.settings import Settings

# The message also has other names in quotes, such as the table's. The name may end with the number of the shard.
_CONSTRAINT_IN_MESSAGE = re.compile(r'constraint "(\w+?)(?:_\d{6,})?"')
_NAME = re.compile(r"[a-z_0-9]+")

Row = TypeVar("Row")
Answer = TypeVar("Answer")

Observer = Callable[[AnyQuery, float, BaseException | None], None]

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.02
# A download takes a part of the event loop, not all of it: more rows at once, or no rest between them, would make each
# short request wait for milliseconds.
_ROWS_AT_ONCE = 200
_REST_SECONDS = 0.005
_CLOSE_TIMEOUT_SECONDS = 1  # No request runs when the pool closes, so the connections may be dropped.

_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidTransactionStateError,  # A primary that became a standby refuses writes.
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,
)


class _Unsent(Exception):
    """The statement was not sent, so even a write can be tried again."""


class PoolSize(msgspec.Struct, frozen=True):
    """The connections of the pool. `idle` ones are also `open`; `waiting` counts callers."""

    open: int
    idle: int
    limit: int
    waiting: int


class Database:
    """A pool of connections to the PostgreSQL of `settings`, open inside `async with`.

    Every query is one statement that commits by itself, so it costs one round trip. There is no BEGIN, and there is no
    RESET when a connection is returned, because no query changes a session.
    """

    by_school = False
    """Whether a statement that would change rows of all schools runs for each school instead."""

    def __init__(self, settings: Settings) -> None:
        pool_max = settings.database_pool_max
        statement_timeout_ms = settings.database_statement_timeout_ms
        self._acquire_timeout_seconds = settings.database_acquire_timeout_ms / 1000
        self._options: dict[str, Any] = {
            "dsn": settings.database_url,
            "min_size": settings.database_pool_min,
            "max_size": pool_max,
            "init": _prepare_connection,
            "reset": _leave_as_is,
            "statement_cache_size": settings.database_prepared_statements,
            # 0 means no limit. A longer statement would be prepared without a name and run in a second step, which a
            # PgBouncer that pools transactions may do on another connection.
            "max_cacheable_statement_size": 0,
            # A little longer than the server's limit, because the server's error is clearer.
            "command_timeout": statement_timeout_ms / 1000 + 5,
            "timeout": self._acquire_timeout_seconds,
            "server_settings": {
                "application_name": settings.database_application_name,
                "statement_timeout": str(statement_timeout_ms),
                "lock_timeout": str(settings.database_lock_timeout_ms),
                "timezone": "UTC",
                "datestyle": "ISO",
            },
        }
        # A slow client keeps its connection, so streams use at most half of the pool, and one school an eighth.
        self._streams = BoundedQueue(
            max(1, pool_max // 2),
            ConnectionsBusy,
            share_at_once=max(1, pool_max // 8),
            wait_seconds=self._acquire_timeout_seconds,
        )
        self.observer: Observer | None = None
        """It is called after each query with the query, its seconds on a connection, and its error."""

    async def __aenter__(self) -> Self:
        """Open the pool. With a `pool_min` of 0, PostgreSQL may start later, because no connection is opened yet."""
        try:
            self._pool = await asyncpg.create_pool(**self._options)
        except _UNAVAILABLE as error:
            raise DatabaseUnavailable(f"The database cannot be reached: {error}") from error
        self._connections = Connections(self._pool, self._acquire_timeout_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool, within a bounded time."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                await self._connections.return_all()
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Run `query` and return its first row as the query's struct, or None.

        Raises:
            ConstraintViolated: A constraint of the schema refused the change.
            ValueRefused: A value is outside the range of its type.
            DatabaseUnavailable: No connection is free, or the connection was lost.
        """
        rows = await self.all(query, **values)
        return rows[0] if rows else None

    async def one_or_raise(self, query: Query[Row], missing: type[Exception], /, **values: Any) -> Row:
        """Run `query` and return its first row, or raise `missing`. Raises like `one_or_none`, too."""
        row = await self.one_or_none(query, **values)
        if row is None:
            raise missing
        return row

    async def one(self, query: Query[Row], /, **values: Any) -> Row:
        """Run `query`, which always returns one row, and return the row. Raises like `one_or_none`."""
        (row,) = await self.all(query, **values)
        return row

    async def all(self, query: Query[Row], /, **values: Any) -> list[Row]:
        """Run `query` and return all rows as the query's struct. Raises like `one_or_none`."""
        arguments = query.arguments(values)
        records = await self._run(query, lambda c: c.fetch(query.text, *arguments))
        return [query.returns(*record) for record in records]

    async def count(self, query: AnyQuery, /, **values: Any) -> int:
        """Return the number of rows of `query`. Raises like `one_or_none`."""
        arguments = query.arguments(values)
        counted: int = await self._run(query, lambda c: c.fetchval(query.count_text, *arguments))
        return counted

    async def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Run `query` with a cursor and yield its rows in parts. All parts show the same moment.

        Close the generator with contextlib.aclosing, so that the connection is free at once.
        """
        async with self.streaming(school_id) as transaction, aclosing(transaction.stream(query, **values)) as parts:
            async for part in parts:
                yield part

    @asynccontextmanager
    async def streaming(self, school_id: UUID) -> AsyncIterator["Transaction"]:
        """Open a transaction for a client that may read slowly. Raise ConnectionsBusy if there are too many."""
        async with self._streams.turn(school_id), self.transaction() as transaction:
            yield transaction

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """Open a read-only transaction. Each query in it sees the changes that were committed before the query."""
        try:
            connection = await self._connections.take()
            is_clean = False
            try:
                transaction = connection.transaction(readonly=True)
                await transaction.start()
                yield Transaction(connection, self)
                await transaction.commit()
                is_clean = True
            except BaseException:
                # A cancelled caller leaves a transaction open. Drop the connection: a hung server would never answer
                # ROLLBACK.
                connection.terminate()
                raise
            finally:
                await self._connections.give_back(connection, is_clean=is_clean)
        except (asyncpg.DataError, OverflowError) as error:
            raise ValueRefused("a transaction") from error
        except (asyncpg.TransactionRollbackError, asyncpg.QueryCanceledError) as error:
            raise StatementCanceled from error
        except _UNAVAILABLE as error:
            raise DatabaseUnavailable("a transaction") from error

    def size(self) -> PoolSize:
        """Count the connections and the callers that wait for one."""
        return PoolSize(
            open=self._pool.get_size(),
            idle=self._connections.idle,
            limit=self._pool.get_max_size(),
            waiting=self._connections.waiting + self._streams.waiting,
        )

    async def _run(self, query: AnyQuery, run: Callable[[Any], Awaitable[Answer]]) -> Answer:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._try(query, run)
            except asyncpg.IntegrityConstraintViolationError as error:
                constraint = constraint_of(error)
                if attempt == _ATTEMPTS or constraint not in query.again_on:
                    raise ConstraintViolated(constraint, query, facts_of(error)) from error
                continue
            except (asyncpg.DataError, OverflowError) as error:
                raise ValueRefused(query.name) from error
            except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError) as error:
                raise SchemaOutdated from error
            except _Unsent as error:
                if attempt == _ATTEMPTS:
                    raise DatabaseUnavailable(query.name) from error.__cause__
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
                # PostgreSQL has undone the statement and says that another attempt may succeed.
                if attempt == _ATTEMPTS:
                    raise DatabaseUnavailable(query.name) from error
            except _UNAVAILABLE as error:
                # The statement was sent, and its result is unknown, so a write is not sent again.
                if query.writes or attempt == _ATTEMPTS or isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
                    raise DatabaseUnavailable(query.name) from error
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    async def _try(self, query: AnyQuery, run: Callable[[Any], Awaitable[Answer]]) -> Answer:
        try:
            connection = await self._connections.take()
        except TimeoutError as error:
            raise DatabaseUnavailable(query.name) from error
        except _UNAVAILABLE as error:
            raise _Unsent from error
        is_clean = False
        try:
            if connection.is_closed():
                raise _Unsent
            answer = await self.observed(query, run(connection))
            is_clean = True
            return answer
        except _UNAVAILABLE:
            # The driver may not have noticed that the connection is lost, and the next request would get it.
            connection.terminate()
            raise
        finally:
            await self._connections.give_back(connection, is_clean=is_clean)

    async def observed(self, query: AnyQuery, answer: Awaitable[Answer]) -> Answer:
        """Wait for the answer of a query, and report the time and any error to the observer."""
        started = perf_counter()
        raised: BaseException | None = None
        try:
            return await answer
        except BaseException as error:
            raised = error
            raise
        finally:
            if self.observer is not None:
                self.observer(query, perf_counter() - started, raised)


def constraint_of(error: asyncpg.IntegrityConstraintViolationError) -> str:
    """Return the name of the constraint that refused a change, or "" if the error has no name.

    The coordinator of a Citus cluster does not pass on the field with the name. PostgreSQL's own messages name the
    constraint, and our triggers put its name into the hint.
    """
    if name := getattr(error, "constraint_name", None):
        return str(name)
    if match := _CONSTRAINT_IN_MESSAGE.search(str(error)):
        return match[1]
    hint = getattr(error, "hint", None) or ""
    return hint if _NAME.fullmatch(hint) else ""


def facts_of(error: asyncpg.IntegrityConstraintViolationError) -> dict[str, str]:
    """Return what a trigger of the schema tells as a JSON object in DETAIL. PostgreSQL's own DETAIL is no JSON."""
    try:
        return msgspec.json.decode(getattr(error, "detail", None) or "{}", type=dict[str, str])
    except msgspec.DecodeError:
        return {}


class Transaction:
    """A read-only transaction of Database.transaction. now() is the moment at which the transaction began."""

    def __init__(self, connection: Any, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def all(self, query: Query[Row], /, **values: Any) -> list[Row]:
        """Run `query` and return all rows."""
        answer = self._connection.fetch(query.text, *query.arguments(values))
        return [query.returns(*record) for record in await self._database.observed(query, answer)]

    async def stream(self, query: Query[Row], /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Run `query` with a cursor and yield its rows in parts. All parts show the same moment."""
        cursor = await self._connection.cursor(query.text, *query.arguments(values))
        while records := await self._database.observed(query, cursor.fetch(_ROWS_AT_ONCE)):
            yield [query.returns(*record) for record in records]
            await asyncio.sleep(_REST_SECONDS)


async def _prepare_connection(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Return JSON as the database wrote it, neither parsed nor written again."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=str, decoder=lambda text: msgspec.Raw(text.encode())
    )


async def _leave_as_is(_connection: object) -> None:
    """Reset nothing: no query changes a session, and a reset would cost a round trip."""
