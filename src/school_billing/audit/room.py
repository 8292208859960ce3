"""The room of the audit trail."""

from litestar.openapi.spec import Tag

from school_billing.audit.controller import AuditController
from school_billing.audit.errors import MEANINGS
from school_billing.audit.repository import AuditLog
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room


def room(database: Database) -> Room:
    """Return what the audit trail brings to the application."""
    return Room(
        Tag("audit", "Who changed what, when."), AuditController, meanings=MEANINGS, audit_log=AuditLog(database)
    )
