"""`make bench-growth`: what a student's statement costs among 1,000 invoices, and among ten million.

The schools are of 1,008 invoices each; only how many there are grows. The same hundred students are asked for
each time: they are spread over all schools, so that what they need lies all over the tables.
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psycopg

from school_billing.serving.embedded import embedded_postgres
from school_billing.statements.repository import STUDENT
from tests.benchmarks import dataset
from tests.benchmarks.__main__ import POSTGRES, SERVERS, log_in, prepare
from tests.benchmarks.load import Drawn, Load, Statement, drive, pgbench, with_values
from tests.benchmarks.processes import Process, server

STUDENTS = 84
"""Of each school: 1,008 invoices and 1,512 payments."""
AT_ONCE = 500
"""How many schools one transaction adds."""


class Size(msgspec.Struct, frozen=True):
    """What a statement costs at one size of the database."""

    invoices: int
    service_us: float
    """CPU of the service for each statement, in microseconds; 16 connections."""
    service_per_second: float
    query_us: float
    """Time of the query alone, by one connection of pgbench, in microseconds."""
    buffers: int
    """Pages of 8 kB that the query reads, all from memory."""
    plan: list[str]
    sizes: dict[str, str]


def main() -> None:
    """Grow the database by powers of ten, and measure at each."""
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="the length of a stretch (default: 3)")
    parser.add_argument("--rounds", type=int, default=5, help="how many stretches of each (default: 5)")
    parser.add_argument("--powers", type=int, default=4, help="up to 1,008 x 10 to this power of invoices (default: 4)")
    parser.add_argument("--json", type=Path, default=Path("bench-growth.json"), help="where the table goes as JSON")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="school-billing-bench-") as folder, ExitStack() as stack:
        settings = POSTGRES | {"maintenance_work_mem": "512MB", "shared_buffers": "2GB", "max_wal_size": "4GB"}
        database_url = stack.enter_context(embedded_postgres(Path(folder), settings=settings))
        prepare(database_url)
        service = stack.enter_context(server(database_url, Path(folder) / "service.log", SERVERS["service"]))
        token = log_in(service)
        there = 0
        for power in range(options.powers + 1):
            schools = 10**power
            print(f"growing to {schools * STUDENTS * dataset.MONTHS:,} invoices ...", file=sys.stderr)
            for first in range(there + 1, schools + 1, AT_ONCE):
                dataset.load(database_url, first, min(AT_ONCE, schools + 1 - first), STUDENTS)
            there = schools
            dataset.settle(database_url)
            found.append(measure(service, database_url, token, schools, options.seconds, options.rounds))
            print(line(found[-1], found[0]))
    print("\n".join(["", *found[-1].plan]))
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))


def measure(service: Process, database_url: str, token: str, schools: int, seconds: float, rounds: int) -> Size:
    """Ask for the statements of a hundred students."""
    step = max(1, schools // 100)
    students = [dataset.student_id(1 + place * step % schools, 1 + place % STUDENTS) for place in range(100)]
    drawn = Drawn(f"bench_id(2, (1 + :place::bigint * {step} % {schools}) * 10000 + 1 + :place::bigint % {STUDENTS})")
    load = Load(tuple(f"GET /students/{student}/statement" for student in students), token)
    statement = Statement(STUDENT, {"student_id": drawn})
    drive(service.url, load, seconds)
    cpu, rates, queries = [], [], []
    for _ in range(rounds):
        before = service.cpu_seconds()
        answered = drive(service.url, load, seconds)
        cpu.append((service.cpu_seconds() - before) / answered.requests * 1e6)
        rates.append(answered.per_second)
        queries.append(1e6 / pgbench(database_url, statement, seconds, connections=1))
    with psycopg.connect(database_url) as connection:
        plan = _plan(connection, students[50])
        invoices, sizes = _sizes(connection)
    return Size(
        invoices=invoices,
        service_us=statistics.median(cpu),
        service_per_second=statistics.median(rates),
        query_us=statistics.median(queries),
        buffers=next(int(row.partition("shared hit=")[2].split()[0]) for row in plan if "shared hit=" in row),
        plan=plan,
        sizes=sizes,
    )


def _plan(connection: "psycopg.Connection[tuple[object, ...]]", student: object) -> list[str]:
    text = with_values(STUDENT, {"student_id": student})
    explain = f"explain (analyze, buffers, timing off, summary off) {text}".encode()
    connection.execute(explain)
    return [str(row[0]) for row in connection.execute(explain)]


def _sizes(connection: "psycopg.Connection[tuple[object, ...]]") -> tuple[int, dict[str, str]]:
    """Return how many invoices there are, and how large the tables and indexes of the invoices and students are."""
    rows = connection.execute(
        """
        select relname, pg_size_pretty(pg_relation_size(oid))
        from pg_class
        where relkind in ('r', 'i')
          and relnamespace = current_schema()::regnamespace
          and (relname like 'invoices%' or relname like 'students%' or relname like 'payments%')
        order by relname
        """
    ).fetchall()
    counted = connection.execute("select count(*) from invoices").fetchone()
    return int(str(counted[0] if counted else 0)), {str(name): str(size) for name, size in rows}


def line(size: Size, first: Size) -> str:
    """Return a size as a person reads it; ratios are to the first."""
    return (
        f"{size.invoices:>12,} invoices: {size.service_us:6.0f} us of CPU ({size.service_us / first.service_us:.2f}), "
        f"{size.service_per_second:6.0f}/s ({size.service_per_second / first.service_per_second:.2f}), "
        f"query {size.query_us:6.0f} us ({size.query_us / first.query_us:.2f}), {size.buffers} pages; "
        + ", ".join(f"{name} {text}" for name, text in size.sizes.items() if name.startswith("invoices"))
    )


if __name__ == "__main__":
    main()
