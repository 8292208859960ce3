"""Files for Excel (.xlsx, ECMA-376) with the rows of a CSV file: numbers and dates are numbers and dates there."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, closing
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from school_billing.platform.web.errors import BadRequest
from school_billing.statements.spreadsheets import Cell

XLSX_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

ROWS_MOST = 1_048_576
"""The rows of a sheet, with that of the columns' names: Excel opens no more."""

# A float has 15 exact digits, so it holds every amount below this to the cent. A larger one stays text.
_AMOUNT_MOST = Decimal(10**13)
_FIRST_DAY = date(1900, 1, 1)  # Excel counts days from here. An earlier one stays text.
_WIDTH_MOST = 50
_MEASURED_MOST = 1_000
_PIECE_BYTES = 65_536


class TooManyRows(BadRequest):
    """These are more rows than a sheet of Excel has. Ask for the CSV."""

    code = "too_many_rows"


class Workbook:
    """An .xlsx file of one sheet. It grows on disk, row by row, and close() deletes it.

    Instants are in the time zone of the school, because Excel knows no time zones, and its readers count the days of
    the school. The CSV has them in UTC.
    """

    def __init__(self, columns: Sequence[str], time_zone: str) -> None:
        # Importing it takes as long as a tenth of the whole service, which starts without it.
        from xlsxwriter import Workbook as Writer  # noqa: PLC0415

        self._folder = TemporaryDirectory(prefix="school-billing-xlsx-")
        self._path = Path(self._folder.name) / "workbook.xlsx"
        self._writer = Writer(self._path, {"constant_memory": True, "tmpdir": self._folder.name})
        # Otherwise the same rows would make another file, and another entity tag, a second later.
        self._writer.set_properties({"created": datetime(2000, 1, 1)})  # noqa: DTZ001 - xlsxwriter wants it so
        self._zone = ZoneInfo(time_zone)
        self._plain = self._writer.add_format()
        self._amount = self._writer.add_format({"num_format": "0.00"})
        self._day = self._writer.add_format({"num_format": "yyyy-mm-dd"})
        self._instant = self._writer.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._sheet = self._writer.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        bold = self._writer.add_format({"bold": True})
        for place, name in enumerate(columns):
            self._sheet.write_string(0, place, name, bold)
        self._widths = [len(name) for name in columns]
        self._count = 1

    def add(self, rows: Iterable[Iterable[Cell]]) -> None:
        """Write rows below the others. TooManyRows if the sheet is full."""
        for row in rows:
            if self._count >= ROWS_MOST:
                raise TooManyRows
            for place, cell in enumerate(row):
                width = 0 if cell is None else self._write(place, cell)
                if self._count <= _MEASURED_MOST and width > self._widths[place]:
                    self._widths[place] = width
            self._count += 1

    def finish(self) -> Path:
        """Return where the file is."""
        for place, width in enumerate(self._widths):
            self._sheet.set_column(place, place, min(width, _WIDTH_MOST) + 2)
        self._writer.close()
        return self._path

    def close(self) -> None:
        """Delete the file, whether it is finished or not."""
        self._sheet._opt_close()
        self._folder.cleanup()

    def _write(self, place: int, cell: Cell) -> int:
        """Write a cell, and return its width in characters."""
        if isinstance(cell, Enum):
            cell = str(cell.value)
        match cell:
            case Decimal() if abs(cell) < _AMOUNT_MOST:
                self._sheet.write_number(self._count, place, float(cell), self._amount)
            case int():
                self._sheet.write_number(self._count, place, cell)
            case datetime():
                local = cell.astimezone(self._zone).replace(tzinfo=None)
                return self._write_date(place, local, local.date(), self._instant)
            case date():
                return self._write_date(place, cell, cell, self._day)
            case str() if cell.startswith("<r>") and cell.endswith("</r>"):
                # xlsxwriter takes this for markup of its own, and would not escape it.
                self._sheet.write_rich_string(self._count, place, cell[:1], self._plain, cell[1:])
            case _:
                # Never a formula, whatever it begins with.
                self._sheet.write_string(self._count, place, str(cell))
        return len(str(cell))

    def _write_date(self, place: int, moment: date, day: date, form: object) -> int:
        if day < _FIRST_DAY:
            self._sheet.write_string(self._count, place, moment.isoformat())
        else:
            self._sheet.write_datetime(self._count, place, moment, form)
        return 19 if isinstance(moment, datetime) else 10


def workbook(columns: Sequence[str], rows: Iterable[Iterable[Cell]], time_zone: str) -> bytes:
    """Return an .xlsx file of some thousands of rows. It takes a while, so this is for a thread."""
    with closing(Workbook(columns, time_zone)) as book:
        book.add(rows)
        return book.finish().read_bytes()


async def workbook_parts(
    columns: Sequence[str], rows: AsyncGenerator[Iterable[Iterable[Cell]]], time_zone: str
) -> AsyncGenerator[bytes]:
    """Yield an .xlsx file of any length, in parts. It is whole before the first part, and on disk until the last."""
    book = await asyncio.to_thread(Workbook, columns, time_zone)
    try:
        async with aclosing(rows):
            async for part in rows:
                # In a thread, so that short requests do not wait for the formatting.
                await asyncio.to_thread(book.add, part)
        path = await asyncio.to_thread(book.finish)
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
                yield piece
    finally:
        await asyncio.to_thread(book.close)
