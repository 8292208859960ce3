"""The words and figures of a printed statement; the page and the PDF document show the same."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias
from uuid import UUID

from msgspec import UNSET, Struct

from school_billing.invoices.contracts import Line
from school_billing.payers.contracts import Payer, PaymentReference
from school_billing.platform.web.json_body import exact_decoder
from school_billing.schools.check_digits import in_fours
from school_billing.schools.contracts import School
from school_billing.statements.contracts import (
    AccountStatement,
    Ageing,
    Entry,
    EntryKind,
    InvoiceLine,
    PayerStatement,
    PayerStatementPeriod,
    SchoolStatement,
    SchoolTotals,
    Statement,
    StatementPeriod,
    StudentStatement,
    Totals,
)
from school_billing.statements.parameters import StatementRange
from school_billing.statements.printed.language import Formats, Language
from school_billing.statements.printed.payment_code import payment_code
from school_billing.statements.spreadsheets import file_words
from school_billing.students.contracts import Student

# No font has a sign for these, and no reader needs them.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_NOTHING = "\N{EN DASH}"
_AGES = Ageing.__struct_fields__
_CHARGES = {
    EntryKind.INVOICE,
    EntryKind.REFUND,
    EntryKind.RECEIPT_REFUND,
    EntryKind.RECEIPT_REVERSAL,
    EntryKind.ALLOCATION,
    EntryKind.CREDIT_NOTE_REVERSAL,
    EntryKind.DISCOUNT_REVERSAL,
    EntryKind.WRITE_OFF_REVERSAL,
}
_NAMES_MOST = 10

Lines: TypeAlias = Mapping[UUID, Sequence[Line]]
"""The lines of those invoices that have some."""


class Fact(Struct, frozen=True):
    """A labelled value."""

    label: str
    value: str


class Code(Struct, frozen=True):
    """A code for a banking app."""

    label: str
    svg: str


class HowToPay(Struct, frozen=True):
    """How to pay the school."""

    title: str
    instructions: str
    facts: list[Fact]
    """The account, and the words by which the school knows whose money it is."""
    code: Code | None


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
    """The name of the student, the payer or the school."""
    file_words: list[str]
    school: str
    address: str
    """Of the school, in lines."""
    headline: list[Fact]
    """What is owed, and until when it is to be paid."""
    facts: list[Fact]
    how_to_pay: HowToPay | None
    schedule: Table | None
    """What is due when, on the statement of a student or payer."""
    sums: list[Fact]
    """The last one is the result."""
    ageing_title: str
    ageing: list[Bar]
    table: Table
    page: str
    is_wide: bool
    """Whether the table needs the longer side of the page."""


def printable_statement(
    document: bytes,
    school: School,
    owner: Student | Payer | None,
    reference: PaymentReference | None,
    lines: Lines,
    statement_range: StatementRange,
    language: Language,
) -> PrintableStatement:
    """Format a statement, given as JSON: of a student or payer, or else of the school.

    `reference` is the one to pay by: of the payer, or of the student's only payer. `lines` are those of the invoices.
    """
    kind = SchoolStatement if owner is None else StudentStatement if isinstance(owner, Student) else PayerStatement
    statement: SchoolStatement | StudentStatement | PayerStatement = exact_decoder(kind).decode(document)
    formats = Formats(language, statement.currency, school.time_zone)
    name = school.name if owner is None else owner.full_name if isinstance(owner, Student) else owner.name
    sums = _sums(formats, statement)
    return PrintableStatement(
        language=str(language),
        direction=formats.direction,
        title=formats.label("school_title" if owner is None else "title"),
        day=statement.as_of_date,
        name=printable_text(name),
        file_words=file_words(name, school.id) if owner is None else file_words(name, owner.id, owner.external_id),
        school=printable_text(school.name),
        address=printable_text(school.address or ""),
        headline=[sums[-1], *_demand(formats, statement)],
        facts=[*_about(formats, statement, owner), *_dates(formats, statement, statement_range)],
        how_to_pay=None
        if owner is None or not _is_owed(statement)
        else how_to_pay(formats, school, reference, owner, _balance(statement)),
        schedule=_schedule(formats, statement) if isinstance(statement, AccountStatement) else None,
        sums=sums,
        ageing_title=formats.label("ageing"),
        ageing=_bars(formats, statement.ageing),
        table=_table(formats, statement, lines),
        page=formats.label("page"),
        is_wide=owner is None,
    )


def _table(formats: Formats, statement: SchoolStatement | StudentStatement | PayerStatement, lines: Lines) -> Table:
    if isinstance(statement, SchoolStatement):
        return _students(formats, statement)
    if statement.entries is UNSET:
        return _invoices(formats, statement, lines)
    return _entries(formats, statement, lines)


def _about(formats: Formats, statement: Statement, owner: Student | Payer | None) -> Iterable[Fact]:
    if isinstance(statement, SchoolStatement):
        yield Fact(formats.label("students"), str(statement.students_count))
    elif isinstance(statement, PayerStatement) and statement.students:
        # An employer may pay for hundreds.
        names = [_isolated(student.full_name) for student in statement.students[:_NAMES_MOST]]
        more = [f"+{len(statement.students) - _NAMES_MOST}"] if len(statement.students) > _NAMES_MOST else []
        yield Fact(formats.label("students"), " · ".join([*names, *more]))
    if owner is not None and owner.external_id:
        label = "external_id" if isinstance(owner, Student) else "payer_number"
        yield Fact(formats.label(label), printable_text(owner.external_id))


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
        sums: dict[str, Decimal] = {
            "opening_balance": statement.opening_balance,
            "invoiced": period.invoiced,
            **adjusted(period.credited, period.discounted, period.written_off),
            "payments": period.paid,
            "refunds": period.refunded,
            "voided": period.voided,
        }
        if isinstance(period, PayerStatementPeriod):
            sums |= {"received": period.received, "returned": period.returned}
            sums |= {"paid_for_others": period.paid_for_others} if period.paid_for_others else {}
        sums["closing_balance"] = _balance(statement)
    else:
        sums = {
            "invoiced_to_date": totals.invoiced_total,
            **adjusted(totals.credited_total, totals.discounted_total, totals.written_off_total),
            "payments": totals.payments_total,
            "refunds": totals.refunds_total,
            "paid_to_date": totals.paid_total,
            "balance_due": totals.balance_due_total,
        }
        if isinstance(statement, PayerStatement):
            sums |= {"unallocated": statement.unallocated, "balance": statement.balance}
    return [Fact(formats.label(name), formats.money(amount)) for name, amount in sums.items()]


def adjusted(credited: Decimal, discounted: Decimal, written_off: Decimal) -> dict[str, Decimal]:
    """Return what is owed less without money, by its label, and nothing of what there is none."""
    amounts = {"credit_notes": credited, "discounts": discounted, "write_offs": written_off}
    return {label: amount for label, amount in amounts.items() if amount}


def _adjusted(of: InvoiceLine | Totals) -> Decimal:
    return of.credited_total + of.discounted_total + of.written_off_total


def _demand(formats: Formats, statement: Statement) -> Iterable[Fact]:
    overdue = statement.totals.overdue_total
    yield Fact(formats.label("overdue"), formats.money(overdue))
    if isinstance(statement, PayerStatement) and statement.unallocated:
        yield Fact(formats.label("unallocated"), formats.money(statement.unallocated))
    if isinstance(statement.totals, SchoolTotals):
        yield Fact(formats.label("unallocated"), formats.money(statement.totals.unallocated_total))
        yield Fact(formats.label("unidentified"), formats.money(statement.totals.unidentified_total))
    if isinstance(statement, AccountStatement) and statement.oldest_due_date and _is_owed(statement):
        day = formats.long_day(statement.oldest_due_date)
        is_overdue = statement.oldest_due_date < statement.as_of_date
        yield Fact(formats.label("please_pay_by"), formats.label("is_overdue").format(day=day) if is_overdue else day)
        due = _due(statement)
        if not is_overdue and len(due) > 1:
            yield Fact(
                formats.label("due_by_then"), formats.money(min(due[statement.oldest_due_date], _balance(statement)))
            )


def _is_owed(statement: Statement) -> bool:
    """Tell whether money is to be asked for, beyond what the school has already."""
    return _balance(statement) > 0


def _balance(statement: Statement) -> Decimal:
    return statement.balance if isinstance(statement, PayerStatement) else statement.totals.balance_due_total


def _due(statement: AccountStatement) -> dict[date, Decimal]:
    """Return what is owed by its due date, in order."""
    due: dict[date, Decimal] = {}
    for line in sorted(statement.invoices, key=lambda line: line.due_date):
        if line.balance_due:
            due[line.due_date] = due.get(line.due_date, Decimal(0)) + line.balance_due
    return due


def how_to_pay(
    formats: Formats,
    school: School,
    reference: PaymentReference | None,
    owner: Student | Payer | None = None,
    owed: Decimal = Decimal(0),
    number: str | None = None,
) -> HowToPay | None:
    """Return how to pay the school, if it says so: by the reference, else by `number`, else by the student's number."""
    if not school.payment_instructions and not school.iban:
        return None
    number = number or (owner.external_id if owner else None) or ""
    facts = {"iban": in_fours(school.iban or ""), "reference": in_fours(reference) if reference else number}
    svg = payment_code(school, owed, reference, number or (owner.full_name if isinstance(owner, Student) else ""))
    return HowToPay(
        formats.label("how_to_pay"),
        printable_text(school.payment_instructions or ""),
        [Fact(formats.label(name), printable_text(value)) for name, value in facts.items() if value],
        Code(formats.label("payment_code"), svg) if svg else None,
    )


