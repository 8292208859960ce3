import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest

from school_billing.statements.spreadsheets import Cell, attachment, csv_rows, inline


class Colour(Enum):
    RED = "RED"


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])  # noqa: RUF001
def test_text_that_a_spreadsheet_would_take_for_a_formula_is_text(start: str) -> None:
    assert read(csv_rows([[f"{start}HYPERLINK(1)"]])) == [[f"'{start}HYPERLINK(1)"]]
    assert read(csv_rows([[f"1{start}1"]])) == [[f"1{start}1"]]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("  =1+1", "'  =1+1"),
        ("\N{NO-BREAK SPACE}@SUM(A1)", "'\N{NO-BREAK SPACE}@SUM(A1)"),
        ("fee;=cmd|' /C calc'!A0", "fee;'=cmd|' /C calc'!A0"),
        ("fee; \t-1", "fee;' \t'-1"),
        ("two\n+1\r\n@x", "two\n'+1\r\n'@x"),
        ("a\t=1;b;=2", "a\t'=1;b;'=2"),
        (';"=1', ";'\"=1"),
        ("a; b\tc\nd", "a; b\tc\nd"),
        ("2026-01-05, 1+1=2", "2026-01-05, 1+1=2"),
    ],
)
def test_no_spreadsheet_finds_a_formula_behind_its_own_separator(text: str, written: str) -> None:
    assert read(csv_rows([[text]])) == [[written]]


def test_an_amount_stays_a_number_whatever_its_sign() -> None:
    assert csv_rows([[Decimal("-50.00"), Decimal("1000000.10")]]) == b"-50.00,1000000.10\r\n"


def test_what_is_no_text_is_written_for_programs() -> None:
    row: list[Cell] = [date(2026, 3, 1), datetime(2026, 3, 1, 12, tzinfo=UTC), UUID(int=1), Colour.RED, None]
    written = b"2026-03-01,2026-03-01T12:00:00.000000Z,00000000-0000-0000-0000-000000000001,RED,\r\n"
    assert csv_rows([row]) == written


def test_commas_quotes_and_ends_of_lines_stay_in_their_cell() -> None:
    row = ["a,b", 'say "no"', "two\nlines", "Matrícula رسوم"]
    assert csv_rows([row]).startswith(b'"a,b","say ""no""","two\nlines",')
    assert read(csv_rows([row])) == [row]


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("Lisa Simpson", "statement-lisa-simpson-2026-03-01.csv"),
        ("María José Núñez", "statement-maria-jose-nunez-2026-03-01.csv"),
        ("محمد", "statement-2026-03-01.csv"),
        ('"; filename="evil.exe\r\nX: y', "statement-filename-evil-exe-x-y-2026-03-01.csv"),
        ("../../etc/passwd", "statement-etc-passwd-2026-03-01.csv"),
        ("x" * 255, f"statement-{'x' * 60}-2026-03-01.csv"),
    ],
)
def test_a_file_has_a_name_that_every_system_can_write(name: str, filename: str) -> None:
    header = attachment("statement", name, date(2026, 3, 1), extension="csv")
    assert header == {"Content-Disposition": f'attachment; filename="{filename}"'}
    assert inline("statement", name, date(2026, 3, 1), extension="csv")["Content-Disposition"].startswith("inline; ")
