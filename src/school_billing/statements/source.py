"""Where statements are read: from a standby while it is level with the primary, else from the primary.

The primary is asked for the version of the school's statements (version.sql), which costs it next to nothing, and the
standby then for its own. If they are equal, the standby computes the statement in the snapshot in which it said so. So
what is answered has all that was committed when the question came, whoever committed it and in whatever process.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

import structlog
from msgspec import structs

from school_billing.platform.database.errors import ConnectionsBusy, StatementCanceled, ValueRefused
from school_billing.platform.database.pool import Database, Snapshot
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.statements.versions import VERSION, StatementVersion

Row = TypeVar("Row")
Subject = Mapping[str, UUID | None]

VERSION_TIMEOUT_SECONDS = 1.0
"""How long the standby may take to say which version it has, a connection included."""

STANDBY_ACQUIRE_MS = 500
"""How long a connection to the standby, or the end of another download there, is waited for in that time."""

REST_SECONDS = 5.0
"""For how long a standby is left alone after it failed, so that one that hangs slows one request in that time."""

WARNING_SECONDS = 60.0
"""After how long a standby that is never level is worth a warning, and then another one."""

log = structlog.get_logger("school_billing.statements")


def standby_of(settings: Settings) -> Database | None:
    """Return the standby that `settings` name. It opens nothing before it is needed: no start waits for a standby."""
    if not settings.read_database_url:
        return None
    return Database.of(
        structs.replace(
            settings,
            database_url=settings.read_database_url,
            database_pool_min=0,
            database_acquire_timeout_ms=STANDBY_ACQUIRE_MS,
        )
    )


class StatementSource:
    """Reads statements from `standby` if there is one and it is level, else from `primary`.

    `count` is told which of the two served, and why: level; or behind, busy, canceled, unavailable.
    """

    def __init__(
        self, primary: Database, standby: Database | None = None, count: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        self._primary = primary
        self._standby = standby
        self._count = count
        self._is_well = True
        self._resumes_at = 0.0
        self._warns_at: float | None = None

    async def version(self, subject: Subject) -> StatementVersion | None:
        """Return which version there is of the statements of a school or student; None where there is no such thing.

        Raises:
            DatabaseUnavailable: The primary does not answer.
        """
        return await self._primary.one_or_none(VERSION, **_subject(subject))

    async def one_or_none(
        self, query: Query[Row], subject: Subject, wanted: Mapping[str, Any], version: StatementVersion | None = None
    ) -> Row | None:
        """Return what `query` computes, or None where there is no such thing.

        Args:
            query: The statement.
            subject: The tenant, and the school or the student.
            wanted: The query's other values.
            version: The primary's, where it was asked already and since the request came.

        Raises:
            ValueRefused: A value means nothing to the database.
            DatabaseUnavailable: The primary is needed and does not answer.
        """
        if (standby := self._standby_to_try()) is not None:
            version = version or await self.version(subject)
            if version is None:
                return None
            with self._passed_over():
                answer = None
                async with self._level(standby, standby.snapshot(), subject, version) as snapshot:
                    if snapshot is not None:
                        answer = await snapshot.one_or_none(query, **subject, **_until(version, wanted))
                if answer is not None:
                    self._count("standby", "level")
                    return answer
        return await self._primary.one_or_none(query, **subject, **wanted)

    async def stream(
        self, query: Query[Row], school_id: UUID, subject: Subject, wanted: Mapping[str, Any]
    ) -> AsyncGenerator[list[Row]]:
        """Yield the rows of `query` part by part. After the first part it stays with the database that it is read from.

        Raises:
            DatabaseUnavailable: There is no connection to be had, it was lost, or too many streams are under way.
        """
        if (standby := self._standby_to_try()) is not None:
            version = await self.version(subject)
            if version is None:
                return
            async with aclosing(self._parts(standby, query, school_id, subject, wanted, version)) as parts:
                first = None
                with self._passed_over():
                    first = await anext(parts, None)
                if first is not None:
                    self._count("standby", "level")
                    if first:
                        yield first
                    async for part in parts:
                        yield part
                    return
        async with aclosing(self._primary.stream(query, school_id, **subject, **wanted)) as parts:
            async for part in parts:
                yield part

    async def _parts(
        self,
        standby: Database,
        query: Query[Row],
        school_id: UUID,
        subject: Subject,
        wanted: Mapping[str, Any],
        version: StatementVersion,
    ) -> AsyncGenerator[list[Row]]:
        """Yield the standby's rows, an empty part if there are none; nothing where it is not level."""
        async with self._level(standby, standby.streaming(school_id), subject, version) as snapshot:
            if snapshot is not None:
                async with aclosing(snapshot.stream(query, **subject, **wanted)) as parts:
                    yield await anext(parts, [])
                    async for part in parts:
                        yield part

    @asynccontextmanager
    async def _level(
        self,
        standby: Database,
        opening: AbstractAsyncContextManager[Snapshot],
        subject: Subject,
        version: StatementVersion,
    ) -> AsyncIterator[Snapshot | None]:
        """Give the snapshot of `standby` that is opened if it is of `version`, else None."""
        if standby.size().is_exhausted:
            raise ConnectionsBusy  # Why wait? The primary can answer.
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(VERSION_TIMEOUT_SECONDS):
                snapshot = await stack.enter_async_context(opening)
                theirs = await snapshot.one_or_none(VERSION, **_subject(subject))
            self._succeed()
            is_level = theirs is not None and theirs.is_level_with(version)
            self._note_lag(is_level)
            yield snapshot if is_level else None

    def _standby_to_try(self) -> Database | None:
        if self._standby is None:
            return None
        if monotonic() < self._resumes_at:
            self._count("primary", "unavailable")
            return None
        if not self._is_well:
            # This request finds out whether it is back, and the others do not wait with it.
            self._resumes_at = monotonic() + REST_SECONDS
        return self._standby

    @contextmanager
    def _passed_over(self) -> Iterator[None]:
        """Go on behind the block if the standby fails in it: the primary is there."""
        try:
            yield
        except ValueRefused:
            raise  # It means nothing to the primary either.
        except StatementCanceled:
            self._count("primary", "canceled")
        except ConnectionsBusy:
            self._count("primary", "busy")
        except Exception as error:  # Whatever the standby is up to.
            self._count("primary", "unavailable")
            self._resumes_at = monotonic() + REST_SECONDS
            if self._is_well:
                self._is_well = False
                cause = type(error.__cause__ or error).__name__
                log.warning("the standby does not answer; the primary serves the statements", cause=cause)

    def _succeed(self) -> None:
        self._resumes_at = 0.0
        if not self._is_well:
            self._is_well = True
            log.info("the standby answers again")

    def _note_lag(self, is_level: bool) -> None:
        if is_level:
            self._warns_at = None
            return
        self._count("primary", "behind")
        now = monotonic()
        if self._warns_at is None:
            self._warns_at = now + WARNING_SECONDS
        elif now >= self._warns_at:
            self._warns_at = now + WARNING_SECONDS
            log.warning("the standby is never level, or is none of this database; the primary serves the statements")


def _subject(subject: Subject) -> dict[str, UUID | None]:
    return {"school_id": None, "student_id": None} | dict(subject)


def _until(version: StatementVersion, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Say when now is, where movements are summed until now.

    By the standby's own clock, which may be behind, the last payment would lie in the future.
    """
    ends = ("as_of", "as_of_date", "ends_on")
    if "as_of" in wanted and all(wanted.get(end) is None for end in ends):
        return dict(wanted) | {"as_of": version.asked_at}
    return dict(wanted)