def _schedule(formats: Formats, statement: AccountStatement) -> Table:
    due = _due(statement)
    rows = [
        Row(
            [
                formats.day(day),
                formats.label("overdue" if day < statement.as_of_date else "current"),
                formats.number(amount),
            ]
        )
        for day, amount in due.items()
    ]
    total = sum(due.values(), Decimal(0))
    if due and isinstance(statement, PayerStatement) and statement.unallocated:
        rows.append(Row(["", formats.label("unallocated"), formats.number(-statement.unallocated)]))
        total = statement.balance
    return printable_table(
        formats,
        "schedule",
        {"due": ColumnKind.LABEL, "status": ColumnKind.TEXT, "amount": ColumnKind.NUMBER},
        rows=rows,
        foot=[formats.label("total"), "", formats.number(total)],
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


def printable_table(
    formats: Formats,
    name: str,
    columns: dict[str, ColumnKind],
    rows: list[Row],
    foot: list[str],
    head: Row | None = None,
) -> Table:
    """Return a table whose labels are called as its columns, with `name` as its caption."""
    return Table(
        caption=formats.label(name),
        columns=[Column(formats.label(label), kind) for label, kind in columns.items()],
        head=head,
        rows=rows,
        foot=Row(foot),
        empty=formats.label(f"no_{name}"),
    )


def _entries(formats: Formats, statement: StudentStatement | PayerStatement, lines: Lines) -> Table:
    first = statement.period.from_ if isinstance(statement.period, StatementPeriod) else None
    opening = formats.number(statement.opening_balance or Decimal(0))
    closing = formats.number(_balance(statement))
    names = _names_by_invoice(statement)
    columns = dict.fromkeys(("date", "entry"), ColumnKind.LABEL) | {"details": ColumnKind.TEXT}
    return printable_table(
        formats,
        "entries",
        columns | dict.fromkeys(("charged", "credited", "balance"), ColumnKind.NUMBER),
        head=Row([formats.day(first) if first else "", formats.label("opening_balance"), "", "", "", opening]),
        rows=[_entry(formats, entry, names, lines) for entry in statement.entries or []],
        foot=[formats.day(statement.as_of_date), formats.label("closing_balance"), "", "", "", closing],
    )


def _names_by_invoice(statement: StudentStatement | PayerStatement) -> dict[UUID | None, str]:
    """Return whose each invoice is, which only a payer has to be told."""
    if isinstance(statement, StudentStatement):
        return {}
    names = {student.student_id: student.full_name for student in statement.students}
    return {line.id: names[line.student_id] for line in statement.invoices}


def _isolated(text: str) -> str:
    """Return a user's words among others, so that they have a direction of their own."""
    return f"\N{FIRST STRONG ISOLATE}{printable_text(text)}\N{POP DIRECTIONAL ISOLATE}"


def _with_lines(formats: Formats, *texts: str | None, lines: Sequence[Line]) -> str:
    """Return the texts, and after them each line with its amount."""
    words = [_isolated(text) for text in texts if text]
    return " · ".join([*words, *(f"{_isolated(line.description)} {formats.number(line.amount)}" for line in lines)])


def _entry(formats: Formats, entry: Entry, names: Mapping[UUID | None, str], lines: Lines) -> Row:
    amount = formats.number(entry.amount)
    is_charge = entry.kind in _CHARGES
    method = entry.method and formats.method(entry.method)
    texts = (names.get(entry.invoice_id), entry.description, method, entry.reference)
    billed = lines.get(entry.invoice_id, ()) if entry.kind is EntryKind.INVOICE and entry.invoice_id else ()
    return Row(
        [
            formats.day(entry.date),
            formats.label(entry.kind.value),
            _with_lines(formats, *texts, lines=billed),
            amount if is_charge else "",
            "" if is_charge else amount,
            formats.number(entry.balance),
        ]
    )


def _invoices(formats: Formats, statement: StudentStatement | PayerStatement, lines: Lines) -> Table:
    totals = statement.totals
    names = _names_by_invoice(statement)
    columns = dict.fromkeys(("issued", "due"), ColumnKind.LABEL)
    columns |= {"student": ColumnKind.TEXT} if isinstance(statement, PayerStatement) else {}
    columns |= {"description": ColumnKind.TEXT, "status": ColumnKind.LABEL}
    texts = [""] * (len(columns) - 1)
    is_adjusted = any(_adjusted(line) for line in statement.invoices)
    amounts = ("amount", *(["adjusted"] if is_adjusted else []), "paid", "balance")
    sums = _numbers(
        formats,
        totals.invoiced_total,
        *([_adjusted(totals)] if is_adjusted else []),
        totals.paid_total,
        totals.balance_due_total,
    )
    return printable_table(
        formats,
        "invoices",
        columns | dict.fromkeys(amounts, ColumnKind.NUMBER),
        rows=[
            _invoice(formats, line, names, lines.get(line.id, ()), is_adjusted=is_adjusted)
            for line in statement.invoices
        ],
        foot=[formats.label("total"), *texts, *sums],
    )


def _invoice(
    formats: Formats,
    line: InvoiceLine,
    names: Mapping[UUID | None, str],
    lines: Sequence[Line],
    *,
    is_adjusted: bool,
) -> Row:
    cells = [
        formats.school_day(line.issued_at),
        formats.day(line.due_date),
        *([printable_text(names[line.id])] if names else []),
        _with_lines(formats, line.description, lines=lines) if lines else printable_text(line.description or ""),
        formats.label(line.status.value),
        formats.number(line.total_amount),
        *([formats.number(_adjusted(line))] if is_adjusted else []),
        *_numbers(formats, line.paid_total, line.balance_due),
    ]
    return Row(cells, is_void=line.status.value == "VOID")


def _students(formats: Formats, statement: SchoolStatement) -> Table:
    is_adjusted = any(_adjusted(student) for student in statement.students)
    adjustments = ["adjusted"] if is_adjusted else []
    names = ("invoiced_to_date", *adjustments, "paid_to_date", "balance_due", "overdue", *_AGES)
    return printable_table(
        formats,
        "students",
        {"student": ColumnKind.TEXT, "external_id": ColumnKind.TEXT} | dict.fromkeys(names, ColumnKind.NUMBER),
        rows=[
            Row(
                [
                    printable_text(student.full_name),
                    printable_text(student.external_id or ""),
                    *_balances(formats, student, student.ageing, is_adjusted=is_adjusted),
                ]
            )
            for student in statement.students
        ],
        foot=[
            formats.label("total"),
            "",
            *_balances(formats, statement.totals, statement.ageing, is_adjusted=is_adjusted),
        ],
    )


def _balances(formats: Formats, totals: Totals, ageing: Ageing, *, is_adjusted: bool) -> list[str]:
    adjustments = [_adjusted(totals)] if is_adjusted else []
    sums = (totals.invoiced_total, *adjustments, totals.paid_total, totals.balance_due_total, totals.overdue_total)
    ages = (formats.number(amount) if (amount := getattr(ageing, age)) else _NOTHING for age in _AGES)
    return [*_numbers(formats, *sums), *ages]


def _numbers(formats: Formats, *amounts: Decimal) -> list[str]:
    return [formats.number(amount) for amount in amounts]


def printable_text(text: str) -> str:
    """Return a user's text without characters that no font has."""
    return _UNPRINTABLE.sub(" ", text)
