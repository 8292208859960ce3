"""/billing-runs/{id}/rows.csv and .xlsx: what a run does with each student, for a spreadsheet."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import READERS
from school_billing.billing_runs.contracts import BillingRun, RunRow, Verdict
from school_billing.billing_runs.controller import WithVerdict
from school_billing.billing_runs.errors import BillingRunNotFound
from school_billing.billing_runs.repository import BillingRuns
from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.web.requests import AnyRequest, while_connected
from school_billing.schools.contracts import School
from school_billing.schools.repository import Schools
from school_billing.statements.controller import WORKBOOK, csv_parts, in_turn, rows_of
from school_billing.statements.downloads import Download, started
from school_billing.statements.parameters import Excel
from school_billing.statements.printed.renderers import PrintingBusy
from school_billing.statements.spreadsheets import CSV_MEDIA_TYPE, Cell, attachment, file_words
from school_billing.statements.workbooks import XLSX_MEDIA_TYPE, TooManyRows, workbook_parts

_FIELDS = [name for name in RunRow.__struct_fields__ if name not in {"id", "lines", "invoices"}]
_COLUMNS = [*_FIELDS, "currency"]


class BillingRunRowsController(Controller):
    """The rows of billing runs for spreadsheets."""

    path = "/"
    tags = ("billing_runs",)
    opt = {"access": READERS}

    @get(
        "/billing-runs/{billing_run_id:str}/rows.csv",
        summary="Download the students of a billing run as CSV",
        media_type=CSV_MEDIA_TYPE,
        responses=rows_of(*_COLUMNS),
        errors=(BillingRunNotFound,),
    )
    async def download_billing_run_csv(
        self,
        request: AnyRequest,
        billing_run_id: FromPath[UUID],
        billing_runs: NamedDependency[BillingRuns],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        verdict: WithVerdict = None,
        excel: Excel = False,
    ) -> Download:
        """Return what the run does with each student, a row each, without the lines and the invoices.

        CSV by RFC 4180 in UTF-8. Text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        run = await billing_runs.get(caller.tenant, billing_run_id)
        school = await schools.get(caller.tenant, run.school_id)
        rows = _rows(billing_runs.all_rows(caller.tenant, run, verdict), school.currency)
        parts = csv_parts(_COLUMNS, rows, excel=excel)
        return Download(await started(request, parts), CSV_MEDIA_TYPE, _header(run, school, verdict, "csv"))

    @get(
        "/billing-runs/{billing_run_id:str}/rows.xlsx",
        summary="Download the students of a billing run for Excel",
        media_type=XLSX_MEDIA_TYPE,
        responses=WORKBOOK,
        errors=(BillingRunNotFound, TooManyRows, PrintingBusy),
    )
    async def download_billing_run_xlsx(
        self,
        request: AnyRequest,
        billing_run_id: FromPath[UUID],
        billing_runs: NamedDependency[BillingRuns],
        schools: NamedDependency[Schools],
        workbook_queue: NamedDependency[BoundedQueue],
        caller: NamedDependency[Caller],
        verdict: WithVerdict = None,
    ) -> Download:
        """Return the rows of the CSV as a workbook of Excel, with numbers."""
        run = await billing_runs.get(caller.tenant, billing_run_id)
        school = await schools.get(caller.tenant, run.school_id)
        rows = _rows(billing_runs.all_rows(caller.tenant, run, verdict), school.currency)
        parts = in_turn(workbook_queue, school.id, workbook_parts(_COLUMNS, rows, school.time_zone))
        header = _header(run, school, verdict, "xlsx")
        return Download(await while_connected(request, started(request, parts)), XLSX_MEDIA_TYPE, header)


async def _rows(parts: AsyncGenerator[Sequence[RunRow]], currency: str) -> AsyncGenerator[Iterable[Iterable[Cell]]]:
    async with aclosing(parts):
        async for part in parts:
            # A generator, so that the thread that reads it does the work.
            yield ([*(getattr(row, name) for name in _FIELDS), currency] for row in part)


def _header(run: BillingRun, school: School, verdict: Verdict | None, extension: str) -> dict[str, str]:
    words = file_words(school.name, school.id)
    return attachment("billing-run", *words, run.period, verdict.value if verdict else "", extension=extension)
