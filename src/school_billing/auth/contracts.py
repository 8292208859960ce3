"""What goes in and out of /auth, and who a caller can be."""

from enum import Enum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from school_billing.web.fields import LongText


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

    username: str
    role: Role
    tenant: UUID | None
    """The school that the caller is bound to; None for those who may see all."""


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's name and password."""

    username: Annotated[LongText, Meta(examples=["admin"])]
    password: Annotated[str, Meta(max_length=1024, examples=["change_me"])]


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token for the header `Authorization: Bearer <access_token>` (RFC 6750)."""

    access_token: Annotated[str, Meta(examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2ln"])]
    token_type: Annotated[str, Meta(examples=["Bearer"])]
    expires_in: Annotated[int, Meta(description="Seconds from now.", examples=[3600])]


class Credentials(msgspec.Struct, frozen=True):
    """What is stored of a user for logging in."""

    username: str
    password_hash: str
    role: str
    school_id: UUID | None
