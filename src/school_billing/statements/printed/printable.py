"""The words and figures of a printed statement; the page and the PDF document show the same."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum

from msgspec import UNSET, Struct

from school_billing.platform.web.json_body import exact_decoder
from school_billing.schools.contracts import School
from school_billing.statements.contracts import (
    Ageing,
    Entry,
    EntryKind,
    InvoiceLine,
    SchoolStatement,
    Statement,
    StatementPeriod,
    StudentStatement,
    Totals,
)
from school_billing.statements.parameters import StatementRange
from school_billing.statements.printed.language import Formats, Language
from school_billing.students.contracts import Student

# No font has a sign for these, and no reader needs them.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_AGES = Ageing.__struct_fields__


class Fact(Struct, frozen=True):
    """A labelled value."""

    label: str
    value: str


class Bar(Struct, frozen=True):
    """A bar of a chart."""

    label: str
    value: str
    length: int
    """In thousandths of the longest."""


class ColumnKind(Enum):
    """The kind of a column, which decides its layout."""

    LABEL = "label"
    """Our own words, and days: short, never broken."""
    TEXT = "text"
    """A user's words, in any script and direction."""
    NUMBER = "number"


class Column(Struct, frozen=True):
    """A column of the table."""

    label: str
    kind: ColumnKind


class Row(Struct, frozen=True):
    """A line of the table."""

    cells: list[str]
    is_void: bool = False


class Table(Struct, frozen=True, kw_only=True):
    """The lines of a statement."""

    caption: str
    columns: list[Column]
    head: Row | None
    """The line before the others, such as the opening balance."""
    rows: list[Row]
    foot: Row
    """The line of the totals."""
    empty: str
    """The text if there are no lines."""


class PrintableStatement(Struct, frozen=True, kw_only=True):
    """A statement as it is printed; every text is final."""

    language: str
    direction: str
    title: str
    day: date
    """The day of the figures."""
    name: str
    """The name of the student or of the school."""
    school: str
    facts: list[Fact]
    sums: list[Fact]
    """The last one is the result."""
    ageing_title: str
    ageing: list[Bar]
    table: Table
    page: str
    is_wide: bool
    """Whether the table needs the longer side of the page."""


def printable_statement(
    document: str, school: School, student: Student | None, statement_range: StatementRange, language: Language
) -> PrintableStatement:
    """Format a statement, given as JSON: of `student`, or else of the school."""
    kind = SchoolStatement if student is None else StudentStatement
    statement: SchoolStatement | StudentStatement = exact_decoder(kind).decode(document)
    formats = Formats(language, statement.currency, school.time_zone)
    facts: list[Fact] = []
    if isinstance(statement, SchoolStatement):
        facts.append(Fact(formats.label("students"), str(statement.students_count)))
        table = _students(formats, statement)
    else:
        table = _invoices(formats, statement) if statement.entries is UNSET else _entries(formats, statement)
    if student is not None and student.external_id:
        facts.append(Fact(formats.label("external_id"), _printable(student.external_id)))
    return PrintableStatement(
        language=str(language),
        direction=formats.direction,
        title=formats.label("school_title" if student is None else "title"),
        day=statement.as_of_date,
        name=_printable(school.name if student is None else student.full_name),
        school=_printable(school.name),
        facts=[*facts, *_dates(formats, statement, statement_range)],
        sums=_sums(formats, statement),
        ageing_title=formats.label("ageing"),
        ageing=_bars(formats, statement.ageing),
        table=table,
        page=formats.label("page"),
        is_wide=student is None,
    )


def _dates(formats: Formats, statement: Statement, statement_range: StatementRange) -> Iterable[Fact]:
    if isinstance(statement.period, StatementPeriod):
        first, last = statement.period.from_, formats.long_day(statement.period.to)
        until = formats.label("until").format(to=last)
        yield Fact(formats.label("period"), f"{formats.long_day(first)} \N{EN DASH} {last}" if first else until)
    if statement_range.as_of_date or statement_range.ends_on:
        # The day itself stands for its end.
        as_of = formats.long_day(statement.as_of_date)
    else:
        # Now to the minute, so that a client that asks again at once has it already.
        as_of = formats.moment(statement_range.as_of or datetime.now(UTC).replace(second=0, microsecond=0))
    yield Fact(formats.label("as_of"), as_of)
    yield Fact(formats.label("currency"), formats.currency())


def _sums(formats: Formats, statement: Statement) -> list[Fact]:
    totals = statement.totals
    if isinstance(statement.period, StatementPeriod) and isinstance(statement.opening_balance, Decimal):
        period = statement.period
        sums = {
            "opening_balance": statement.opening_balance,
            "invoiced": period.invoiced,
            "payments": period.paid,
            "refunds": period.refunded,
            "voided": period.voided,
            "overdue": totals.overdue_total,
            "closing_balance": totals.balance_due_total,
        }
    else:
        sums = {
            "invoiced": totals.invoiced_total,
            "payments": totals.payments_total,
            "refunds": totals.refunds_total,
            "paid": totals.paid_total,
            "overdue": totals.overdue_total,
            "balance_due": totals.balance_due_total,
        }
    return [Fact(formats.label(name), formats.money(amount)) for name, amount in sums.items()]


