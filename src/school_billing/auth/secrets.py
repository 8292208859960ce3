"""Random secrets that are shown once and stored as hashes: refresh tokens and API keys."""

import hashlib
import secrets

REFRESH_TOKEN_PREFIX = "sbr_"  # noqa: S105 - only the first characters, for people and secret scanners.
API_KEY_PREFIX = "sbk_"


def new_secret(prefix: str) -> str:
    """Make a secret of 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret. 256 random bits cannot be guessed, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).digest()
