"""Connections of a pool, without the price that asyncpg's pool takes for each acquire and release."""

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

    An acquire and a release of asyncpg's pool cost half as much as a query by primary key. So a returned connection
    stays here or goes to the longest waiting caller. Once a minute all idle connections go back to the pool, which
    closes those that it no longer needs. `take` waits for `timeout_seconds` at most.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", timeout_seconds: float) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._most = pool.get_max_size()
        self._out_of_pool = 0
        self._at_hand: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._return_at = asyncio.get_running_loop().time() + _RETURN_SECONDS
        self.waiting = 0
        """How many callers wait for a connection."""

    @property
    def idle(self) -> int:
        """How many connections are open and not taken."""
        return self._pool.get_idle_size() + len(self._at_hand)

    async def take(self) -> "Connection":
        """Return a connection.

        Raises:
            TimeoutError: No connection was returned or opened in time.
        """
        while self._at_hand:
            connection = self._at_hand.pop()
            if not _is_lost(connection):
                return connection
            await self._release(connection)
        self.waiting += 1
        try:
            if self._out_of_pool < self._most:
                return await self._acquire()
            connection_or_room = await self._wait()
        finally:
            self.waiting -= 1
        return connection_or_room or await self.take()

    async def give_back(self, connection: "Connection", *, is_clean: bool) -> None:
        """Take a connection back. If its last statement failed (not `is_clean`), the pool resets it."""
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
        while self._at_hand:
            await self._release(self._at_hand.pop())

    async def _acquire(self) -> "Connection":
        self._out_of_pool += 1
        try:
            return await self._pool.acquire(timeout=self._timeout_seconds)
        except BaseException:
            self._make_room()
            raise

    async def _wait(self) -> "Connection | None":
        """Wait for a returned connection. None means that the pool can open another."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await waiter
        except BaseException:
            # The connection may have come in the moment in which its caller was cancelled.
            if waiter.done() and not waiter.cancelled():
                connection = waiter.result()
                if connection is None:
                    self._call_next(None)
                else:
                    self._hand_on(connection)
            raise

    def _hand_on(self, connection: "Connection") -> None:
        if not self._call_next(connection):
            self._at_hand.append(connection)

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
