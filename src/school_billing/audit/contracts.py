"""What comes out of /audit."""

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from msgspec import Struct


class AuditedEntity(Enum):
    """What is audited."""

    SCHOOLS = "schools"
    STUDENTS = "students"
    INVOICES = "invoices"
    PAYMENTS = "payments"
    USERS = "users"
    API_KEYS = "api_keys"


class AuditEntry(Struct, frozen=True):
    """One change of one thing."""

    id: UUID
    school_id: UUID
    """The nil UUID for what belongs to no school."""
    entity: AuditedEntity
    entity_id: UUID
    action: str
    """INSERT, UPDATE or DELETE; of users also LOGIN, LOGIN_FAILED and TOKEN_REUSED (a spent refresh token came)."""
    actor: str
    """The user's name, or "role:..." for a change that did not come through the API."""
    database_role: str
    """Who was logged in to the database; for a change through the API its role."""
    request_id: str | None
    """The X-Request-Id of the request that made the change."""
    row_before: dict[str, Any] | None
    """The row as the database had it; amounts are exact JSON numbers here."""
    row_after: dict[str, Any] | None
    position: int | None
    """Its place in the chain of its school; null until it is sealed, a moment after the change."""
    hash: str | None
    """SHA-256 over the hash of the entry before it and its own content, in hexadecimal digits."""
    created_at: datetime
    """When the change was made."""
