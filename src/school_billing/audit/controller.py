"""/audit: who changed what, when."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from school_billing.audit.contracts import AuditedEntity, AuditEntry
from school_billing.audit.repository import AuditFilter, AuditLog
from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ADMINS
from school_billing.platform.web.pages import Page

OfEntity = Annotated[AuditedEntity | None, QueryParameter(description="Only changes of this kind of thing.")]
OfEntityId = Annotated[UUID | None, QueryParameter(description="Only changes of the thing of this id.")]
OfSchool = Annotated[UUID | None, QueryParameter(description="Only changes in this school.")]


class AuditController(Controller):
    """The audit trail."""

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
        """List every change to what is audited, in the order of the changes; and who logged in, or tried to.

        Schools, students, invoices, payments, users and API keys are. Each entry has the row before and after, who
        made the change and with which request. It is sealed a moment later with a hash that chains it to the entry
        before it in its school.
        """
        wanted = AuditFilter(entity=entity, entity_id=entity_id, school_id=school_id)
        return page.answer(await audit_log.list(caller.tenant, wanted, page))
