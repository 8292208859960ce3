"""What stands on a statement, word by word: the page and the PDF document print the same statement."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum

from msgspec import UNSET, Struct

from school_billing.schools.contracts import School
from school_billing.statements.contracts import (
    Ageing,
    Entry,
    EntryKind,
    InvoiceLine,
    SchoolStatement,
    StatementPeriod,
    StudentStatement,
    StudentTotals,
    Totals,
)
from school_billing.statements.parameters import StatementRange
from school_billing.statements.printed.language import Formats, Language
from school_billing.students.contracts import Student

# No font has a sign for these, and no reader a use.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_AGES = Ageing.__struct_fields__
_WHOLE = 1000


class Fact(Struct, frozen=True):
    """Something that has a name."""

    label: str
    value: str


class Bar(Struct, frozen=True):
    """A bar of a chart."""

    label: str
    value: str
    length: int
    """In thousandths of the longest."""


class ColumnKind(Enum):
    """What a column holds, by which it is laid out."""

    LABEL = "label"
    """Our own words, and days: short, never broken."""
    TEXT = "text"
    """Somebody's words, in whatever script and direction."""
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
    """What stands before the lines, such as the opening balance."""
    rows: list[Row]
    foot: Row
    """What the lines come to."""
    empty: str
    """What to say where there are none."""


class PrintableStatement(Struct, frozen=True, kw_only=True):
    """A statement as it is printed; every text is final."""

    language: str
    direction: str
    title: str
    day: date
    """The day that the figures are of."""
    name: str
    """Whose statement it is."""
    school: str
    facts: list[Fact]
    sums: list[Fact]
    """The last one is what all comes down to."""
    ageing_title: str
    ageing: list[Bar]
    table: Table
    page: str
    is_wide: bool
    """Whether the table needs the longer side of the paper."""


def printable_student_statement(
    statement: StudentStatement, student: Student, school: School, statement_range: StatementRange, language: Language
) -> PrintableStatement:
    """Write the statement of a student."""
    formats = Formats(language, statement.currency, school.time_zone)
    number = [Fact(formats.label("external_id"), _printable(student.external_id))] if student.external_id else []
    return PrintableStatement(
        language=str(language),
        direction=formats.direction,
        title=formats.label("title"),
        day=statement.as_of_date,
        name=_printable(student.full_name),
        school=_printable(school.name),
        facts=[*number, *_of_when(formats, statement, statement_range)],
        sums=_sums(formats, statement),
        ageing_title=formats.label("ageing"),
        ageing=_bars(formats, statement.ageing),
        table=_invoices(formats, statement) if statement.entries is UNSET else _entries(formats, statement),
        page=formats.label("page"),
        is_wide=False,
    )


def printable_school_statement(
    statement: SchoolStatement, school: School, statement_range: StatementRange, language: Language
) -> PrintableStatement:
    """Write the statement of a school: what each of its students owes."""
    formats = Formats(language, statement.currency, school.time_zone)
    return PrintableStatement(
        language=str(language),
        direction=formats.direction,
        title=formats.label("school_title"),
        day=statement.as_of_date,
        name=_printable(school.name),
        school=_printable(school.name),
        facts=[
            Fact(formats.label("students"), str(statement.students_count)),
            *_of_when(formats, statement, statement_range),
        ],
        sums=_sums(formats, statement),
        ageing_title=formats.label("ageing"),
        ageing=_bars(formats, statement.ageing),
        table=_students(formats, statement),
        page=formats.label("page"),
        is_wide=True,
    )


def _of_when(
    formats: Formats, statement: StudentStatement | SchoolStatement, statement_range: StatementRange
) -> Iterable[Fact]:
    if isinstance(statement.period, StatementPeriod):
        last = formats.long_day(statement.period.to)
        if statement.period.from_ is None:
            yield Fact(formats.label("period"), formats.label("until").format(to=last))
        else:
            yield Fact(formats.label("period"), f"{formats.long_day(statement.period.from_)} \N{EN DASH} {last}")
    if statement_range.as_of_date or statement_range.ends_on:
        # The end of a day is said by the day.
        yield Fact(formats.label("as_of"), formats.long_day(statement.as_of_date))
    else:
        # Now to the minute, so that who asks again at once has it already.
        moment = statement_range.as_of or datetime.now(UTC).replace(second=0, microsecond=0)
        yield Fact(formats.label("as_of"), formats.moment(moment))
    yield Fact(formats.label("currency"), formats.currency())


