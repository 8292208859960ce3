import asyncio

import pytest

from school_billing.platform.bounded_queue import BoundedQueue


class Full(Exception):
    pass


async def work(queue: BoundedQueue, key: object, end: asyncio.Event) -> bool:
    async with queue.turn(str(key)):
        return await end.wait()


async def test_a_few_work_a_few_wait_and_the_others_are_refused_at_once() -> None:
    queue = BoundedQueue(2, Full, limit=5)
    end = asyncio.Event()
    callers = [asyncio.create_task(work(queue, number, end)) for number in range(10)]
    await asyncio.sleep(0)
    refused = [caller for caller in callers if caller.done()]
    assert len(refused) == 5
    for caller in refused:
        with pytest.raises(Full):
            await caller
    assert queue.waiting == 3
    end.set()
    assert [await caller for caller in callers if caller not in refused] == [True] * 5
    assert queue.waiting == 0
    assert await work(queue, 9, end)


async def test_one_key_does_not_fill_the_queue() -> None:
    queue = BoundedQueue(1, Full, limit=5, share=3)
    end = asyncio.Event()
    flood = [asyncio.create_task(work(queue, "flood", end)) for _ in range(6)]
    await asyncio.sleep(0)
    assert sum(caller.done() for caller in flood) == 3  # 1 works, 2 wait
    other = asyncio.create_task(work(queue, "other", end))
    await asyncio.sleep(0)
    assert not other.done()
    end.set()
    assert await other
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(result, Full) for result in results) == 3


async def test_one_key_leaves_turns_to_the_others() -> None:
    queue = BoundedQueue(2, Full, share_at_once=1)
    end, soon = asyncio.Event(), asyncio.Event()
    soon.set()
    flood = [asyncio.create_task(work(queue, "flood", end)) for _ in range(6)]
    await asyncio.sleep(0)
    for _ in range(3):
        assert await work(queue, "other", soon)
    end.set()
    assert await asyncio.gather(*flood) == [True] * 6
    assert queue.waiting == 0


async def test_a_caller_that_waits_too_long_or_leaves_gives_its_place_back() -> None:
    queue = BoundedQueue(1, Full, limit=2, wait_seconds=0.05)
    end = asyncio.Event()
    first = asyncio.create_task(work(queue, "a", end))
    await asyncio.sleep(0)
    with pytest.raises(Full):
        await work(queue, "b", end)
    leaving = asyncio.create_task(work(queue, "b", end))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert queue.waiting == 0
    end.set()
    assert await first
    assert await work(queue, "b", end)


async def test_a_time_out_of_the_work_itself_is_no_refusal() -> None:
    queue = BoundedQueue(1, Full, wait_seconds=5)
    with pytest.raises(TimeoutError):
        async with queue.turn():
            raise TimeoutError
