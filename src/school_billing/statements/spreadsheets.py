"""CSV for spreadsheets (RFC 4180), in UTF-8, without cells that a program would run as a formula."""

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

Cell: TypeAlias = str | int | Decimal | date | datetime | UUID | Enum | None
"""Strings are text that a person wrote. Every other value is written so that a program can read it again."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Excel reads a file as UTF-8 only if the file begins with this."""

# Where a spreadsheet could begin a formula: at the beginning of the text (OWASP, CSV Injection), and after a semicolon,
# tab or newline in it, because quotes hold no cell together if the spreadsheet separates cells by another character.
_FORMULA = re.compile(r'^(?=[\t\r\n])|(^|\r\n|[;\t\r\n])(?=[\s"\ufeff\u200b]*[=+\-@＝＋－＠])')  # noqa: RUF001 - they mean the same.


def csv_rows(rows: Iterable[Iterable[Cell]]) -> bytes:
    """Return the rows, each with its end of line."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([_plain(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode()


def file_words(name: str, identifier: UUID, external_id: str | None = None) -> list[str]:
    """Return the words in the names of a student's or school's files, which another of the same name does not have."""
    number = external_id or ""
    # Without a number, or if the name of a file cannot have all of it, the random end of the id tells them apart.
    is_whole = number != "" and _ascii(number) == number.lower()
    return [name, number, "" if is_whole else identifier.hex[-12:]]


def attachment(name: str, *parts: object, extension: str) -> dict[str, str]:
    """Return the header by which a browser saves the answer, under a name that every system can write."""
    return _disposition("attachment", name, parts, extension)


def inline(name: str, *parts: object, extension: str) -> dict[str, str]:
    """Return the header by which a browser shows the answer, and saves it under that name if asked to."""
    return _disposition("inline", name, parts, extension)


def _plain(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            # A spreadsheet itself puts an apostrophe before text that looks like a formula.
            # The expression is slow, an export has millions of cells, and no tab or newline is printable.
            is_plain = cell[:1].isalnum() and ";" not in cell and cell.isprintable()
            return cell if is_plain else _FORMULA.sub(r"\1'", cell)
        case datetime():
            return cell.isoformat(timespec="microseconds").replace("+00:00", "Z")
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
