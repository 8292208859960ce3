import asyncio
from contextvars import ContextVar

import pytest

from school_billing.auth.authenticator import BatchLoader


class Squares:
    """Loads the square of each key below 100, once it may, and remembers the batches."""

    def __init__(self) -> None:
        self.batches = list[list[int]]()
        self.may_load = asyncio.Event()
        self.has_started = asyncio.Event()
        self.fails = False

    async def load(self, keys: list[int]) -> dict[int, int]:
        self.batches.append(keys)
        self.has_started.set()
        await self.may_load.wait()
        if self.fails:
            raise ConnectionError("gone")
        return {key: key * key for key in keys if key < 100}


async def test_requests_during_a_batch_share_the_next_one_and_never_get_the_values_of_the_first() -> None:
    squares = Squares()
    loader = BatchLoader(squares.load)
    first = asyncio.create_task(loader.load(2))
    await squares.has_started.wait()
    later = [asyncio.create_task(loader.load(key)) for key in (2, 3, 3, 100)]
    await asyncio.sleep(0)
    squares.may_load.set()
    assert await first == 4
    assert await asyncio.gather(*later) == [4, 9, 9, None]
    assert squares.batches == [[2], [2, 3, 100]]
    assert await loader.load(5) == 25
    assert squares.batches[2:] == [[5]]


async def test_a_failure_reaches_the_requests_of_its_batch_and_not_later_ones() -> None:
    squares = Squares()
    squares.fails = True
    loader = BatchLoader(squares.load)
    both = [asyncio.create_task(loader.load(key)) for key in (1, 2)]
    await squares.has_started.wait()
    squares.may_load.set()
    for answer in await asyncio.gather(*both, return_exceptions=True):
        assert isinstance(answer, ConnectionError)
    squares.fails = False
    assert await loader.load(3) == 9


async def test_a_cancelled_request_does_not_cancel_the_others() -> None:
    squares = Squares()
    loader = BatchLoader(squares.load)
    leaving = asyncio.create_task(loader.load(2))
    staying = asyncio.create_task(loader.load(2))
    await squares.has_started.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    squares.may_load.set()
    assert await staying == 4


async def test_a_batch_runs_in_the_context_of_its_first_request() -> None:
    squares = Squares()
    request = ContextVar[int]("request")
    seen = list[int]()

    async def load(keys: list[int]) -> dict[int, int]:
        seen.append(request.get())
        return await squares.load(keys)

    loader = BatchLoader(load)

    async def send(number: int) -> None:
        request.set(number)
        await loader.load(number)

    first = asyncio.create_task(send(1))
    await squares.has_started.wait()
    later = [asyncio.create_task(send(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    squares.may_load.set()
    await asyncio.gather(first, *later)
    assert seen == [1, 2]
