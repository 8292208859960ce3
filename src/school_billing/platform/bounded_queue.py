"""A queue for work that takes a lot of memory, CPU or connections."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class BoundedQueue:
    """Lets a few callers work at a time, and lets a limited number wait.

    Args:
        at_once: The number of callers that may work at a time.
        refusal: The error for a caller beyond a limit.
        limit: The number of callers that may work or wait.
        share: The number of these callers that may have the same key, such as an address or a school.
        wait_seconds: The time that a caller waits for a turn.
    """

    def __init__(
        self,
        at_once: int,
        refusal: type[Exception],
        *,
        limit: float = float("inf"),
        share: float = float("inf"),
        wait_seconds: float | None = None,
    ) -> None:
        self._at_once = at_once
        self._free = asyncio.Semaphore(at_once)
        self._callers = Counter[Hashable]()
        self._refusal = refusal
        self._limit = limit
        self._share = share
        self._wait_seconds = wait_seconds

    @property
    def waiting(self) -> int:
        """The number of callers that wait for a turn."""
        return max(0, self._callers.total() - self._at_once)

    @asynccontextmanager
    async def turn(self, key: Hashable = None) -> AsyncIterator[None]:
        """Wait for a turn and keep it until the end of the block. Raise `refusal` if a limit is reached."""
        if self._callers.total() >= self._limit or self._callers[key] >= self._share:
            raise self._refusal
        self._callers[key] += 1
        try:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await self._free.acquire()
            except TimeoutError as error:
                raise self._refusal from error
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._callers[key] -= 1
            if not self._callers[key]:
                del self._callers[key]
