"""Rows for spreadsheets: CSV as RFC 4180 has it, in UTF-8, which no program takes for a formula."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias
from uuid import UUID

CSV_MEDIA_TYPE = "text/csv"

Cell: TypeAlias = str | Decimal | date | datetime | UUID | Enum | None
"""Strings are text that somebody wrote; everything else is written so that a program can read it again."""

# What spreadsheets take for the beginning of a formula, or pass over before one (OWASP, CSV Injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - they mean the same.


def csv_rows(rows: Iterable[Iterable[Cell]]) -> bytes:
    """Return the rows, each with its end of line; a stream can do so with a few at a time."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([_plain(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode()


def attachment(name: str, *parts: object, extension: str) -> dict[str, str]:
    """Return the header that has a browser save the answer under a name, which every system can write."""
    return _disposition("attachment", name, parts, extension)


def inline(name: str, *parts: object, extension: str) -> dict[str, str]:
    """Return the header that has a browser show the answer, and save it, if asked to, under that name."""
    return _disposition("inline", name, parts, extension)


def _plain(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            # The apostrophe is what a spreadsheet itself puts before text that is to stay text.
            return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
        case datetime():
            return cell.isoformat().replace("+00:00", "Z")
        case Enum():
            return str(cell.value)
        case _:
            return str(cell)


def _disposition(kind: str, name: str, parts: tuple[object, ...], extension: str) -> dict[str, str]:
    words = (_ascii(str(part)) for part in (name, *parts))
    filename = "-".join(word for word in words if word)
    return {"Content-Disposition": f'{kind}; filename="{filename}.{extension}"'}


def _ascii(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-")[:60]
