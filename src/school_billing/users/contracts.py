"""The bodies of /users."""

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.auth.contracts import NewPassword, Role
from school_billing.platform.password_rules import USERNAME_PATTERN
from school_billing.platform.web.types import Instant

Username = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=USERNAME_PATTERN,
        description="Lower-case letters, digits and . _ @ + -. A username is never given to another user.",
        examples=["lisa@springfield.example"],
    ),
]


class User(Struct, frozen=True):
    """A person who can log in."""

    id: UUID
    username: str
    role: Role
    school_id: UUID | None
    """The only school that the user can see and change; null for all schools. It never changes."""
    disabled_at: Instant | None
    """When the user was disabled; null if the user can log in."""
    password_changed_at: Instant
    created_at: Instant
    updated_at: Instant


class UserIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new user."""

    username: Username
    password: NewPassword
    role: Role
    school_id: UUID | None = None
    """null for all schools. An administrator of one school can leave it out: it is that school."""


class UserPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a user. A field that is absent stays as it is."""

    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    """true disables the user and ends all sessions at once; false lets the user log in again."""


class PasswordIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new password of a user."""

    new_password: NewPassword