def _bars(formats: Formats, ageing: Ageing) -> list[Bar]:
    amounts: dict[str, Decimal] = {name: getattr(ageing, name) for name in _AGES}
    longest = max(*amounts.values(), Decimal(0)) or Decimal(1)
    return [
        Bar(formats.label(name), formats.money(amount), int(max(amount, Decimal(0)) * 1000 / longest))
        for name, amount in amounts.items()
    ]


def _table(
    formats: Formats,
    name: str,
    columns: dict[str, ColumnKind],
    rows: list[Row],
    foot: list[str],
    head: Row | None = None,
) -> Table:
    return Table(
        caption=formats.label(name),
        columns=[Column(formats.label(label), kind) for label, kind in columns.items()],
        head=head,
        rows=rows,
        foot=Row(foot),
        empty=formats.label(f"no_{name}"),
    )


def _entries(formats: Formats, statement: StudentStatement) -> Table:
    first = statement.period.from_ if isinstance(statement.period, StatementPeriod) else None
    opening = formats.number(statement.opening_balance or Decimal(0))
    closing = formats.number(statement.totals.balance_due_total)
    columns = dict.fromkeys(("date", "entry"), ColumnKind.LABEL) | {"details": ColumnKind.TEXT}
    return _table(
        formats,
        "entries",
        columns | dict.fromkeys(("charged", "credited", "balance"), ColumnKind.NUMBER),
        head=Row([formats.day(first) if first else "", formats.label("opening_balance"), "", "", "", opening]),
        rows=[_entry(formats, entry) for entry in statement.entries or []],
        foot=[formats.day(statement.as_of_date), formats.label("closing_balance"), "", "", "", closing],
    )


def _entry(formats: Formats, entry: Entry) -> Row:
    amount = formats.number(entry.amount)
    is_charge = entry.kind in {EntryKind.INVOICE, EntryKind.REFUND}
    method = entry.method and formats.method(entry.method)
    texts = (text for text in (entry.description, method, entry.reference) if text)
    # Each text has a direction of its own.
    isolated = (f"\N{FIRST STRONG ISOLATE}{_printable(text)}\N{POP DIRECTIONAL ISOLATE}" for text in texts)
    return Row(
        [
            formats.day(entry.date),
            formats.label(entry.kind.value),
            " · ".join(isolated),
            amount if is_charge else "",
            "" if is_charge else amount,
            formats.number(entry.balance),
        ]
    )


def _invoices(formats: Formats, statement: StudentStatement) -> Table:
    totals = statement.totals
    sums = _numbers(formats, totals.invoiced_total, totals.paid_total, totals.balance_due_total)
    columns = dict.fromkeys(("issued", "due"), ColumnKind.LABEL)
    columns |= {"description": ColumnKind.TEXT, "status": ColumnKind.LABEL}
    return _table(
        formats,
        "invoices",
        columns | dict.fromkeys(("amount", "paid", "balance"), ColumnKind.NUMBER),
        rows=[_invoice(formats, line) for line in statement.invoices],
        foot=[formats.label("total"), "", "", "", *sums],
    )


def _invoice(formats: Formats, line: InvoiceLine) -> Row:
    cells = [
        formats.school_day(line.issued_at),
        formats.day(line.due_date),
        _printable(line.description or ""),
        formats.label(line.status.value),
        *_numbers(formats, line.total_amount, line.paid_total, line.balance_due),
    ]
    return Row(cells, is_void=line.status.value == "VOID")


def _students(formats: Formats, statement: SchoolStatement) -> Table:
    names = ("invoiced", "paid", "balance_due", "overdue", *_AGES)
    return _table(
        formats,
        "students",
        {"student": ColumnKind.TEXT} | dict.fromkeys(names, ColumnKind.NUMBER),
        rows=[
            Row([_printable(student.full_name), *_balances(formats, student, student.ageing)])
            for student in statement.students
        ],
        foot=[formats.label("total"), *_balances(formats, statement.totals, statement.ageing)],
    )


def _balances(formats: Formats, totals: Totals, ageing: Ageing) -> list[str]:
    sums = (totals.invoiced_total, totals.paid_total, totals.balance_due_total, totals.overdue_total)
    return _numbers(formats, *sums, *(getattr(ageing, age) for age in _AGES))


def _numbers(formats: Formats, *amounts: Decimal) -> list[str]:
    return [formats.number(amount) for amount in amounts]


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)