def _sums(formats: Formats, statement: StudentStatement | SchoolStatement) -> list[Fact]:
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
    longest = max(amounts.values())
    return [
        Bar(
            formats.label(name),
            formats.money(amount),
            int(max(amount, Decimal(0)) * _WHOLE / longest) if longest > 0 else 0,
        )
        for name, amount in amounts.items()
    ]


def _columns(formats: Formats, **kinds: ColumnKind) -> list[Column]:
    return [Column(formats.label(name), kind) for name, kind in kinds.items()]


def _entries(formats: Formats, statement: StudentStatement) -> Table:
    entries = statement.entries or []
    starts_on = statement.period.from_ if isinstance(statement.period, StatementPeriod) else None
    opening = statement.opening_balance or Decimal(0)
    return Table(
        caption=formats.label("entries"),
        columns=_columns(
            formats,
            date=ColumnKind.LABEL,
            entry=ColumnKind.LABEL,
            details=ColumnKind.TEXT,
            charged=ColumnKind.NUMBER,
            credited=ColumnKind.NUMBER,
            balance=ColumnKind.NUMBER,
        ),
        head=Row(
            [
                formats.day(starts_on) if starts_on else "",
                *(formats.label("opening_balance"), "", "", ""),
                formats.number(opening),
            ]
        ),
        rows=[_entry(formats, entry) for entry in entries],
        foot=Row(
            [
                formats.day(statement.as_of_date),
                *(formats.label("closing_balance"), "", "", ""),
                formats.number(statement.totals.balance_due_total),
            ]
        ),
        empty=formats.label("no_entries"),
    )


def _entry(formats: Formats, entry: Entry) -> Row:
    amount = formats.number(entry.amount)
    is_charge = entry.kind in {EntryKind.INVOICE, EntryKind.REFUND}
    return Row(
        [
            formats.day(entry.date),
            formats.label(entry.kind.value),
            _joined(entry.description, entry.method, entry.reference),
            amount if is_charge else "",
            "" if is_charge else amount,
            formats.number(entry.balance),
        ]
    )


def _invoices(formats: Formats, statement: StudentStatement) -> Table:
    totals = statement.totals
    return Table(
        caption=formats.label("invoices"),
        columns=_columns(
            formats,
            issued=ColumnKind.LABEL,
            due=ColumnKind.LABEL,
            description=ColumnKind.TEXT,
            status=ColumnKind.LABEL,
            amount=ColumnKind.NUMBER,
            paid=ColumnKind.NUMBER,
            balance=ColumnKind.NUMBER,
        ),
        head=None,
        rows=[_invoice(formats, line) for line in statement.invoices],
        foot=Row(
            [
                *(formats.label("total"), "", "", ""),
                *_numbers(formats, totals.invoiced_total, totals.paid_total, totals.balance_due_total),
            ]
        ),
        empty=formats.label("no_invoices"),
    )


def _invoice(formats: Formats, line: InvoiceLine) -> Row:
    return Row(
        [
            formats.school_day(line.issued_at),
            formats.day(line.due_date),
            _printable(line.description or ""),
            formats.label(line.status.value),
            *_numbers(formats, line.total_amount, line.paid_total, line.balance_due),
        ],
        is_void=line.status.value == "VOID",
    )


def _students(formats: Formats, statement: SchoolStatement) -> Table:
    numbers = dict.fromkeys(("invoiced", "paid", "balance_due", "overdue", *_AGES), ColumnKind.NUMBER)
    return Table(
        caption=formats.label("students"),
        columns=_columns(formats, student=ColumnKind.TEXT, **numbers),
        head=None,
        rows=[
            _student(formats, _printable(student.full_name), student, student.ageing) for student in statement.students
        ],
        foot=_student(formats, formats.label("total"), statement.totals, statement.ageing),
        empty=formats.label("no_students"),
    )


def _student(formats: Formats, name: str, totals: Totals | StudentTotals, ageing: Ageing) -> Row:
    own = (totals.invoiced_total, totals.paid_total, totals.balance_due_total, totals.overdue_total)
    return Row([name, *_numbers(formats, *own, *(getattr(ageing, age) for age in _AGES))])


def _numbers(formats: Formats, *amounts: Decimal) -> list[str]:
    return [formats.number(amount) for amount in amounts]


def _joined(*texts: str | None) -> str:
    """Join what somebody wrote, each with a direction of its own."""
    isolated = (f"\N{FIRST STRONG ISOLATE}{_printable(text)}\N{POP DIRECTIONAL ISOLATE}" for text in texts if text)
    return " · ".join(isolated)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)
