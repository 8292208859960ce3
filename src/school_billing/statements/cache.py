"""Statements in Redis or in the memory of the worker, for as long as nothing changes.

Each key contains the version of the school's statements, which comes from the database (version.sql). So a stale entry
can never be read, and nothing has to be deleted. If Redis is slow, full or gone, the statement is computed.

Each entry in Redis begins with a signature, so write access to Redis is not enough to forge a statement.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from datetime import date, datetime
from importlib.metadata import version
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

import msgspec
from cachetools import TTLCache

from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import AnyQuery, Query
from school_billing.platform.settings import Settings
from school_billing.platform.web.responses import KeptBody
from school_billing.statements.circuit_breaker import CircuitBreaker
from school_billing.statements.contracts import KeptStatement, StatementDocument
from school_billing.statements.repository import (
    PAYER,
    PAYER_AS_OF,
    SCHOOL,
    SCHOOL_AS_OF,
    STUDENT,
    STUDENT_AS_OF,
    StatementReader,
)

Row = TypeVar("Row")

_PAUSE_SECONDS = 1.0  # In which a Redis that failed is left alone, so that a slow one slows one request a second.
_LARGEST_BYTES = 5_000_000  # A larger statement is not worth storing.
_SIGNATURE_BYTES = 32
_SUBJECT = ("tenant", "school_id", "student_id", "payer_id")


class StatementVersion(msgspec.Struct, frozen=True):
    """The version of a school's statements."""

    changes: int
    """How many changes the school has had."""
    newest: UUID | None
    """The latest of them, which differs between two databases that share a Redis."""
    today: date
    """The school's day."""
    issued_until: datetime | None
    """The date of the latest invoice until now."""

    def __str__(self) -> str:
        return f"{self.changes}@{self.newest}@{self.today}@{self.issued_until}"


VERSION = Query("statements/version", StatementVersion)


class Store(Protocol):
    """Where statements are kept."""

    queries: Collection[AnyQuery]
    """The queries whose rows are worth a look-up of their version."""
    count: Callable[[str], None]
    """Counts an outcome."""

    async def get(self, key: str, query: AnyQuery) -> StatementDocument | None:
        """Return the statement with this key, or None."""

    async def put(self, key: str, query: AnyQuery, row: StatementDocument) -> StatementDocument:
        """Keep a statement if possible. Return it as the store keeps it."""

    async def close(self) -> None:
        """Release what the store uses."""


