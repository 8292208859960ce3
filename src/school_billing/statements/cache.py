"""Statements kept in Redis, for as long as nothing changes.

The key has the version of what the statement tells of, and the version is the database's, see version.sql: an entry is
right or is not found, whatever became of Redis meanwhile, and nothing has to be deleted. A Redis that
is slow, full or gone is passed over.
"""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, cast

import msgspec
import structlog

from school_billing.statements.contracts import StatementDocument

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE_SECONDS = 1.0
"""For how long Redis is left alone after it failed, so that a slow one slows one request a second."""

_LARGEST = 5_000_000
"""Characters of a statement that is worth keeping."""

log = structlog.get_logger("school_billing.statements")

_encoder = msgspec.msgpack.Encoder()


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept, with its key, so that what came under another is not taken for it."""

    key: str
    statement: StatementDocument


_decoder = msgspec.msgpack.Decoder(Kept)


class StatementCache:
    """Keeps statements for `seconds`; each question to Redis may take `timeout_ms`.

    `count` is told of each outcome: hit, miss or error.
    """

    def __init__(self, url: str, *, seconds: int, timeout_ms: int, count: "Callable[[str], None]") -> None:
        # Slow to import, and needed only here.
        from redis.asyncio import Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._redis = Redis.from_url(url, max_connections=64, retry=Retry(NoBackoff(), 0))
        self._seconds = seconds
        self._timeout_seconds = timeout_ms / 1000
        self._count = count
        self._resumes_at = 0.0
        self._is_well = True

    async def get(self, key: str) -> StatementDocument | None:
        """Return what is kept under `key`; None where there is nothing, or no Redis to ask."""
        if monotonic() < self._resumes_at:
            return None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await self._redis.get(key)
            kept = None if found is None else _decoder.decode(cast("bytes", found))
        except Exception as error:  # Whatever Redis, or what is in it, is up to.
            self._fail(error)
            return None
        self._succeed()
        statement = kept.statement if kept is not None and kept.key == key else None
        self._count("miss" if statement is None else "hit")
        return statement

    async def put(self, key: str, statement: StatementDocument) -> None:
        """Keep `statement` under `key`, if Redis takes it and it is not huge."""
        if monotonic() < self._resumes_at or len(statement.document) > _LARGEST:
            return
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._redis.set(key, _encoder.encode(Kept(key, statement)), ex=self._seconds)
        except Exception as error:
            self._fail(error)

    async def close(self) -> None:
        """Let the connections go."""
        await self._redis.aclose()

    def _fail(self, error: BaseException) -> None:
        self._count("error")
        self._resumes_at = monotonic() + _PAUSE_SECONDS
        if self._is_well:
            self._is_well = False
            log.warning("the cache of statements does not answer; they are computed", cause=type(error).__name__)

    def _succeed(self) -> None:
        if not self._is_well:
            self._is_well = True
            log.info("the cache of statements answers again")
