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
from school_billing.statements.spreadsheets import file_words
from school_billing.students.contracts import Student

# No font has a sign for these, and no reader needs them.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_NOTHING = "\N{EN DASH}"
_AGES = Ageing.__struct_fields__


class Fact(Struct, frozen=True):
    """A labelled value."""

    label: str
    value: str


class HowToPay(Struct, frozen=True):
    """How to pay the school."""

    title: str
    instructions: str
    reference: Fact | None
    """The words by which the school knows whose money it is."""


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
    """Lines of a statement."""

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
    file_words: list[str]
    school: str
    address: str
    """Of the school, in lines."""
    headline: list[Fact]
    """What is owed, and until when it is to be paid."""
    facts: list[Fact]
    how_to_pay: HowToPay | None
    schedule: Table | None
    """What is due when, on the statement of a student."""
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
    sums = _sums(formats, statement)
    return PrintableStatement(
        language=str(language),
        direction=formats.direction,
        title=formats.label("school_title" if student is None else "title"),
        day=statement.as_of_date,
        name=_printable(school.name if student is None else student.full_name),
        file_words=_file_words(school, student),
        school=_printable(school.name),
        address=_printable(school.address or ""),
        headline=[sums[-1], *_demand(formats, statement)],
        facts=[*facts, *_dates(formats, statement, statement_range)],
        how_to_pay=_how_to_pay(formats, statement, school, student),
        schedule=_schedule(formats, statement) if isinstance(statement, StudentStatement) else None,
        sums=sums,
        ageing_title=formats.label("ageing"),
        ageing=_bars(formats, statement.ageing),
        table=table,
        page=formats.label("page"),
        is_wide=student is None,
    )


def _file_words(school: School, student: Student | None) -> list[str]:
    if student is None:
        return file_words(school.name, school.id)
    return file_words(student.full_name, student.id, student.external_id)


def _dates(formats: Formats, statement: Statement, statement_range: StatementRange) -> Iterable[Fact]:
    if isinstance(statement.period, StatementPeriod):
        first, last = statement.period.from_, formats.long_day(statement.period.to)
        until = formats.label("until").format(to=last)
        yield Fact(formats.label("period"), f"{formats.long_day(first)} \N{EN DASH} {last}" if first else until)
    now = datetime.now(UTC)
    today = formats.school_date(now)
    if statement_range.as_of_date or statement_range.ends_on:
        # The day itself stands for its end.
        as_of, is_forecast = formats.long_day(statement.as_of_date), statement.as_of_date > today
    else:
        # Now to the minute, so that a client that asks again at once has it already.
        moment = statement_range.as_of or now.replace(second=0, microsecond=0)
        as_of, is_forecast = formats.moment(moment), moment > now
    yield Fact(formats.label("as_of"), formats.label("forecast").format(day=as_of) if is_forecast else as_of)
    yield Fact(formats.label("issued_on"), formats.long_day(today))
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
            "closing_balance": totals.balance_due_total,
        }
    else:
        sums = {
            "invoiced_to_date": totals.invoiced_total,
            "payments": totals.payments_total,
            "refunds": totals.refunds_total,
            "paid_to_date": totals.paid_total,
            "balance_due": totals.balance_due_total,
        }
    return [Fact(formats.label(name), formats.money(amount)) for name, amount in sums.items()]


def _demand(formats: Formats, statement: Statement) -> Iterable[Fact]:
    overdue = statement.totals.overdue_total
    yield Fact(formats.label("overdue"), formats.money(overdue))
    if isinstance(statement, StudentStatement) and statement.oldest_due_date and _is_owed(statement):
        day = formats.long_day(statement.oldest_due_date)
        is_overdue = statement.oldest_due_date < statement.as_of_date
        yield Fact(formats.label("please_pay_by"), formats.label("is_overdue").format(day=day) if is_overdue else day)
        due = _due(statement)
        if not is_overdue and len(due) > 1:
            yield Fact(formats.label("due_by_then"), formats.money(due[statement.oldest_due_date]))


def _is_owed(statement: Statement) -> bool:
    return statement.totals.balance_due_total > 0


def _due(statement: StudentStatement) -> dict[date, Decimal]:
    """Return what is owed by its due date, in order."""
    due: dict[date, Decimal] = {}
    for line in sorted(statement.invoices, key=lambda line: line.due_date):
        if line.balance_due:
            due[line.due_date] = due.get(line.due_date, Decimal(0)) + line.balance_due
    return due


def _how_to_pay(formats: Formats, statement: Statement, school: School, student: Student | None) -> HowToPay | None:
    if student is None or not school.payment_instructions or not _is_owed(statement):
        return None
    reference = Fact(formats.label("reference"), _printable(student.external_id)) if student.external_id else None
    return HowToPay(formats.label("how_to_pay"), _printable(school.payment_instructions), reference)


def _schedule(formats: Formats, statement: StudentStatement) -> Table:
    return _table(
        formats,
        "schedule",
        {"due": ColumnKind.LABEL, "status": ColumnKind.TEXT, "amount": ColumnKind.NUMBER},
        rows=[
            Row(
                [
                    formats.day(day),
                    formats.label("overdue" if day < statement.as_of_date else "current"),
                    formats.number(amount),
                ]
            )
            for day, amount in _due(statement).items()
        ],
        foot=[formats.label("total"), "", formats.number(statement.totals.balance_due_total)],
    )


def _bars(formats: Formats, ageing: Ageing) -> list[Bar]:
    amounts: dict[str, Decimal] = {name: getattr(ageing, name) for name in _AGES}
    longest = max(*amounts.values(), Decimal(0)) or Decimal(1)
    return [
        Bar(
            formats.label(name),
            formats.money(amount) if amount else _NOTHING,
            int(max(amount, Decimal(0)) * 1000 / longest),
        )
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
    names = ("invoiced_to_date", "paid_to_date", "balance_due", "overdue", *_AGES)
    return _table(
        formats,
        "students",
        {"student": ColumnKind.TEXT, "external_id": ColumnKind.TEXT} | dict.fromkeys(names, ColumnKind.NUMBER),
        rows=[
            Row(
                [
                    _printable(student.full_name),
                    _printable(student.external_id or ""),
                    *_balances(formats, student, student.ageing),
                ]
            )
            for student in statement.students
        ],
        foot=[formats.label("total"), "", *_balances(formats, statement.totals, statement.ageing)],
    )


def _balances(formats: Formats, totals: Totals, ageing: Ageing) -> list[str]:
    sums = (totals.invoiced_total, totals.paid_total, totals.balance_due_total, totals.overdue_total)
    ages = (formats.number(amount) if (amount := getattr(ageing, age)) else _NOTHING for age in _AGES)
    return [*_numbers(formats, *sums), *ages]


def _numbers(formats: Formats, *amounts: Decimal) -> list[str]:
    return [formats.number(amount) for amount in amounts]


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)
