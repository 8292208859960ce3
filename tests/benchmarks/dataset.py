"""The data that benchmarks run on, made by dataset.sql."""

from pathlib import Path
from uuid import UUID

import psycopg

from tests.benchmarks.load import Drawn

_LOAD = (Path(__file__).parent / "dataset.sql").read_text()
_FUNCTIONS = (
    """
    create or replace function bench_id(kind int, number bigint) returns uuid language sql immutable
      return ('01980000-000' || kind || '-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid
    """,
    """
    create or replace function bench_invoices(place bigint, invoices int) returns uuid[] language sql immutable
      return (
        select array_agg(bench_id(3, n % 12 * bigint '1000000000' + 10001 + 50 * ((place + n / 12) % 100)))
        from generate_series(0, invoices - 1) as n
      )
    """,
)

LARGE_SCHOOL = 1
LARGE_STUDENTS = 5_000
SMALL_STUDENTS = 100
SMALL_SCHOOLS = 200
MONTHS = 12

SPREAD = range(1, LARGE_STUDENTS, 50)
"""Places of a hundred students of the large school."""

DRAWN_STUDENT = Drawn("bench_id(2, 10001 + 50 * :place::bigint)")
"""One of those students."""
DRAWN_INVOICE = Drawn("bench_id(3, 11000010001 + 50 * :place::bigint)")
"""The last invoice of one of them."""
DRAWN_SCHOOL = Drawn("bench_id(1, 2 + :place::bigint)")
"""One of a hundred small schools."""


def school_id(school: int) -> UUID:
    """Return the id of the school of that number, from 1 on."""
    return _id(1, school)


def student_id(school: int, place: int) -> UUID:
    """Return the id of a school's student; `place` counts from 1."""
    return _id(2, school * 10_000 + place)


def invoice_id(school: int, place: int, month: int) -> UUID:
    """Return the id of the invoice of a month, 0 to 11, on a student."""
    return _id(3, month * 1_000_000_000 + school * 10_000 + place)


def invoices_from(place: int, count: int) -> list[UUID]:
    """Return invoices of the large school, those of a student of SPREAD first, and then of the students after it."""
    return [
        invoice_id(LARGE_SCHOOL, SPREAD[(place + number // MONTHS) % len(SPREAD)], number % MONTHS)
        for number in range(count)
    ]


def drawn_invoices(count: int) -> Drawn:
    """Return the same invoices for pgbench, as an array."""
    return Drawn(f"bench_invoices(:place::bigint, {count})")


def load(database_url: str, first_school: int, schools: int, students: int) -> None:
    """Add schools, each with so many students, twelve invoices a student and 1.5 payments an invoice."""
    numbers = {"first_school": first_school, "schools": schools, "students": students}
    with psycopg.connect(database_url) as connection:
        for function in _FUNCTIONS:
            connection.execute(function)
        # One by one, since a statement with parameters comes alone. No string in the file has a semicolon.
        for statement in _LOAD.split(";"):
            if statement.strip():
                connection.execute(statement.encode(), numbers)


def settle(database_url: str) -> None:
    """Give the planner its statistics and the tables their visibility maps, as autovacuum would in time."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")
        connection.execute("checkpoint")


def load_standard(database_url: str) -> None:
    """Add one school of 60,000 invoices and 90,000 payments, and 200 schools of 1,200 invoices."""
    load(database_url, LARGE_SCHOOL, 1, LARGE_STUDENTS)
    load(database_url, LARGE_SCHOOL + 1, SMALL_SCHOOLS, SMALL_STUDENTS)
    settle(database_url)


def _id(kind: int, number: int) -> UUID:
    return UUID(f"01980000-000{kind}-7000-8000-{number:012x}")
