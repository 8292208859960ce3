"""What a run has found, and how a person reads it."""

import msgspec

TARGETS = {
    "GET /students/{id}": 0.75,
    "GET student's statement": 0.75,
    "POST /payments": 0.8,
}
"""The share of the bare handler's requests a second that the service shall reach."""


class Figures(msgspec.Struct, frozen=True):
    """What one server did with one kind of request."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


class Row(msgspec.Struct, frozen=True):
    """A line of the table."""

    case: str
    servers: dict[str, Figures]
    pgbench_per_second: float | None


class Statements(msgspec.Struct, frozen=True):
    """The statement of the large school, asked for by one, and what a small request beside it notices."""

    execution_ms: float
    """By EXPLAIN ANALYZE, without the clock in each node; nothing of it is sent."""
    pgbench_ms: float
    service_ms: float
    small_p50_ms: float
    small_p99_ms: float
    small_beside_p50_ms: float
    small_beside_p99_ms: float
    health_p99_ms: float
    health_beside_p99_ms: float
    """/health asks no database: it waits for the event loop alone."""
    small_beside_query_p99_ms: float
    """The same small request, beside the same statement that pgbench runs: what two cores leave to anybody."""


class Limits(msgspec.Struct, frozen=True):
    """What a run without another checkout measures besides requests."""

    period_lock_share: float
    """By how much the trigger that keeps payments out of closed periods lengthens a payment in the database."""
    statements: Statements


class Report(msgspec.Struct, frozen=True):
    """All of a run."""

    rows: list[Row]
    limits: Limits | None
    machine: str
    resident_mb: dict[str, float]
    start_seconds: dict[str, float]


def table(report: Report) -> str:
    """Return the report as a person reads it."""
    limits = [] if report.limits is None else _limits(report.limits)
    return "\n".join([*_rows(report), "", *limits, *_processes(report), report.machine])


def _rows(report: Report) -> list[str]:
    base = "beside" if report.limits is None else "bare"
    names = ("req/s", "p50 ms", "p99 ms", "CPU us", f"of {base}")
    lines = [f"{'':40} {'':>9} " + " ".join(f"{name:>9}" for name in names) + f" {'of pgbench':>10}"]
    for row in report.rows:
        of = row.servers.get(base)
        share = {name: f"{one.per_second / of.per_second:8.2f}" for name, one in row.servers.items() if of}
        for name, one in row.servers.items():
            limit = f"{one.per_second / row.pgbench_per_second:10.2f}" if row.pgbench_per_second else ""
            target = f"  target: {TARGETS[row.case]}" if row.case in TARGETS and name == "service" else ""
            lines.append(
                f"{row.case if name == 'service' else '':40} {name:>9} {one.per_second:8.0f} {one.p50_ms:8.2f} "
                f"{one.p99_ms:8.2f} {one.cpu_us:8.0f} {share.get(name, ''):8} {limit}{target}"
            )
        if row.pgbench_per_second:
            lines.append(f"{'':40} {'pgbench':>9} {row.pgbench_per_second:8.0f}")
    return lines


def _limits(limits: Limits) -> list[str]:
    large = limits.statements
    return [
        f"closed periods lengthen a payment in the database by {limits.period_lock_share:.1%} (target: 4 %)",
        f"the statement of 60,000 invoices, one caller: {large.service_ms:.1f} ms, which is "
        f"{large.service_ms / large.execution_ms:.2f} of its execution time (target: 1.3)",
        f"  its execution time is {large.execution_ms:.1f} ms, with its way to pgbench {large.pgbench_ms:.1f} ms",
        f"GET /students/{{id}} by four callers: p50 {large.small_p50_ms:.2f} ms, p99 {large.small_p99_ms:.2f} ms",
        f"  beside such statements: p50 {large.small_beside_p50_ms:.2f} ms, p99 {large.small_beside_p99_ms:.2f} ms",
        f"  beside their SQL alone: p99 {large.small_beside_query_p99_ms:.2f} ms",
        f"GET /health by four callers: p99 {large.health_p99_ms:.2f} ms, beside such statements "
        f"{large.health_beside_p99_ms:.2f} ms",
        "",
    ]


def _processes(report: Report) -> list[str]:
    return [
        f"{name:9} {report.resident_mb[name]:.0f} MB resident after the run, first answer after {seconds:.2f} s"
        for name, seconds in report.start_seconds.items()
    ]
