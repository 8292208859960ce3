"""What goes in and out of /api-keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from school_billing.auth.contracts import Role
from school_billing.platform.web.types import PRINTABLE_PATTERN

KeyName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=PRINTABLE_PATTERN,
        description="What the audit trail calls it; no two keys in use of a school have one name.",
        examples=["back office"],
    ),
]


class ApiKey(Struct, frozen=True):
    """A key for a machine; what it begins with, for the whole is shown only once."""

    id: UUID
    name: KeyName
    key_prefix: Annotated[str, Meta(examples=["sbk_xLqZ1w"])]
    role: Role
    school_id: UUID | None
    """The school that the key opens, and no other; null for all. It never changes."""
    created_by: str
    """Who made it, as in the audit trail."""
    last_used_at: datetime | None
    """To the minute; null where it never was."""
    revoked_at: datetime | None
    """Since when it opens nothing."""
    created_at: datetime
    updated_at: datetime


class NewApiKey(ApiKey, frozen=True):
    """A key that was just made, with the key itself."""

    key: Annotated[str, Meta(examples=["sbk_xLqZ1w3cQK5bX3hV0nq0dYkFz1sJm9uQe7rTgB2vNcA"])]
    """For the header `Authorization: Bearer <key>`. It is shown now and never again."""


class ApiKeyIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made."""

    name: KeyName
    role: Role
    school_id: UUID | None = None
    """Null for all schools; where an administrator is bound to one it is that one, whether it is given or not."""