class CachedReader:
    """Reads statements from `store`, and the ones that are not there from `reader`.

    `database` says which version there is. Requests for the same statement at the same time compute it once.
    """

    def __init__(self, reader: StatementReader, database: Database, store: Store) -> None:
        self._reader = reader
        self._database = database
        self._store = store
        self._running: dict[str, asyncio.Future[StatementDocument | None]] = {}

    async def one_or_none(self, query: Query[Row], /, **values: Any) -> Row | None:
        """Read a row like Database.one_or_none, a statement from the store if it is there."""
        # There are too many instants for one to be asked for twice.
        if query not in self._store.queries or values.get("as_of") is not None:
            return await self._reader.one_or_none(query, **values)
        changes = await self._database.one_or_none(VERSION, **{name: values.get(name) for name in _SUBJECT})
        if changes is None:
            return None
        # The statement is computed after its version was read: it may contain a later change, but never lacks one.
        subject = next(values[name] for name in _SUBJECT[1:] if name in values)
        others = ",".join(f"{name}={value}" for name, value in values.items() if name not in _SUBJECT)
        key = f"{query.name.replace('statements/', 'statement:')}:{subject}:{changes}:{others}"
        return cast("Row | None", await self._once(key, cast("Query[StatementDocument]", query), values))

    def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Read rows like Database.stream; they are never stored."""
        return self._reader.stream(query, school_id, **values)

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def _once(
        self, key: str, query: Query[StatementDocument], values: dict[str, Any]
    ) -> StatementDocument | None:
        while (running := self._running.get(key)) is not None:
            await asyncio.wait({running})  # Unlike `await running`, this leaves it to the others if this caller leaves.
            if not running.cancelled():
                self._store.count("shared")
                return running.result()
        running = self._running[key] = asyncio.Future()
        try:
            row = await self._store.get(key, query)
            if row is None:
                row = await self._reader.one_or_none(query, **values)
                if row is not None:
                    row = await self._store.put(key, query, row)
            running.set_result(row)
        except Exception as error:
            running.set_exception(error)
            running.exception()  # Otherwise asyncio logs an error that nobody waited for.
            raise
        finally:
            del self._running[key]
            running.cancel()  # This caller left before it had the statement, so one that waits computes it.
        return row


class MemoryStore:
    """Keeps statements of schools in the memory of the worker, and forgets the ones that were not used for longest.

    Those of students and payers take the database as long as a look-up of their version. `count` gets each outcome:
    hit, miss, or shared with a request that computed it.
    """

    queries: Collection[AnyQuery] = frozenset({SCHOOL, SCHOOL_AS_OF})

    def __init__(self, settings: Settings, count: Callable[[str], None]) -> None:
        self._rows: TTLCache[str, KeptStatement] = TTLCache(
            settings.statement_cache_mb * 1_000_000, settings.statement_cache_seconds, getsizeof=_size
        )
        self.count = count

    async def get(self, key: str, query: AnyQuery) -> StatementDocument | None:
        """Return the statement with this key, or None."""
        row = self._rows.get(key)
        self.count("miss" if row is None else "hit")
        return row

    async def put(self, key: str, query: AnyQuery, row: StatementDocument) -> StatementDocument:
        """Keep a statement if there is room for it. Return it as it is kept."""
        kept = KeptStatement("", row.next_after, KeptBody(row.content))
        with suppress(ValueError):  # It is larger than the store.
            self._rows[key] = kept
        return kept

    async def close(self) -> None:
        """Do nothing, because the memory goes with the worker."""


def _size(row: KeptStatement) -> int:
    # A quarter more for the compressed body, which takes a sixth, and some for the key and the objects.
    return len(row.body) * 5 // 4 + 1_000


class RedisStore:
    """Keeps statements in Redis.

    `count` gets each outcome: hit, miss, shared, invalid or error. An invalid entry is replaced like one that is not
    there.
    """

    queries: Collection[AnyQuery] = frozenset({STUDENT, STUDENT_AS_OF, PAYER, PAYER_AS_OF, SCHOOL, SCHOOL_AS_OF})

    def __init__(self, settings: Settings, count: Callable[[str], None]) -> None:
        # Slow to import, and needed only here.
        from redis.asyncio import Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._redis = Redis.from_url(settings.redis_url, max_connections=64, retry=Retry(NoBackoff(), 0))
        self._seconds = settings.statement_cache_seconds
        # Access tokens are signed with the secret itself, so the entries get a key that is derived from it.
        self._signing_key = hmac.digest(settings.jwt_secrets[0].encode(), b"statements in Redis", "sha256")
        self._release = version("school-billing")
        self._timeout_seconds = settings.redis_timeout_ms / 1000
        self.count = count
        self._breaker = CircuitBreaker("the cache of statements", _PAUSE_SECONDS)

    async def get(self, key: str, query: AnyQuery) -> StatementDocument | None:
        """Return the statement with this key. None if Redis does not have it, or is slow or gone."""
        if not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await self._find(key)
            row = None if found is None else self._read(key, query, found)
        except Exception as error:  # Whatever is wrong with Redis.
            self._fail(error)
            return None
        self._breaker.succeed()
        self.count("hit" if row is not None else "miss" if found is None else "invalid")
        return row

    async def _find(self, key: str) -> bytes | None:
        try:
            return cast("bytes | None", await self._redis.get(key))
        except Exception as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            return b""  # It is no string, so the service did not write it.

    def _read(self, key: str, query: AnyQuery, entry: bytes) -> StatementDocument | None:
        signature, stored = entry[:_SIGNATURE_BYTES], entry[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(key, query, stored)):
            return None
        return msgspec.msgpack.decode(stored, type=StatementDocument)

    def _sign(self, key: str, query: AnyQuery, stored: bytes) -> bytes:
        # Another release, or another SQL, may give the document another shape.
        signed = b"\0".join([self._release.encode(), query.text.encode(), key.encode(), stored])
        return hmac.digest(self._signing_key, signed, "sha256")

    async def put(self, key: str, query: AnyQuery, row: StatementDocument) -> StatementDocument:
        """Store a statement if it is not too large and Redis answers. Return it."""
        if not self._breaker.allows():
            return row
        stored = msgspec.msgpack.encode(row)
        if len(stored) > _LARGEST_BYTES:
            return row
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._redis.set(key, self._sign(key, query, stored) + stored, ex=self._seconds)
        except Exception as error:  # As above.
            self._fail(error)
        return row

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()

    def _fail(self, error: Exception) -> None:
        self.count("error")
        self._breaker.fail(error)
