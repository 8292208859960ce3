"""Password hashes: argon2id with the library's default parameters (RFC 9106). These functions are slow and block."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()

_NO_PASSWORD = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    "$bm9ib2R5J3MgMTYgc2FsdA$7qMvqPXAvkXjRzIKfDKPpOVXTM4sB0TzWb4EHMCJvnM"
)
"""The hash of no password. It is checked if there is no such user, so that the answer takes the same time."""


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return _hasher.hash(_normalize(password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether the hash is the hash of the password. None takes as long and is never right."""
    try:
        _hasher.verify(password_hash or _NO_PASSWORD, _normalize(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Tell whether a hash was made with other parameters than the current ones."""
    return _hasher.check_needs_rehash(password_hash)


def _normalize(password: str) -> str:
    # Keyboards encode the same character in different ways (NIST SP 800-63B section 3.1.1.2).
    return unicodedata.normalize("NFKC", password)
