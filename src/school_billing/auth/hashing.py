"""Password hashing in two threads of its own, so that no other work can keep them from a log-in."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from school_billing.auth.errors import TooBusy
from school_billing.auth.passwords import hash_password, is_outdated, verify_password
from school_billing.platform.bounded_queue import BoundedQueue

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Each hash takes 64 MiB and a core for a while, so more at once would only wait for each other. Twenty may wait, some
# seconds at most. One address fills no more than half of the queue, so a flood from there does not lock others out.
_queue = BoundedQueue(2, TooBusy, limit=2 + 20, share=2 + 10, wait_seconds=10)
_threads = ThreadPoolExecutor(2, "password")


async def hash_new_password(password: str, address: str | None = None) -> str:
    """Return the argon2id hash of `password`, which a client at `address` chose.

    Raises:
        TooBusy: Too many passwords wait to be hashed.
    """
    return await _run(address, hash_password, password)


async def password_matches(password_hash: str | None, password: str, address: str | None = None) -> bool:
    """Return whether `password` is the one hashed. Without a hash, take as long and return False.

    Raises:
        TooBusy: Too many passwords wait to be checked.
    """
    return await _run(address, verify_password, password_hash, password)


async def rehash_if_outdated(password_hash: str, password: str, address: str | None = None) -> str | None:
    """Return a hash with today's parameters if `password_hash` has other ones, else None."""
    return await hash_new_password(password, address) if is_outdated(password_hash) else None


async def _run(
    address: str | None, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    async with _queue.turn(address):
        return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *args, **kwargs))
