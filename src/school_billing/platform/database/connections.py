"""A faster way to take and return the connections of an asyncpg pool."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

_RETURN_SECONDS = 60


class Connections:
    """Hands out the connections of `pool`, the last used first.

    An acquire and a release of asyncpg's pool take half as long as a query by primary key. So a returned connection
    stays here, or goes to the caller that has waited longest. Once a minute all idle connections go back to the pool,
    which closes the connections that it no longer needs. `take` waits for `timeout_seconds` at most.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", timeout_seconds: float) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._limit = pool.get_max_size()
        self._out_of_pool = 0
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._return_at = asyncio.get_running_loop().time() + _RETURN_SECONDS
        self.waiting = 0
        """The number of callers that wait for a connection."""

    @property
    def idle(self) -> int:
        """The number of connections that are open and not taken."""
        return self._pool.get_idle_size() + len(self._idle)

    async def take(self) -> "Connection":
        """Return a connection. Raise TimeoutError if no connection is free in time."""
        while self._idle:
            connection = self._idle.pop()
            if not _is_lost(connection):
                return connection
            await self._release(connection)
        self.waiting += 1
        try:
            if self._out_of_pool < self._limit:
                return await self._acquire()
            returned = await self._wait()
        finally:
            self.waiting -= 1
        return returned or await self.take()

    async def give_back(self, connection: "Connection", *, is_clean: bool) -> None:
        """Return a connection. The pool resets it if the last statement failed (not `is_clean`)."""
        if is_clean:
            self._hand_on(connection)
        else:
            await self._release(connection)
        now = asyncio.get_running_loop().time()
        if now >= self._return_at:
            self._return_at = now + _RETURN_SECONDS
            await self.return_all()

    async def return_all(self) -> None:
        """Give all idle connections back to the pool."""
        while self._idle:
            await self._release(self._idle.pop())

    async def _acquire(self) -> "Connection":
        self._out_of_pool += 1
        try:
            return await self._pool.acquire(timeout=self._timeout_seconds)
        except BaseException:
            self._make_room()
            raise

    async def _wait(self) -> "Connection | None":
        """Wait for a returned connection. None means that the pool can open a new one."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await waiter
        except BaseException:
            # The connection may have arrived at the moment when this caller was cancelled.
            if waiter.done() and not waiter.cancelled():
                connection = waiter.result()
                if connection is None:
                    self._call_next(None)
                else:
                    self._hand_on(connection)
            raise

    def _hand_on(self, connection: "Connection") -> None:
        if not self._call_next(connection):
            self._idle.append(connection)

    def _call_next(self, connection: "Connection | None") -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def _release(self, connection: "Connection") -> None:
        try:
            await self._pool.release(connection)
        except (asyncpg.InternalClientError, asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
            # The server closed it on its way, so the pool has let it go. The caller has an answer or an error already.
            pass
        finally:
            self._make_room()

    def _make_room(self) -> None:
        self._out_of_pool -= 1
        self._call_next(None)


def _is_lost(connection: "Connection") -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # The pool has already taken back a connection that the server closed.
        return True
