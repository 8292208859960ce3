"""Opaque secrets that the service gives out once and keeps as hashes: refresh tokens and API keys."""

import hashlib
import secrets

REFRESH_TOKEN_PREFIX = "sbr_"  # noqa: S105 - how one begins, for people and secret scanners.
API_KEY_PREFIX = "sbk_"

_BYTES = 32


def new_secret(prefix: str) -> str:
    """Make a secret of 256 random bits."""
    return prefix + secrets.token_urlsafe(_BYTES)


def hash_secret(secret: str) -> bytes:
    """Return what is kept of a secret: SHA-256, for 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
