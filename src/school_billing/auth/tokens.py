"""Access tokens: JWT (RFC 7519) signed with HS256, carrying who the caller is."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt

from school_billing.auth.contracts import Caller, Role

_ALGORITHM = "HS256"
_ISSUER = "school-billing"
_REQUIRED = ["iss", "sub", "role", "iat", "exp", "jti"]


class InvalidToken(Exception):
    """The token is not one that this service gave, or its time is over."""


class Tokens:
    """Makes and reads access tokens with one secret."""

    def __init__(self, secret: str, lifetime_seconds: int) -> None:
        self._secret = secret
        self.lifetime_seconds = lifetime_seconds

    def issue(self, username: str, role: Role, school_id: UUID | None) -> str:
        """Make a token for a user; it is valid for `lifetime_seconds` from now."""
        now = datetime.now(UTC)
        claims = {
            "iss": _ISSUER,
            "sub": username,
            "role": role.value,
            "school_id": None if school_id is None else str(school_id),
            "iat": now,
            "exp": now + timedelta(seconds=self.lifetime_seconds),
            "jti": str(uuid4()),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def read(self, token: str) -> Caller:
        """Return whom a token names.

        Raises:
            InvalidToken: Its signature, its issuer, its claims or its time are not right.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],  # Pinned: what the token's own header asks for counts for nothing.
                issuer=_ISSUER,
                options={"require": _REQUIRED},
            )
            school_id = claims.get("school_id")
            return Caller(
                username=claims["sub"],
                role=Role(claims["role"]),
                tenant=None if school_id is None else UUID(school_id),
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
            raise InvalidToken from error
