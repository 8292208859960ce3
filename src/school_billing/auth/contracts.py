"""What goes in and out of /auth, and who a caller can be."""

from enum import Enum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from school_billing.platform.web.types import LongText


class Role(Enum):
    """What a user may do."""

    ADMIN = "admin"
    """Everything."""
    ACCOUNTANT = "accountant"
    """Read, and change students, invoices and payments."""
    VIEWER = "viewer"
    """Read."""


class Caller(msgspec.Struct, frozen=True):
    """Who sends a request."""

    name: str
    """What the audit trail calls the caller: a username, or "key:" with the name and the beginning of an API key."""
    role: Role
    tenant: UUID | None
    """The school that the caller is bound to; None for those who may see all."""
    user_id: UUID | None = None
    """None for a machine with an API key, and for anybody where reads are public."""


AnyPassword = Annotated[str, Meta(max_length=1024, examples=["correct horse battery staple"])]
"""A password to be checked: no rule but a bound, for the rules may have been others when it was chosen."""

NewPassword = Annotated[
    str,
    Meta(
        max_length=1024,
        description="12 to 128 characters, not the username, and none of the most common passwords.",
        examples=["correct horse battery staple"],
    ),
]

RefreshTokenText = Annotated[str, Meta(max_length=100, examples=["sbr_xLqZ1w3cQK5bX3hV0nq0dYkFz1sJm9uQe7rTgB2vNcA"])]


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's name and password."""

    username: Annotated[LongText, Meta(examples=["admin"])]
    password: AnyPassword
    refresh_token: RefreshTokenText | None = None
    """The last one that this client had of this user, spent or not, if there is one: it shows that the user has been
    here before, and the throttles count this log-in apart from those of strangers."""


class Refresh(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The refresh token of the latest answer."""

    refresh_token: RefreshTokenText


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The caller's own password, and what it should be."""

    current_password: AnyPassword
    new_password: NewPassword


class SessionTokens(msgspec.Struct, frozen=True, kw_only=True):
    """A short token for requests, and a longer one for the next pair (RFC 6749 section 5.1)."""

    access_token: Annotated[str, Meta(examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2ln"])]
    """For the header `Authorization: Bearer <access_token>` (RFC 6750)."""
    token_type: Annotated[str, Meta(examples=["Bearer"])]
    expires_in: Annotated[int, Meta(description="Seconds from now.", examples=[900])]
    refresh_token: RefreshTokenText
    """For POST /auth/refresh, once; the answer has the next one."""
