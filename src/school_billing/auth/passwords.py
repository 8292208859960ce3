"""Passwords: argon2id with the library's recommended parameters (RFC 9106). What is here takes a while and blocks."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()

_NOBODYS_HASH = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    "$bm9ib2R5J3MgMTYgc2FsdA$7qMvqPXAvkXjRzIKfDKPpOVXTM4sB0TzWb4EHMCJvnM"
)
"""Of no password: checked where there is no such user, so that the answer takes as long."""


def hash_password(password: str) -> str:
    """Return the argon2id hash of `password`."""
    return _hasher.hash(_normal(password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether `password` is the one hashed; with None, take as long and say no."""
    try:
        _hasher.verify(password_hash or _NOBODYS_HASH, _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


def _normal(password: str) -> str:
    # One and the same from every keyboard (NIST SP 800-63B section 3.1.1.2).
    return unicodedata.normalize("NFKC", password)
