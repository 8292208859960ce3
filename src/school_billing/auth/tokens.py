"""Access tokens: JWT (RFC 7519) signed with HS256. A token names a session; the database says what it may."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import jwt
import msgspec

_ALGORITHM = "HS256"
_ISSUER = "school-billing"
_AUDIENCE = "school-billing-api"
_REQUIRED = ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"]
_LEEWAY_SECONDS = 5
"""How far apart the clocks of two servers may be."""
_VERIFIED_MOST = 4_096
"""Of how many tokens it is remembered that they are genuine: some 3 MB."""


class InvalidToken(Exception):
    """The token is not one that this service gave, or its time is over."""


class Claims(msgspec.Struct, frozen=True):
    """What a token says: whose it is, and of which session."""

    user_id: UUID
    session_id: UUID


class _Verified(msgspec.Struct, frozen=True):
    claims: Claims
    expires_at: int


class Tokens:
    """Makes access tokens with the first of the secrets, and reads those of all, so that a secret can be replaced."""

    def __init__(self, secrets: Sequence[str], lifetime_seconds: int) -> None:
        self._secrets = {_key_id(secret): secret for secret in secrets}
        self._newest = _key_id(secrets[0])
        self.lifetime_seconds = lifetime_seconds
        # To verify a signature takes longer than to answer most requests, and what was signed once stays so. Only what
        # is valid is kept.
        self._verified = lru_cache(_VERIFIED_MOST)(self._verify)

    def issue(self, user_id: UUID, session_id: UUID) -> str:
        """Make a token; it is valid for `lifetime_seconds` from now."""
        now = datetime.now(UTC)
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(seconds=self.lifetime_seconds),
            "jti": str(uuid4()),
        }
        return jwt.encode(claims, self._secrets[self._newest], _ALGORITHM, headers={"kid": self._newest})

    def read(self, token: str) -> Claims:
        """Return what a token says.

        Raises:
            InvalidToken: Its key, its signature, its issuer, its audience, its claims or its time are not right.
        """
        verified = self._verified(token)
        if verified.expires_at <= time.time() - _LEEWAY_SECONDS:
            raise InvalidToken
        return verified.claims

    def _verify(self, token: str) -> _Verified:
        try:
            secret = self._secrets[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],  # Pinned: what the token's own header asks for counts for nothing.
                issuer=_ISSUER,
                audience=_AUDIENCE,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
            known = Claims(user_id=UUID(claims["sub"]), session_id=UUID(claims["sid"]))
            return _Verified(known, int(claims["exp"]))
        except (jwt.InvalidTokenError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise InvalidToken from error


def _key_id(secret: str) -> str:
    """Return the `kid` of a secret (RFC 7515 section 4.1.4), which follows from it: there is nothing to configure."""
    return hashlib.sha256(b"school-billing kid " + secret.encode()).hexdigest()[:16]
