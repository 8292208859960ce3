"""What goes in and out of /users."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.auth.contracts import NewPassword, Role
from school_billing.platform.password_rules import USERNAME_PATTERN

Username = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=USERNAME_PATTERN,
        description="Lower-case letters, digits and . _ @ + -; it is never used for another user.",
        examples=["lisa@springfield.example"],
    ),
]


class User(Struct, frozen=True):
    """Somebody who may log in."""

    id: UUID
    username: str
    role: Role
    school_id: UUID | None
    """The school that the user sees and touches, and no other; null for all. It never changes."""
    disabled_at: datetime | None
    """Since when the user may not log in; null for those who may."""
    password_changed_at: datetime
    created_at: datetime
    updated_at: datetime


class UserIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to be added."""

    username: Username
    password: NewPassword
    role: Role
    school_id: UUID | None = None
    """Null for all schools; where an administrator is bound to one it is that one, whether it is given or not."""


class UserPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What should change of a user; a field that is absent stays as it is."""

    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    """True ends all the user's sessions at once; false lets the user log in again."""


class PasswordIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's new password."""

    new_password: NewPassword
