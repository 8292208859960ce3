"""/audit: who changed what, when."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import QueryParameter

from school_billing.audit.contracts import AuditedEntity, AuditEntry
from school_billing.audit.errors import CONSTRAINT_ERRORS
from school_billing.audit.repository import AuditLog
from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ADMINS
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room
from school_billing.platform.web.pages import Page

OfEntity = Annotated[AuditedEntity | None, QueryParameter(description="Only changes of this table.")]
OfEntityId = Annotated[UUID | None, QueryParameter(description="Only changes of the row with this id.")]
OfSchool = Annotated[UUID | None, QueryParameter(description="Only changes in this school.")]


class AuditController(Controller):
    """The routes of the audit trail."""

    path = "/"
    tags = ("audit",)

    @get("/audit", access=ADMINS, summary="Read the audit trail")
    async def list_audit_entries(
        self,
        page: NamedDependency[Page],
        audit_log: NamedDependency[AuditLog],
        caller: NamedDependency[Caller],
        entity: OfEntity = None,
        entity_id: OfEntityId = None,
        school_id: OfSchool = None,
    ) -> Response[list[AuditEntry]]:
        """List all changes of schools, students, invoices, payments, users and API keys, in order, and all log-ins.

        An entry has the row before and after the change, the actor and the request. A moment later it is sealed: it
        gets a hash of its content and of the entry before it in the same school.
        """
        return page.answer(await audit_log.list(caller.tenant, page, entity, entity_id, school_id))


def room(database: Database) -> Room:
    """Return what the audit trail brings to the application."""
    tag = Tag("audit", "Who changed what, when.")
    return Room(tag, AuditController, constraint_errors=CONSTRAINT_ERRORS, audit_log=AuditLog(database))
