"""Files for Excel: the rows of the CSV, with numbers and dates."""

import csv
import io
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import openpyxl
import pytest
from openpyxl.utils.escape import unescape

from school_billing.auth.contracts import Role
from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.statements import workbooks
from school_billing.statements.controller import in_turn
from school_billing.statements.printed.renderers import PrintingBusy
from school_billing.statements.spreadsheets import Cell
from tests.api import NOBODY, Api, Json, problem

ZONE = "Pacific/Auckland"
MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DAYS = {"date", "due_date", "oldest_due_date"}
INSTANTS = {"happened_at", "issued_at"}
COUNTS = {"days_overdue", "invoices_count"}
TEXTS = {"id", "student_id", "payer_id", "invoice_id", "payment_id", "receipt_id", "full_name", "name", "external_id",
         "description", "method", "reference", "kind", "status", "currency"}  # fmt: skip


def sheet_of(response: httpx.Response) -> Any:
    """Return the only sheet of a workbook."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    return openpyxl.load_workbook(io.BytesIO(response.content)).active


def is_same(name: str, text: str, cell: Any) -> bool:
    """Tell whether a cell of Excel says what the text in the column of the CSV does, as the right type."""
    if text == "":
        return cell.value is None
    if name in DAYS:
        return (cell.number_format, str(cell.value.date())) == ("yyyy-mm-dd", text)
    if name in INSTANTS:
        there = datetime.fromisoformat(text).astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)
        return bool(cell.number_format == "yyyy-mm-dd hh:mm:ss" and abs(cell.value - there) < timedelta(milliseconds=2))
    if name in COUNTS:
        return (cell.data_type, cell.value) == ("n", int(text))
    if name in TEXTS:
        # openpyxl shows the escapes that Excel reads.
        return (cell.data_type, unescape(str(cell.value))) == ("s", text.removeprefix("'"))
    amount = Decimal(repr(cell.value)).quantize(Decimal("0.01"))
    return (cell.data_type, cell.number_format, amount) == ("n", "0.00", Decimal(text))


async def same_rows(api: Api, path: str, query: str = "") -> int:
    """Check that each cell of the workbook says what the CSV says, and return the number of rows."""
    table = await api.client.get(f"{path}.csv{query}")
    workbook = await api.client.get(f"{path}.xlsx{query}")
    names = [answer.headers["content-disposition"] for answer in (table, workbook)]
    assert names[1] == names[0].replace(".csv", ".xlsx")
    head, *rows = csv.reader(io.StringIO(table.text, newline=""))
    sheet = sheet_of(workbook)
    first, *others = sheet.iter_rows()
    assert [cell.value for cell in first] == head
    assert all(cell.font.bold for cell in first)
    assert sheet.freeze_panes == "A2"
    assert len(others) == len(rows)
    for row, cells in zip(rows, others, strict=True):
        assert [(name, text, cell.value) for name, text, cell in zip(head, row, cells, strict=True)
                if not is_same(name, text, cell)] == []  # fmt: skip
    return len(rows)


@pytest.fixture
async def family(api: Api) -> tuple[Json, Json, Json]:
    """A school, a payer and a student with the largest amount, a void invoice, and words that look like formulas."""
    school = await api.school(time_zone=ZONE, currency="EUR")
    payer = await api.payer(school, name="@Marge", external_id="+1")
    student = await api.student(school, full_name='=HYPERLINK("x")', external_id="-1")
    await api.set_payers(student, {payer["id"]: "100"})
    tuition = await api.invoice(student, "9999999999.99", description="<r>Books & <b></r>", due_date="2026-01-31")
    await api.pay(tuition, "0.01", method="cash", reference="_x0041_")
    await api.receipt(payer, "0.10", method="cheque")
    void = await api.invoice(student, "7.07", issued_at="2026-01-05T12:00:00Z", description="Two\nlines")
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "entered twice"})
    other = await api.student(school)
    await api.invoice(other, "100.00")
    await api.invoice(await api.student())  # of another school
    return school, payer, student


async def test_each_workbook_has_the_rows_of_the_csv(api: Api, family: tuple[Json, Json, Json]) -> None:
    school, payer, student = family
    for query in ("", "?from=2026-01-01", "?as_of=2999-12-31"):
        assert await same_rows(api, f"/students/{student['id']}/statement", query) == 6
        assert await same_rows(api, f"/payers/{payer['id']}/statement", query) == 6
    for query in ("", "?as_of=2999-12-31"):
        assert await same_rows(api, f"/schools/{school['id']}/statement", query) == 3
        assert await same_rows(api, f"/schools/{school['id']}/debtors", query) == 2
    assert await same_rows(api, f"/schools/{school['id']}/debtors", "?by=payer") == 1
    assert await same_rows(api, f"/schools/{(await api.school())['id']}/statement") == 0


async def test_the_entity_tag_stays_while_the_rows_do(api: Api, family: tuple[Json, Json, Json]) -> None:
    path = f"/students/{family[2]['id']}/statement.xlsx?from=2026-01-01&to=2026-01-31"
    first = await api.client.get(path)
    again = await api.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_caller_of_one_school_gets_no_workbook_of_another(
    api: Api, family: tuple[Json, Json, Json], make_client: Callable[..., httpx.AsyncClient]
) -> None:
    school, payer, student = family
    mine = await api.school()
    of_school = [f"/schools/{school['id']}/{report}" for report in ("statement", "debtors")]
    async with make_client(Role.VIEWER, UUID(mine["id"])) as bound:
        for path in (*of_school, f"/payers/{payer['id']}/statement", f"/students/{student['id']}/statement"):
            assert problem(await bound.get(f"{path}.xlsx"), 404)["code"].endswith("_not_found")
    problem(await api.client.get(f"/schools/{NOBODY}/statement.xlsx"), 404, "school_not_found")


async def test_more_rows_than_excel_opens_are_refused_and_no_file_stays(
    api: Api, family: tuple[Json, Json, Json], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    school, _, student = family
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = f"/schools/{school['id']}/statement.xlsx"
    assert (await api.client.head(path)).status_code == 200
    assert len(list(sheet_of(await api.client.get(path)).iter_rows())) == 4
    monkeypatch.setattr(workbooks, "ROWS_MOST", 3)
    for _ in range(5):  # More often than there are places.
        problem(await api.client.get(path), 400, "too_many_rows")
    problem(await api.client.get(f"/students/{student['id']}/statement.xlsx"), 400, "too_many_rows")
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a few entries of this test


async def test_a_reader_who_leaves_frees_the_place_and_deletes_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    queue = BoundedQueue(1, PrintingBusy, wait_seconds=0.01)

    async def rows() -> AsyncGenerator[Iterable[Iterable[Cell]]]:
        yield [[uuid4()] for _ in range(10_000)]

    def download() -> AsyncGenerator[bytes]:
        return in_turn(queue, "school", workbooks.workbook_parts(["id"], rows(), ZONE))

    for _ in range(2):
        async with aclosing(download()) as parts:
            assert (await anext(parts)).startswith(b"PK")
            assert len(list(tmp_path.iterdir())) == 1  # noqa: ASYNC240 - a few entries of this test
            async with aclosing(download()) as refused:
                with pytest.raises(PrintingBusy):
                    await anext(refused)
        assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - as above
