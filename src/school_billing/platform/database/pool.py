"""The connection pool, and the ways in which a repository runs a query."""

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

# What a message names beside the constraint, such as the table, stands in quotes as well.
_CONSTRAINT_OF_SHARD = re.compile(r'constraint "(\w+)_\d+"')

Row = TypeVar("Row")
Answer = TypeVar("Answer")

Observer = Callable[[AnyQuery, float, BaseException | None], None]

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.02
_ROWS_AT_ONCE = 1_000
_CLOSE_TIMEOUT_SECONDS = 1  # Nobody works any more when the pool is closed; a database that does not answer is left.

_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidTransactionStateError,  # A primary that became a standby takes no writes.
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,
)


class _Unsent(Exception):
    """There was no connection to send the statement on, so it can be tried again whatever it does."""


class PoolSize(msgspec.Struct, frozen=True):
    """How many connections the pool has: open, of them idle, the most it may open, and who waits for one."""

    open: int
    idle: int
    limit: int
    waiting: int

    @property
    def is_exhausted(self) -> bool:
        """Whether who comes next has to wait."""
        return self.open - self.idle >= self.limit


class Database:
    """A pool of connections to the PostgreSQL at `url`, open inside `async with`.

    Every query is one statement that commits by itself, so a request costs one round trip for each: there is no
    BEGIN, and no RESET when a connection goes back, because nothing here changes a session.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_min: int = 1,
        pool_max: int = 10,
        acquire_timeout_ms: int = 5_000,
        statement_timeout_ms: int = 30_000,
        prepared_statements: int = 100,
        application_name: str = "school-billing",
    ) -> None:
        self._acquire_timeout_seconds = acquire_timeout_ms / 1000
        self._options: dict[str, Any] = {
            "dsn": url,
            "min_size": pool_min,
            "max_size": pool_max,
            "init": _prepare_connection,
            "reset": _leave_as_is,
            "statement_cache_size": prepared_statements,
            # However long its text: one that is left out of the cache would be prepared without a name and run in a
            # second step, and a PgBouncer that pools transactions may do that on another connection.
            "max_cacheable_statement_size": 0,
            # A little longer than the server's own limit, which gives the clearer error.
            "command_timeout": statement_timeout_ms / 1000 + 5,
            "timeout": self._acquire_timeout_seconds,
            "server_settings": {
                "application_name": application_name,
                "statement_timeout": str(statement_timeout_ms),
                "timezone": "UTC",
            },
        }
        # A slow reader keeps its connection, so streams use at most half of the pool, and one school a quarter.
        streams = max(1, pool_max // 2)
        self._streams = BoundedQueue(
            streams, ConnectionsBusy, share=max(1, streams // 2), wait_seconds=self._acquire_timeout_seconds
        )
        self.observer: Observer | None = None
        """Is told of each query, its seconds, the wait for a connection not counted, and what it raised."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the database that `settings` name."""
        return cls(
            settings.database_url,
            pool_min=settings.database_pool_min,
            pool_max=settings.database_pool_max,
            acquire_timeout_ms=settings.database_acquire_timeout_ms,
            statement_timeout_ms=settings.database_statement_timeout_ms,
            prepared_statements=settings.database_prepared_statements,
            application_name=settings.database_application_name,
        )

    async def __aenter__(self) -> Self:
        """Open the pool. With a `pool_min` of 0 this connects to nothing, so PostgreSQL need not be there yet.

        Raises:
            DatabaseUnavailable: Nothing answers there.
        """
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
        """Run `query` and return its first row as the struct that it fills, or None.

        Raises:
            ConstraintViolated: A constraint of the schema refused the change.
            ValueRefused: A value means nothing to the database.
            DatabaseUnavailable: There is no connection to be had, or it was lost.
        """
        arguments = query.arguments(values)
        record = await self._run(query, lambda c: c.fetchrow(query.text, *arguments))
        return None if record is None else query.returns(*record)

    async def one(self, query: Query[Row], /, **values: Any) -> Row:
        """Run `query`, which always gives one row, and return that; raises like `one_or_none`."""
        (row,) = await self.all(query, **values)
        return row

    async def all(self, query: Query[Row], /, **values: Any) -> list[Row]:
        """Run `query` and return every row as the struct that it fills; raises like `one_or_none`."""
        arguments = query.arguments(values)
        records = await self._run(query, lambda c: c.fetch(query.text, *arguments))
        return [query.returns(*record) for record in records]

    async def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Run `query` with a cursor and yield its rows part by part, all of one moment, in memory for one part.

        Close it with contextlib.aclosing, so that the connection is free at once.

        Raises:
            DatabaseUnavailable: There is no connection, it was lost, or too many streams are under way.
        """
        async with self.streaming(school_id) as transaction, aclosing(transaction.stream(query, **values)) as parts:
            async for part in parts:
                yield part

    @asynccontextmanager
    async def streaming(self, school_id: UUID) -> AsyncIterator["Transaction"]:
        """Hold a transaction for a client that may read slowly. Raises ConnectionsBusy if too many do so."""
        async with self._streams.turn(school_id), self.transaction() as transaction:
            yield transaction

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """Hold a read-only transaction until the end of the block; each query in it sees what is committed by then.

        Raises:
            ValueRefused: A value means nothing to the database.
            StatementCanceled: PostgreSQL gave a statement up.
            DatabaseUnavailable: There is no connection, or it was lost.
        """
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
        """Tell how many connections there are."""
        return PoolSize(
            open=self._pool.get_size(),
            idle=self._connections.idle,
            limit=self._pool.get_max_size(),
            waiting=self._connections.waiting + self._streams.waiting,
        )

    async def _run(
        self,
        query: AnyQuery,
        run: Callable[[Any], Awaitable[Answer]],
    ) -> Answer:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._try(query, run)
            except asyncpg.IntegrityConstraintViolationError as error:
                raise ConstraintViolated(constraint_of(error), query) from error
            except (asyncpg.DataError, OverflowError) as error:
                raise ValueRefused(query.name) from error
            except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError) as error:
                raise SchemaOutdated("The database is not migrated: run `school-billing migrate` first.") from error
            except _Unsent as error:
                if attempt == _ATTEMPTS:
                    raise DatabaseUnavailable(query.name) from error.__cause__
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
                # PostgreSQL has undone the statement and says that another attempt may succeed.
                if attempt == _ATTEMPTS:
                    raise DatabaseUnavailable(query.name) from error
            except _UNAVAILABLE as error:
                # The statement was sent, and nobody knows what became of it: a write is not sent again.
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
            # The driver may not know yet that the connection is gone, and would give it to the next request.
            connection.terminate()
            raise
        finally:
            await self._connections.give_back(connection, is_clean=is_clean)

    async def observed(self, query: AnyQuery, answer: Awaitable[Answer]) -> Answer:
        """Wait for the answer of a query and tell the observer how long it took."""
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
    """Return the name of the constraint that refused a change, empty where the error has none.

    The coordinator of a Citus cluster hands on a worker's message alone, which has the name of the shard's constraint.
    """
    if name := getattr(error, "constraint_name", None):
        return str(name)
    named = _CONSTRAINT_OF_SHARD.search(str(error))
    return named[1] if named else ""


class Transaction:
    """A read-only transaction, made by Database.transaction. In it, now() is the moment at which it began."""

    def __init__(self, connection: Any, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Run `query` and return its first row, or None."""
        arguments = query.arguments(values)
        record = await self._database.observed(query, self._connection.fetchrow(query.text, *arguments))
        return None if record is None else query.returns(*record)

    async def stream(self, query: Query[Row], /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Run `query` with a cursor and yield its rows part by part, all of one moment, in memory for one part."""
        cursor = await self._connection.cursor(query.text, *query.arguments(values))
        while records := await self._database.observed(query, cursor.fetch(_ROWS_AT_ONCE)):
            yield [query.returns(*record) for record in records]


async def _prepare_connection(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Leave JSON as the database wrote it: what passes through is neither parsed nor written anew."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=str, decoder=lambda text: msgspec.Raw(text.encode())
    )


async def _leave_as_is(_connection: object) -> None:
    """Reset nothing: no query of ours changes a session, and a reset is a round trip at every release."""
