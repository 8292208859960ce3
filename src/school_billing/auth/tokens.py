"""Access tokens: JWTs (RFC 7519) signed with HS256. A token names a session; the database says what it may do."""

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
"""The difference that is allowed between the clocks of two servers."""
_CACHE_SIZE = 4_096
"""The number of verified tokens that are remembered: some 3 MB."""


class InvalidToken(Exception):
    """The token was not issued by this service, or it has expired."""


class Claims(msgspec.Struct, frozen=True):
    """The user and the session that a token names, and when it expires."""

    user_id: UUID
    session_id: UUID
    expires_at: int


class Tokens:
    """Issues access tokens with the first secret and accepts those of all secrets, so that a secret can be replaced."""

    def __init__(self, secrets: Sequence[str], lifetime_seconds: int) -> None:
        self._secrets = {_key_id(secret): secret for secret in secrets}
        self._newest = _key_id(secrets[0])
        self.lifetime_seconds = lifetime_seconds
        # Verifying a signature takes longer than answering most requests, and a valid signature stays valid.
        # lru_cache does not store exceptions, so it holds valid tokens only.
        self._verified = lru_cache(_CACHE_SIZE)(self._verify)

    def issue(self, user_id: UUID, session_id: UUID) -> str:
        """Make a token that is valid for `lifetime_seconds` from now."""
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
        """Return the claims of a token. InvalidToken if its key, signature, claims or time are wrong."""
        claims = self._verified(token)
        if claims.expires_at <= time.time() - _LEEWAY_SECONDS:
            raise InvalidToken
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            secret = self._secrets[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],  # Fixed, because the token's own header could name a weaker one.
                issuer=_ISSUER,
                audience=_AUDIENCE,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
            return Claims(UUID(claims["sub"]), UUID(claims["sid"]), int(claims["exp"]))
        except (jwt.InvalidTokenError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise InvalidToken from error


def _key_id(secret: str) -> str:
    """Derive the `kid` (RFC 7515 section 4.1.4) from a secret, so that it needs no setting."""
    return hashlib.sha256(b"school-billing kid " + secret.encode()).hexdigest()[:16]
