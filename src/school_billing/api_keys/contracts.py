"""The bodies of /api-keys."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from school_billing.auth.contracts import Role
from school_billing.platform.web.types import Instant, Text


class KeyName(Text, most=100, examples=["back office"]):
    """Identifies the key in the audit trail. A school cannot use two keys with the same name."""


class ApiKey(Struct, frozen=True):
    """The description of a key for a program. Only the answer that adds a key shows the key itself."""

    id: UUID
    name: KeyName
    key_prefix: Annotated[str, Meta(description="The first characters of the key.", examples=["sbk_xLqZ1w"])]
    role: Role
    school_id: UUID | None
    """The only school that the key can see and change; null for all schools. It never changes."""
    created_by: str
    """The user who added the key."""
    last_used_at: Instant | None
    """When the key was last used, to the minute; null if it was never used."""
    revoked_at: Instant | None
    """When the key was revoked; null if it is in use."""
    created_at: Instant
    updated_at: Instant


class NewApiKey(ApiKey, frozen=True):
    """A new key, with the key itself."""

    key: Annotated[str, Meta(examples=["sbk_xLqZ1w3cQK5bX3hV0nq0dYkFz1sJm9uQe7rTgB2vNcA"])]
    """Send it in the header `Authorization: Bearer <key>`. Store it now: no later answer shows it."""


class ApiKeyIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new key."""

    name: KeyName
    role: Role
    school_id: UUID | None = None
    """null for all schools. An administrator of one school can leave it out: it is that school."""
