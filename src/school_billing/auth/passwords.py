"""Passwords: argon2id with the library's recommended parameters (RFC 9106), off the event loop."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()

# Each hash takes 64 MiB and a core for a while; more of them at once would only wait for each other.
_at_once = asyncio.Semaphore(2)

_NOBODYS_HASH = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    "$bm9ib2R5J3MgMTYgc2FsdA$7qMvqPXAvkXjRzIKfDKPpOVXTM4sB0TzWb4EHMCJvnM"
)
"""Of no password: checked where there is no such user, so that the answer takes as long."""


def hash_password(password: str) -> str:
    """Return the argon2id hash of `password`; takes tens of milliseconds and blocks."""
    return _hasher.hash(password)


async def hash_new_password(password: str) -> str:
    """Return the argon2id hash of `password` without blocking the event loop."""
    async with _at_once:
        return await asyncio.to_thread(hash_password, password)


async def password_matches(password_hash: str | None, password: str) -> bool:
    """Tell whether `password` is the one hashed; with None, take as long and say no."""
    async with _at_once:
        return await asyncio.to_thread(_verify, password_hash, password)


async def rehash_if_outdated(password_hash: str, password: str) -> str | None:
    """Return a hash with today's parameters, where `password_hash` has others; else None."""
    return await hash_new_password(password) if _hasher.check_needs_rehash(password_hash) else None


def _verify(password_hash: str | None, password: str) -> bool:
    try:
        _hasher.verify(password_hash or _NOBODYS_HASH, password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None
