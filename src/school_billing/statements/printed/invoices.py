"""An invoice as it is printed: what is billed, what is paid of it, and how to pay the rest."""

from collections.abc import Iterable
from decimal import Decimal

from school_billing.invoices.contracts import Invoice
from school_billing.payers.contracts import Payer
from school_billing.schools.contracts import School
from school_billing.statements.printed.language import Formats, Language
from school_billing.statements.printed.printable import (
    ColumnKind,
    Fact,
    PrintableStatement,
    Row,
    Table,
    adjusted,
    how_to_pay,
    printable_table,
    printable_text,
)
from school_billing.statements.spreadsheets import file_words
from school_billing.students.contracts import Student


def printable_invoice(
    invoice: Invoice, school: School, student: Student, payer: Payer | None, language: Language
) -> PrintableStatement:
    """Format an invoice. Without a payer, the student owes it. The lines of a void invoice are struck out."""
    formats = Formats(language, school.currency, school.time_zone)
    name = student.full_name if payer is None else payer.name
    reference = payer.payment_reference if payer else None
    is_owed = invoice.balance_due > 0
    balance_due = Fact(formats.label("balance_due"), formats.money(invoice.balance_due))
    please_pay_by = Fact(formats.label("please_pay_by"), formats.long_day(invoice.due_date))
    return PrintableStatement(
        language=str(language),
        direction=formats.direction,
        title=formats.label("INVOICE"),
        day=formats.school_date(invoice.issued_at),
        name=printable_text(name),
        file_words=file_words(name, invoice.id, invoice.number),
        school=printable_text(school.name),
        address=printable_text(school.address or ""),
        headline=[balance_due, *([please_pay_by] if is_owed else [])],
        facts=list(_facts(formats, invoice, student)),
        how_to_pay=how_to_pay(formats, school, reference, payer or student, invoice.balance_due, invoice.number)
        if is_owed
        else None,
        schedule=None,
        sums=[
            Fact(formats.label("total"), formats.money(invoice.total_amount)),
            *(Fact(formats.label(name), formats.money(amount)) for name, amount in _adjusted(invoice).items()),
            Fact(formats.label("paid"), formats.money(invoice.paid_total)),
            balance_due,
        ],
        ageing_title="",
        ageing=[],
        table=_lines(formats, invoice),
        page=formats.label("page"),
        is_wide=False,
    )


def _adjusted(invoice: Invoice) -> dict[str, Decimal]:
    return adjusted(invoice.credited_total, invoice.discounted_total, invoice.written_off_total)


def _facts(formats: Formats, invoice: Invoice, student: Student) -> Iterable[Fact]:
    yield Fact(formats.label("invoice_id"), invoice.number or str(invoice.id))
    yield Fact(formats.label("student"), printable_text(student.full_name))
    if student.external_id:
        yield Fact(formats.label("external_id"), printable_text(student.external_id))
    yield Fact(formats.label("issued"), formats.long_day(formats.school_date(invoice.issued_at)))
    yield Fact(formats.label("due"), formats.long_day(invoice.due_date))
    if invoice.early_discount and invoice.early_until:
        amount = formats.money(invoice.early_discount)
        day = formats.long_day(formats.school_date(invoice.early_until))
        yield Fact(formats.label("early_payment"), formats.label("early_discount").format(amount=amount, day=day))
    if invoice.voided_at:
        yield Fact(formats.label("VOID"), formats.long_day(formats.school_date(invoice.voided_at)))
    if invoice.lines and invoice.description:
        yield Fact(formats.label("description"), printable_text(invoice.description))


def _lines(formats: Formats, invoice: Invoice) -> Table:
    """Return the lines, or the description and the total as the only one."""
    has_categories = any(line.category for line in invoice.lines)
    columns = dict.fromkeys(["description", *(["category"] if has_categories else [])], ColumnKind.TEXT)
    lines: list[tuple[str, str, Decimal]] = [
        (line.description, line.category or "", line.amount) for line in invoice.lines
    ]
    rows = [
        Row(
            [
                printable_text(description),
                *([printable_text(category)] if has_categories else []),
                formats.number(amount),
            ],
            is_void=invoice.voided_at is not None,
        )
        for description, category, amount in lines or [(invoice.description or "", "", invoice.total_amount)]
    ]
    return printable_table(
        formats,
        "lines",
        columns | {"amount": ColumnKind.NUMBER},
        rows=rows,
        foot=[formats.label("total"), *([""] if has_categories else []), formats.number(invoice.total_amount)],
    )
