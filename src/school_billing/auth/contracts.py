"""The bodies of /auth, and the caller of a request."""

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from school_billing.platform.web.types import Text


class Role(StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    """Everything."""
    ACCOUNTANT = "accountant"
    """Read everything, and change students, invoices and payments."""
    VIEWER = "viewer"
    """Read students, invoices, payments and statements."""


Tenant: TypeAlias = UUID | None
"""The school that the caller is bound to; None if the caller can see all schools."""


class Caller(msgspec.Struct, frozen=True):
    """The user or API key that sends a request."""

    name: str
    """The actor in the audit trail: a username, or "key:" with the name and the first characters of an API key."""
    role: Role
    tenant: Tenant
    user_id: UUID | None = None
    """None for an API key, and for anonymous callers if reads are public."""


class AnyUsername(Text, least=0, most=500, examples=["admin"]):
    """A username to log in with. Today's rules do not apply."""


AnyPassword = Annotated[str, Meta(max_length=1024, examples=["correct horse battery staple"])]
"""A password to check. Today's rules do not apply: it may be older than they are."""

NewPassword = Annotated[
    str,
    Meta(
        max_length=1024,
        description="12 to 128 characters. It must not be the username or one of the most common passwords.",
        examples=["correct horse battery staple"],
    ),
]

RefreshTokenText = Annotated[str, Meta(max_length=100, examples=["sbr_xLqZ1w3cQK5bX3hV0nq0dYkFz1sJm9uQe7rTgB2vNcA"])]


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The username and password of a user."""

    username: AnyUsername
    password: AnyPassword
    refresh_token: RefreshTokenText | None = None
    """The last refresh token that this client got for this user, used or not. With it, failed log-ins of other clients
    cannot lock this client out."""


class Refresh(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The refresh token from the latest answer."""

    refresh_token: RefreshTokenText


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Your current password and the new one."""

    current_password: AnyPassword
    new_password: NewPassword


class SessionTokens(msgspec.Struct, frozen=True, kw_only=True):
    """A short-lived access token, and a refresh token for the next pair (RFC 6749 section 5.1)."""

    access_token: Annotated[str, Meta(examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2ln"])]
    """Send it in the header `Authorization: Bearer <access_token>` (RFC 6750)."""
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(description="The seconds until the access token expires.", examples=[900])]
    refresh_token: RefreshTokenText
    """Send it to POST /auth/refresh once; the answer has the next one."""
