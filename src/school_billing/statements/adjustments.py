"""/adjustments.csv and .xlsx: who took what off which invoice, when and why, for the auditor."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from msgspec.structs import astuple

from school_billing.adjustments.contracts import AdjustmentFilters, ExportedAdjustment
from school_billing.adjustments.controller import OfInvoice, OfPayer, OfStudent, provide_adjustment_filters
from school_billing.adjustments.repository import Adjustments
from school_billing.auth.contracts import Caller
from school_billing.auth.guards import ACCOUNTANTS
from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.web.requests import AnyRequest, while_connected
from school_billing.schools.errors import SchoolNotFound
from school_billing.schools.repository import Schools
from school_billing.statements.controller import WORKBOOK, csv_parts, in_turn, rows_of
from school_billing.statements.downloads import Download, started
from school_billing.statements.parameters import Excel
from school_billing.statements.printed.renderers import PrintingBusy
from school_billing.statements.spreadsheets import CSV_MEDIA_TYPE, Cell, attachment, file_words
from school_billing.statements.workbooks import XLSX_MEDIA_TYPE, TooManyRows, workbook_parts

OfSchool = Annotated[UUID, QueryParameter(description="The school whose adjustments the file has.")]

_COLUMNS = (*ExportedAdjustment.__struct_fields__, "currency")


class AdjustmentFileController(Controller):
    """Adjustments as files."""

    path = "/"
    tags = ("adjustments",)
    opt = {"access": ACCOUNTANTS}
    dependencies = {"filters": Provide(provide_adjustment_filters)}

    @get(
        "/adjustments.csv",
        summary="Download the adjustments of a school as CSV",
        media_type=CSV_MEDIA_TYPE,
        responses=rows_of(*_COLUMNS),
        errors=(SchoolNotFound,),
    )
    async def download_adjustments_csv(
        self,
        request: AnyRequest,
        school_id: OfSchool,
        adjustments: NamedDependency[Adjustments],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        filters: NamedDependency[AdjustmentFilters],
        student_id: OfStudent = None,
        payer_id: OfPayer = None,
        invoice_id: OfInvoice = None,
        excel: Excel = False,
    ) -> Download:
        """Return each adjustment with its invoice, its student, and who recorded it when and why, oldest first.

        recorded_by is the actor in the audit trail. The amount of a reversal is above zero, too; reverses_id tells it.

        CSV by RFC 4180 in UTF-8. Text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        school = await schools.get(caller.tenant, school_id)
        parents = {"student_id": student_id, "payer_id": payer_id, "invoice_id": invoice_id}
        rows = _rows(adjustments.export(caller.tenant, school_id, filters, **parents), school.currency)
        header = attachment("adjustments", *file_words(school.name, school.id), extension="csv")
        return Download(await started(request, csv_parts(_COLUMNS, rows, excel=excel)), CSV_MEDIA_TYPE, header)

    @get(
        "/adjustments.xlsx",
        summary="Download the adjustments of a school for Excel",
        media_type=XLSX_MEDIA_TYPE,
        responses=WORKBOOK,
        errors=(SchoolNotFound, TooManyRows, PrintingBusy),
    )
    async def download_adjustments_xlsx(
        self,
        request: AnyRequest,
        school_id: OfSchool,
        adjustments: NamedDependency[Adjustments],
        schools: NamedDependency[Schools],
        workbook_queue: NamedDependency[BoundedQueue],
        caller: NamedDependency[Caller],
        filters: NamedDependency[AdjustmentFilters],
        student_id: OfStudent = None,
        payer_id: OfPayer = None,
        invoice_id: OfInvoice = None,
    ) -> Download:
        """Return the rows of the CSV as a workbook of Excel, with numbers and dates."""
        school = await schools.get(caller.tenant, school_id)
        parents = {"student_id": student_id, "payer_id": payer_id, "invoice_id": invoice_id}
        rows = _rows(adjustments.export(caller.tenant, school_id, filters, **parents), school.currency)
        header = attachment("adjustments", *file_words(school.name, school.id), extension="xlsx")
        parts = in_turn(workbook_queue, school_id, workbook_parts(_COLUMNS, rows, school.time_zone))
        return Download(await while_connected(request, started(request, parts)), XLSX_MEDIA_TYPE, header)


async def _rows(
    parts: AsyncGenerator[list[ExportedAdjustment]], currency: str
) -> AsyncGenerator[Iterable[Iterable[Cell]]]:
    async with aclosing(parts):
        async for part in parts:
            # A generator, so that the thread that reads it does the work.
            yield ([*astuple(row), currency] for row in part)
