"""/audit: who changed what, when."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import QueryParameter

from school_billing.audit.contracts import BOOKS, AuditAction, AuditedEntity, AuditEntry, AuditFilters
from school_billing.audit.errors import CONSTRAINT_ERRORS
from school_billing.audit.repository import AuditLog
from school_billing.auth.contracts import Caller, Role
from school_billing.auth.errors import Forbidden
from school_billing.auth.guards import ACCOUNTANTS
from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room
from school_billing.platform.web.pages import Page
from school_billing.schools.days import Day

OfEntity = Annotated[AuditedEntity | None, QueryParameter(description="Only changes of this table.")]
OfEntityId = Annotated[UUID | None, QueryParameter(description="Only changes of the row with this id.")]
OfSchool = Annotated[UUID | None, QueryParameter(description="Only changes in this school.")]


ByActor = Annotated[str | None, QueryParameter(max_length=255, description="Only changes by this user or API key.")]
OfAction = Annotated[AuditAction | None, QueryParameter(description="Only entries of this action.")]
From = Annotated[
    Day | None,
    QueryParameter(
        name="from",
        description="Only entries of this day or later, in the school's time zone (in UTC without a school).",
    ),
]
To = Annotated[
    Day | None,
    QueryParameter(description="Only entries of this day or earlier, in the school's time zone (in UTC without one)."),
]


class AuditController(Controller):
    """The routes of the audit trail."""

    path = "/"
    tags = ("audit",)

    @get("/audit", access=ACCOUNTANTS, summary="Read the audit trail")
    async def list_audit_entries(
        self,
        page: NamedDependency[Page],
        audit_log: NamedDependency[AuditLog],
        caller: NamedDependency[Caller],
        entity: OfEntity = None,
        entity_id: OfEntityId = None,
        school_id: OfSchool = None,
        actor: ByActor = None,
        action: OfAction = None,
        from_: From = None,
        to: To = None,
    ) -> Response[list[AuditEntry]]:
        """List all changes of the books, of users and of API keys, in order, and all log-ins.

        An entry has the row before and after the change, the actor and the request. A moment later it is sealed: it
        gets a hash of its content and of the entry before it in the same school. The books are schools, students,
        payers, invoices, adjustments, receipts and payments. An accountant of a school sees those of its books, and no
        log-ins.
        """
        entities: Sequence[AuditedEntity] | None = None if entity is None else (entity,)
        if caller.role is Role.ACCOUNTANT:
            if caller.tenant is None:
                raise Forbidden("Only an accountant of one school can read its audit trail.")
            if entity is not None and entity not in BOOKS:
                raise Forbidden("An accountant can read the changes of the books, not of users and API keys.")
            entities = entities or BOOKS
        filters = AuditFilters(school_id, entity_id, entities, actor, action, from_, to)
        return page.answer(await audit_log.list(caller.tenant, page, filters))


def room(database: Database) -> Room:
    """Return what the audit trail brings to the application."""
    tag = Tag("audit", "Who changed what, when.")
    return Room(tag, AuditController, constraint_errors=CONSTRAINT_ERRORS, audit_log=AuditLog(database))
