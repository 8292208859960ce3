"""Downloads of all of a school's invoices, however many."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from school_billing.auth.contracts import Caller
from school_billing.auth.guards import READERS
from school_billing.platform.web.responses import Download, started
from school_billing.platform.web.spreadsheets import CSV_MEDIA_TYPE, Cell, attachment, csv_rows
from school_billing.schools.repository import Schools
from school_billing.statements.contracts import ExportedLine, ExportedRow
from school_billing.statements.parameters import AsOf
from school_billing.statements.repository import Statements

NDJSON = "application/x-ndjson"

_AMOUNTS = {"total_amount", "payments_total", "refunds_total", "paid_total", "balance_due"}
"""What is no text that somebody wrote, and may have a sign."""

_encoder = msgspec.json.Encoder()


class ExportController(Controller):
    """All of a school's invoices in one answer, sent as they are read."""

    path = "/"
    tags = ("statements",)

    @get(
        "/schools/{school_id:str}/statement.ndjson",
        access=READERS,
        summary="Download a school's invoices as JSON lines",
        media_type=NDJSON,
        responses={200: ResponseSpec(ExportedLine, media_type=NDJSON, generate_examples=False)},
    )
    async def download_ndjson(
        self,
        request: Request[Any, Any, Any],
        school_id: FromPath[UUID],
        statements: NamedDependency[Statements],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        as_of: AsOf = None,
    ) -> Download:
        """Return every invoice of a school, all as of one moment, a JSON object a line, oldest first.

        However many they are, the first is there at once. An answer without its end was cut off: ask again. 503
        while too many such downloads are under way.
        """
        school = await schools.get(caller.tenant, school_id)
        lines = statements.lines_of_school(caller.tenant, school_id, as_of)
        header = attachment("invoices", school.name, extension="ndjson")
        return Download(await started(request, _as_ndjson(lines)), NDJSON, header)

    @get(
        "/schools/{school_id:str}/statement.csv",
        access=READERS,
        summary="Download a school's invoices as CSV",
        media_type=CSV_MEDIA_TYPE,
        responses={200: ResponseSpec(str, media_type=CSV_MEDIA_TYPE, generate_examples=False)},
    )
    async def download_csv(
        self,
        request: Request[Any, Any, Any],
        school_id: FromPath[UUID],
        statements: NamedDependency[Statements],
        schools: NamedDependency[Schools],
        caller: NamedDependency[Caller],
        as_of: AsOf = None,
    ) -> Download:
        """Return every invoice of a school, all as of one moment, a row each, oldest first, below the columns' names.

        CSV by RFC 4180 in UTF-8. Text that a spreadsheet would take for a formula has an apostrophe before it. However
        many they are, the first is there at once; 503 while too many such downloads are under way.
        """
        school = await schools.get(caller.tenant, school_id)
        lines = statements.lines_of_school(caller.tenant, school_id, as_of)
        header = attachment("invoices", school.name, extension="csv")
        return Download(await started(request, _as_csv(lines, school.currency)), CSV_MEDIA_TYPE, header)


async def _as_csv(lines: AsyncGenerator[list[ExportedRow]], currency: str) -> AsyncGenerator[bytes]:
    head = csv_rows([[*ExportedRow.__struct_fields__, "currency"]])
    async with aclosing(lines):
        async for part in lines:
            yield head + csv_rows([*_cells(line), currency] for line in part)
            head = b""
    if head:
        yield head


def _cells(line: ExportedRow) -> Iterator[Cell]:
    for column, value in zip(ExportedRow.__struct_fields__, msgspec.structs.astuple(line), strict=True):
        yield Decimal(value) if column in _AMOUNTS else value


async def _as_ndjson(lines: AsyncGenerator[list[ExportedRow]]) -> AsyncGenerator[bytes]:
    async with aclosing(lines):
        async for part in lines:
            yield _encoder.encode_lines(part)
