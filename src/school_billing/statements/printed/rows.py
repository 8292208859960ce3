"""The lines of a student's statement for a spreadsheet, with the names that they have in the JSON."""

from collections.abc import Iterable, Sequence

from msgspec import UNSET, Struct

from school_billing.platform.web.spreadsheets import Cell, csv_rows
from school_billing.statements.contracts import Entry, InvoiceLine, StudentStatement

INVOICE_COLUMNS: tuple[str, ...] = InvoiceLine.__struct_fields__
ENTRY_COLUMNS: tuple[str, ...] = Entry.__struct_fields__


def student_rows(statement: StudentStatement) -> bytes:
    """Return the entries of the period, or where none was asked for the invoices, below the names of the columns."""
    if statement.entries is UNSET:
        return _table(INVOICE_COLUMNS, statement.invoices, statement.currency)
    return _table(ENTRY_COLUMNS, statement.entries or [], statement.currency)


def cells_of(line: Struct, columns: Sequence[str], currency: str) -> list[Cell]:
    """Return a line's cells, the currency of its amounts behind them."""
    return [*(getattr(line, column) for column in columns), currency]


def _table(columns: Sequence[str], lines: Iterable[Struct], currency: str) -> bytes:
    return csv_rows([[*columns, "currency"], *(cells_of(line, columns, currency) for line in lines)])
