import asyncio
from contextvars import ContextVar

import pytest

from school_billing.auth.admission import SharedQuestion


class Questions:
    """Answers each key with its square when it is let, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = list[list[int]]()
        self.may_answer = asyncio.Event()
        self.was_asked = asyncio.Event()
        self.fails = False

    async def ask(self, keys: list[int]) -> dict[int, int]:
        self.asked.append(keys)
        self.was_asked.set()
        await self.may_answer.wait()
        if self.fails:
            raise ConnectionError("gone")
        return {key: key * key for key in keys if key < 100}


async def test_those_who_come_during_a_question_share_the_next_and_never_get_the_answer_of_before() -> None:
    questions = Questions()
    shared = SharedQuestion(questions.ask)
    first = asyncio.create_task(shared.ask(2))
    await questions.was_asked.wait()
    later = [asyncio.create_task(shared.ask(key)) for key in (2, 3, 3, 100)]
    await asyncio.sleep(0)
    questions.may_answer.set()
    assert await first == 4
    assert await asyncio.gather(*later) == [4, 9, 9, None]
    assert questions.asked == [[2], [2, 3, 100]]
    assert await shared.ask(5) == 25
    assert questions.asked[2:] == [[5]]


async def test_a_failure_reaches_those_who_asked_and_not_those_who_ask_next() -> None:
    questions = Questions()
    questions.fails = True
    shared = SharedQuestion(questions.ask)
    both = [asyncio.create_task(shared.ask(key)) for key in (1, 2)]
    await questions.was_asked.wait()
    questions.may_answer.set()
    for answer in await asyncio.gather(*both, return_exceptions=True):
        assert isinstance(answer, ConnectionError)
    questions.fails = False
    assert await shared.ask(3) == 9


async def test_who_leaves_takes_nobodys_answer_along() -> None:
    questions = Questions()
    shared = SharedQuestion(questions.ask)
    leaving = asyncio.create_task(shared.ask(2))
    staying = asyncio.create_task(shared.ask(2))
    await questions.was_asked.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    questions.may_answer.set()
    assert await staying == 4


async def test_a_question_is_asked_in_the_context_of_whoever_came_first_for_it() -> None:
    questions = Questions()
    request = ContextVar[int]("request")
    seen = list[int]()

    async def ask(keys: list[int]) -> dict[int, int]:
        seen.append(request.get())
        return await questions.ask(keys)

    shared = SharedQuestion(ask)

    async def asker(number: int) -> None:
        request.set(number)
        await shared.ask(number)

    first = asyncio.create_task(asker(1))
    await questions.was_asked.wait()
    later = [asyncio.create_task(asker(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    questions.may_answer.set()
    await asyncio.gather(first, *later)
    assert seen == [1, 2]
