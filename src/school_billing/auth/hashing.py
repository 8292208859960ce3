"""Hashing passwords in turns, off the event loop."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from school_billing.auth.errors import TooBusy
from school_billing.auth.passwords import hash_password, is_outdated, verify_password

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_WAITING_MOST = 20
"""How many may wait for their turn, some seconds at most: beyond, a flood of log-ins would keep everybody waiting."""


class BoundedQueue:
    """Lets `at_once` work at a time, each of them in a thread; so many wait, and so many of one address."""

    def __init__(self, at_once: int, waiting_most: int, waiting_most_of_one: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._waiting = Counter[str | None]()
        self._waiting_most = waiting_most
        self._waiting_most_of_one = waiting_most_of_one

    async def take(
        self,
        address: str | None,
        work: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Do `work` for a caller from `address` when its turn comes.

        Raises:
            TooBusy: Too many wait already.
        """
        if self._free.locked() and (
            self._waiting.total() >= self._waiting_most or self._waiting[address] >= self._waiting_most_of_one
        ):
            raise TooBusy
        self._waiting[address] += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting[address] -= 1
            self._waiting += Counter()  # Forgets the addresses of which nobody waits.
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        finally:
            self._free.release()


# Each hash takes 64 MiB and a core for a while; more of them at once would only wait for each other.
_turns = BoundedQueue(at_once=2, waiting_most=_WAITING_MOST, waiting_most_of_one=_WAITING_MOST // 2)


async def hash_new_password(password: str, address: str | None = None) -> str:
    """Return the argon2id hash of `password`, which somebody from `address` chose.

    Raises:
        TooBusy: Too many passwords wait to be hashed.
    """
    return await _turns.take(address, hash_password, password)


async def password_matches(password_hash: str | None, password: str, address: str | None = None) -> bool:
    """Tell whether `password`, from `address`, is the one hashed; with None, take as long and say no.

    Raises:
        TooBusy: Too many passwords wait to be checked.
    """
    return await _turns.take(address, verify_password, password_hash, password)


async def rehash_if_outdated(password_hash: str, password: str, address: str | None = None) -> str | None:
    """Return a hash with today's parameters, where `password_hash` has others; else None."""
    return await hash_new_password(password, address) if is_outdated(password_hash) else None
