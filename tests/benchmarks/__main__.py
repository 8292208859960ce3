"""`make bench`: every kind of request, beside the limits that the same machine sets in the same run.

What is measured is interleaved: a stretch of each, and again from the start, so that a machine that is slow for a while
is slow for all. A figure is the median of its stretches. CPU is that of the server alone, in microseconds a request.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import msgspec
import psycopg

from school_billing.invoices.repository import LIST
from school_billing.payments.repository import CREATE
from school_billing.platform.web.pages import NIL
from school_billing.receipts.repository import ALLOCATE
from school_billing.serving.embedded import embedded_postgres
from school_billing.statements.repository import ROLL_FORWARD, SCHOOL, STUDENT
from school_billing.students.repository import GET
from tests.benchmarks import dataset
from tests.benchmarks.load import Drawn, Load, Statement, drive, pgbench, with_values
from tests.benchmarks.processes import HERE, PASSWORD, PRODUCTION, Process, interpreter, server
from tests.benchmarks.report import Figures, Limits, Report, Row, Statements, table

POSTGRES = {"shared_buffers": "512MB", "max_connections": "200", "max_wal_size": "4GB"}
"""PostgreSQL as it comes, but for room: every commit is flushed to the disk."""


class Case(msgspec.Struct, frozen=True):
    """One kind of request, and the statement behind it. `load` may need something of the server, which it makes."""

    name: str
    load: Load | Callable[[str, str], Load]
    statement: Statement | None = None
    without: Collection[str] = ("computing",)
    """The servers that it does not tell apart from the service, or that do not know it."""


def main() -> None:
    """Measure, print the table, and write it as JSON."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the service and its limits.")
    parser.add_argument("--seconds", type=float, default=2, help="the length of a stretch (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="how many stretches of each (default: 5)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the table goes as JSON")
    parser.add_argument("--only", nargs="+", default=[""], help="only kinds of request with one of these in their name")
    parser.add_argument("--beside", type=Path, help="another checkout with its .venv, to compare with this one alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="school-billing-bench-") as folder, ExitStack() as stack:
        database_url = stack.enter_context(embedded_postgres(Path(folder), settings=POSTGRES))
        print("loading 300,000 invoices and 450,000 payments ...", file=sys.stderr)
        prepare(database_url)
        dataset.load_standard(database_url)
        log = Path(folder) / "servers.log"
        if options.beside:
            other = options.beside.resolve()
            other_url = database_beside(database_url, other)
            servers = {
                "service": stack.enter_context(server(database_url, log, SERVERS["service"])),
                "beside": stack.enter_context(server(other_url, log, SERVERS["service"], other)),
            }
        else:
            servers = {
                name: stack.enter_context(server(database_url, log, command, **ENVIRONMENT.get(name, {})))
                for name, command in SERVERS.items()
            }
        tokens = {one.database_url: log_in(one) for name, one in servers.items() if name in {"service", "beside"}}
        token = tokens[database_url]
        chosen = [case for case in cases(token) if any(part in case.name for part in options.only)]
        rows = [measure(case, servers, tokens, options.seconds, options.rounds) for case in chosen]
        report = Report(
            rows=rows,
            limits=None
            if options.beside
            else Limits(
                measure_period_lock(database_url, options.seconds, options.rounds),
                measure_statements(servers["computing"], database_url, token, options.seconds, options.rounds),
            ),
            machine=f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
            resident_mb={name: one.resident_mb() for name, one in servers.items()},
            start_seconds={name: one.start_seconds for name, one in servers.items()},
        )
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    print(table(report))


SERVERS = {
    "service": ["-m", "school_billing", "serve"],
    "bare": ["-m", "tests.benchmarks.bare"],
    "granian": [
        *("-m", "granian", "--interface", "asgi", "--factory", "--loop", "uvloop", "--no-ws", "--log-level", "warning"),
        *("--port", "PORT", "school_billing.serving.server:application"),
    ],
    "2 workers": ["-m", "school_billing", "serve", "--workers", "2"],
    "computing": ["-m", "school_billing", "serve"],
}
"""What is compared, as it comes after `python`: the service as it comes, its limit, two other ways to serve it, and the
service that keeps no statements."""
ENVIRONMENT = {"computing": {"STATEMENT_CACHE_MB": "0"}}


def database_beside(database_url: str, checkout: Path) -> str:
    """Add a database with the same data and the schema of another checkout; return its URL."""
    url = urlsplit(database_url)
    sums = Path("migrations/SHA256SUMS")
    has_other_schema = (checkout / sums).read_bytes() != (HERE / sums).read_bytes()
    template = "template0" if has_other_schema else url.path.lstrip("/")
    with psycopg.connect(url._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(f"create database beside template {template}".encode())
    other_url = url._replace(path="/beside").geturl()
    if has_other_schema:
        prepare(other_url, checkout)
        dataset.load_standard(other_url)
    return other_url


def prepare(database_url: str, checkout: Path = HERE) -> None:
    """Migrate, and make the administrator."""
    for command in ("migrate", "seed"):
        subprocess.run(
            [interpreter(checkout), "-m", "school_billing", command],
            cwd=checkout,
            env=PRODUCTION | {"DATABASE_URL": database_url, "PATH": ""},
            stdout=subprocess.DEVNULL,
            check=True,
        )


def log_in(service: Process) -> str:
    """Return an administrator's access token."""
    answer = httpx.post(f"{service.url}/auth/login", json={"username": "admin", "password": PASSWORD})
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def cases(token: str) -> Iterator[Case]:
    """Return each kind of request."""
    large = dataset.school_id(dataset.LARGE_SCHOOL)
    students = [dataset.student_id(dataset.LARGE_SCHOOL, place) for place in dataset.SPREAD]
    small = [dataset.school_id(school) for school in range(2, 102)]
    pages = {"after": NIL, "limit": 100, "offset": 0}
    yield Case("GET /health", Load(("GET /health",)), None)
    yield Case(
        "GET /students/{id}",
        Load(tuple(f"GET /students/{student}" for student in students), token),
        Statement(GET, {"student_id": dataset.DRAWN_STUDENT}),
    )
    yield Case(
        "GET 100 invoices",
        Load(tuple(f"GET /invoices?school_id={school}&limit=100" for school in small), token),
        Statement(LIST, pages | {"newest_first": False, "school_id": dataset.DRAWN_SCHOOL, "limit": 101}),
    )
    yield Case(
        "GET student's statement",
        Load(tuple(f"GET /students/{student}/statement" for student in students), token),
        Statement(STUDENT, {"student_id": dataset.DRAWN_STUDENT}),
    )
    yield Case(
        "GET school's statement, 1,200 invoices",
        Load(tuple(f"GET /schools/{school}/statement" for school in small), token),
        Statement(SCHOOL, pages | {"school_id": dataset.DRAWN_SCHOOL}),
        without=(),
    )
    yield Case(
        "GET school's statement, 60,000 invoices",
        Load((f"GET /schools/{large}/statement",), token),
        Statement(SCHOOL, pages | {"school_id": large}),
        without=(),
    )
    yield Case(
        "GET roll-forward, 60,000 invoices",
        Load((f"GET /schools/{large}/roll-forward?from=2026-07-01&to=2026-07-31",), token),
        Statement(ROLL_FORWARD, {"school_id": large, "starts_on": "2026-07-01", "ends_on": "2026-07-31"}),
    )
    invoices = [dataset.invoice_id(dataset.LARGE_SCHOOL, place, 11) for place in dataset.SPREAD]
    payment = {"kind": "PAYMENT", "amount": "0.01", "method": "card"}
    drawn_key = {
        "idempotency_scope": "bench",
        "idempotency_key": Drawn("'key ' || :nonce::bigint"),
        "fingerprint": "\\x00",
    }
    for name, key in (("POST /payments", {}), ("POST /payments with a key", drawn_key)):
        yield Case(
            name,
            Load(tuple(paying(invoice) for invoice in invoices), token, with_keys=bool(key)),
            Statement(CREATE, payment | {"invoice_id": dataset.DRAWN_INVOICE} | key),
        )
    yield Case(
        "POST /payments on one invoice",
        Load((paying(invoices[0]),), token),
        Statement(CREATE, payment | {"invoice_id": invoices[0]}),
    )
    for count in (3, 100):
        amounts = ", ".join(["0.01"] * count)
        values = {"school_id": large, "amount": f"{count / 100:.2f}", "method": "card", "rule": "list"}
        values |= {"invoice_ids": dataset.drawn_invoices(count), "invoice_amounts": f"{{{amounts}}}"}
        yield Case(
            f"POST /receipts over {count} invoices",
            Load(tuple(receiving(place, count) for place in range(100)), token),
            Statement(ALLOCATE, values),
        )
    unknown = ("bare", "computing")
    closings = tuple(f'POST /schools/{school}/closings {{"through":"2026-03-31"}}' for school in small[:30])
    yield Case("POST a closing, 1,200 invoices", Load(closings, token, once=True), without=unknown)
    billed = [str(dataset.student_id(dataset.LARGE_SCHOOL, place)) for place in range(1, 301)]
    for name, makes_load in (("preview", previewing), ("commit", committing)):
        yield Case(f"POST a billing run, {name} of 300", partial(makes_load, billed), without=unknown)


def previewing(students: list[str], url: str, token: str) -> Load:
    """Return the previews of what a new plan costs the students."""
    school = str(dataset.school_id(dataset.LARGE_SCHOOL))
    item = {"category": "tuition", "description": "Tuition", "amount": "600.00"}
    plan = {"school_id": school, "name": uuid4().hex, "items": [item], "rules": []}
    made = httpx.post(f"{url}/fee-plans", json=plan, headers={"Authorization": f"Bearer {token}"})
    run = {"plan_id": made.raise_for_status().json()["id"], "due_dates": ["2027-10-15"], "student_ids": students}
    bodies = (msgspec.json.encode(run | {"period": f"T{number}"}).decode() for number in range(10))
    return Load(tuple(f"POST /schools/{school}/billing-runs {body}" for body in bodies), token, once=True)


def committing(students: list[str], url: str, token: str) -> Load:
    """Make the previews, and return their commits."""
    paths = []
    for line in previewing(students, url, token).requests:
        _, path, body = line.split(" ", 2)
        made = httpx.post(url + path, content=body, timeout=60, headers={"Authorization": f"Bearer {token}"})
        paths.append(f"/billing-runs/{made.raise_for_status().json()['id']}/commit")
    return Load(tuple(f"POST {path} {{}}" for path in paths), token, once=True)


def receiving(place: int, count: int) -> str:
    """Return the request that pays a cent on each of `count` invoices."""
    listed = ",".join(
        f'{{"invoice_id":"{invoice}","amount":"0.01"}}' for invoice in dataset.invoices_from(place, count)
    )
    school = dataset.school_id(dataset.LARGE_SCHOOL)
    return (
        f'POST /receipts {{"school_id":"{school}","amount":"{count / 100:.2f}","method":"card","allocate":[{listed}]}}'
    )


def paying(invoice: object) -> str:
    """Return the request that pays a cent."""
    return f'POST /payments {{"invoice_id":"{invoice}","amount":"0.01","method":"card"}}'


def measure(case: Case, servers: Mapping[str, Process], tokens: Mapping[str, str], seconds: float, rounds: int) -> Row:
    """Drive every server with the case, and pgbench with its statement, in turns."""
    print(f"measuring {case.name} ...", file=sys.stderr)
    servers = {name: one for name, one in servers.items() if name not in case.without}
    found: dict[str, list[Figures]] = {name: [] for name in servers}
    database_url = servers["service"].database_url
    limits: list[float] = []
    for turn in range(rounds + 1):
        # Forth and back, because what one server left to do may slow the next.
        for name, one in list(servers.items())[:: -1 if turn % 2 else 1]:
            forget_payments(one.database_url)
            token = tokens[one.database_url]
            load = case.load if isinstance(case.load, Load) else case.load(one.url, token)
            load = msgspec.structs.replace(load, token=load.token and token)
            before = one.cpu_seconds()
            answered = drive(one.url, load, seconds)
            cpu_us = (one.cpu_seconds() - before) / answered.requests * 1e6
            if turn:  # The first one warms up: connections, prepared statements, caches.
                found[name].append(Figures(answered.per_second, answered.p50_ms, answered.p99_ms, cpu_us))
        # Beside another checkout there is no pgbench: this one alone would seal the audit entries of its payments.
        if case.statement is not None and turn and "beside" not in servers:
            forget_payments(database_url)
            limits.append(pgbench(database_url, case.statement, seconds))
    return Row(
        case=case.name,
        servers={name: median(stretches) for name, stretches in found.items()},
        pgbench_per_second=statistics.median(limits) if limits else None,
    )


def forget_payments(database_url: str) -> None:
    """Put the invoices that are paid back where they were, so that each stretch finds the same."""
    with psycopg.connect(database_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute("lock table invoices in exclusive mode")  # The last requests may still run.
        connection.execute(
            """
            with gone as (delete from payments where amount = 0.01 returning invoice_id, amount),
            paid as (select invoice_id, sum(amount) as amount from gone group by invoice_id)
            update invoices set payments_total = payments_total - paid.amount from paid where id = invoice_id
            """
        )
        # What a benchmark of closings and billing runs has made. The data set has none.
        connection.execute("delete from invoices where billing_run_id is not null")
        for name in ("receipts", "closings", "billing_run_rows", "billing_runs"):
            connection.execute(f"delete from {name}".encode())
        connection.execute("delete from idempotency_keys")
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in ("payments", "invoices", "receipts", "idempotency_keys"):
            connection.execute(f"vacuum {name}".encode())
        connection.execute("checkpoint")


def median(stretches: list[Figures]) -> Figures:
    """Return the median of each figure."""
    return Figures(*(statistics.median(getattr(one, name) for one in stretches) for name in Figures.__struct_fields__))


def measure_statements(service: Process, database_url: str, token: str, seconds: float, rounds: int) -> Statements:
    """Compare a large statement with its SQL, and a small request alone with one beside large statements."""
    large = {"school_id": dataset.school_id(dataset.LARGE_SCHOOL), "after": NIL, "limit": 100, "offset": 0}
    statement = Statement(SCHOOL, large)
    one_large = Load((f"GET /schools/{large['school_id']}/statement",), token, connections=1)
    small = Load(
        tuple(f"GET /students/{dataset.student_id(1, place)}" for place in dataset.SPREAD), token, connections=4
    )
    health = Load(("GET /health",), connections=4)
    found: dict[str, list[float]] = {}

    def note(**figures: float) -> None:
        for name, figure in figures.items():
            found.setdefault(name, []).append(figure)

    for _ in range(rounds):
        alone = drive(service.url, small, seconds)
        note(small_p50_ms=alone.p50_ms, small_p99_ms=alone.p99_ms)
        note(execution_ms=execution_ms(database_url, large))
        note(pgbench_ms=1000 / pgbench(database_url, statement, seconds, connections=1))
        note(service_ms=drive(service.url, one_large, seconds).p50_ms)
        with meanwhile(lambda: drive(service.url, one_large, seconds + 1)):
            beside = drive(service.url, small, seconds)
        note(small_beside_p50_ms=beside.p50_ms, small_beside_p99_ms=beside.p99_ms)
        note(health_p99_ms=drive(service.url, health, seconds).p99_ms)
        with meanwhile(lambda: drive(service.url, one_large, seconds + 1)):
            note(health_beside_p99_ms=drive(service.url, health, seconds).p99_ms)
        with meanwhile(lambda: pgbench(database_url, statement, seconds + 1, connections=1)):
            note(small_beside_query_p99_ms=drive(service.url, small, seconds).p99_ms)
    return Statements(**{name: statistics.median(figures) for name, figures in found.items()})


def measure_period_lock(database_url: str, seconds: float, rounds: int) -> float:
    """Return by how much the trigger that keeps payments out of closed periods lengthens a payment, as a share."""
    payment = {"invoice_id": dataset.DRAWN_INVOICE, "kind": "PAYMENT", "amount": "0.01", "method": "card"}
    shares = []
    for _ in range(rounds):
        rates = []
        for switch in ("disable", "enable"):
            forget_payments(database_url)
            with psycopg.connect(database_url) as connection:
                connection.execute(f"alter table payments {switch} trigger payments_keep_to_open_periods".encode())
            rates.append(pgbench(database_url, Statement(CREATE, payment), seconds, connections=1))
        shares.append(rates[0] / rates[1] - 1)
    return statistics.median(shares)


def execution_ms(database_url: str, values: Mapping[str, Any]) -> float:
    """Return the execution time of the large statement, the best of five, by PostgreSQL's own clock."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        explain = f"explain (analyze, timing off, format json) {with_values(SCHOOL, values)}".encode()
        times = []
        for _ in range(5):
            plan = connection.execute(explain)
            ((found,),) = plan.fetchall()
            times.append(float(found[0]["Execution Time"]))
    return min(times)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do `work` beside the block, which begins at once; wait for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


if __name__ == "__main__":
    main()
