"""The body of /audit."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct

from school_billing.platform.web.types import Instant


class AuditedEntity(StrEnum):
    """The audited tables."""

    SCHOOLS = "schools"
    STUDENTS = "students"
    PAYERS = "payers"
    STUDENT_PAYERS = "student_payers"
    FEE_PLANS = "fee_plans"
    FEE_PLAN_ITEMS = "fee_plan_items"
    AWARDS = "awards"
    BILLING_RUNS = "billing_runs"
    INVOICES = "invoices"
    INVOICE_LINES = "invoice_lines"
    ADJUSTMENTS = "adjustments"
    ADJUSTMENT_LINES = "adjustment_lines"
    RECEIPTS = "receipts"
    PAYMENTS = "payments"
    RECEIPT_REFUNDS = "receipt_refunds"
    CLOSINGS = "closings"
    USERS = "users"
    API_KEYS = "api_keys"


BOOKS = tuple(entity for entity in AuditedEntity if entity not in {AuditedEntity.USERS, AuditedEntity.API_KEYS})
"""The tables whose entries an accountant can read."""


class AuditAction(StrEnum):
    """The actions in the audit trail."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    LOGIN = "LOGIN"
    LOGIN_FAILED = "LOGIN_FAILED"
    TOKEN_REUSED = "TOKEN_REUSED"  # noqa: S105 - the name of an event, not a token.
    """A refresh token came twice."""


class AuditFilters(Struct, frozen=True):
    """The entries that a list shows. A filter that is None does not apply."""

    school_id: UUID | None
    entity_id: UUID | None
    entities: Sequence[AuditedEntity] | None
    actor: str | None
    action: AuditAction | None
    starts_on: date | None
    ends_on: date | None


class AuditEntry(Struct, frozen=True):
    """One change of one row, or one log-in."""

    id: UUID
    school_id: UUID
    """The nil UUID if the row belongs to no school, such as an administrator of all schools."""
    entity: AuditedEntity
    entity_id: UUID
    action: AuditAction
    """Only users have LOGIN, LOGIN_FAILED and TOKEN_REUSED (a refresh token came twice)."""
    actor: str
    """The username or the API key; "role:..." for a change that did not come through the API."""
    database_role: str
    """The role that was logged in to the database. For a change through the API it is the role of the service."""
    request_id: str | None
    """The X-Request-Id of the request that made the change."""
    row_before: dict[str, Any] | None
    """The row before the change. Amounts are exact JSON numbers here."""
    row_after: dict[str, Any] | None
    """The row after the change."""
    position: int | None
    """The position in the chain of the school; null until the entry is sealed, a moment after the change."""
    hash: str | None
    """SHA-256 of the hash of the entry before and the content of this entry, in hexadecimal digits."""
    created_at: Instant
    """When the change was made."""
