"""A queue for work that takes a lot of memory, CPU or connections."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager


class BoundedQueue:
    """Lets a few callers work at a time, and lets a limited number wait.

    Args:
        at_once: The number of callers that may work at a time.
        refusal: The error for a caller beyond a limit.
        limit: The number of callers that may work or wait.
        share: The number of these callers that may have the same key, such as an address or a school.
        share_at_once: The number of callers with the same key that may work at a time.
        wait_seconds: The time that a caller waits for a turn.
    """

    def __init__(
        self,
        at_once: int,
        refusal: type[Exception],
        *,
        limit: float = float("inf"),
        share: float = float("inf"),
        share_at_once: int | None = None,
        wait_seconds: float | None = None,
    ) -> None:
        self._at_once = at_once
        self._free = asyncio.Semaphore(at_once)
        self._callers = Counter[Hashable]()
        self._refusal = refusal
        self._limit = limit
        self._share = share
        self._share_at_once = share_at_once or at_once
        self._free_of_key: dict[Hashable, asyncio.Semaphore] = {}
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
        # The turn of the key comes first, so that its other callers do not wait before those of another key.
        own = self._free_of_key.setdefault(key, asyncio.Semaphore(self._share_at_once))
        async with AsyncExitStack() as turns:
            turns.callback(self._leave, key)
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await turns.enter_async_context(own)
                    await turns.enter_async_context(self._free)
            except TimeoutError as error:
                raise self._refusal from error
            yield

    def _leave(self, key: Hashable) -> None:
        self._callers[key] -= 1
        if not self._callers[key]:
            del self._callers[key], self._free_of_key[key]
