"""A receipt as it is printed: what arrived, and every child and invoice that it pays."""

from school_billing.payers.contracts import PaymentReference
from school_billing.receipts.contracts import Allocation, Receipt
from school_billing.schools.contracts import School
from school_billing.statements.printed.language import Formats, Language
from school_billing.statements.printed.printable import (
    ColumnKind,
    Fact,
    PrintableStatement,
    Row,
    how_to_pay,
    printable_table,
    printable_text,
)
from school_billing.statements.spreadsheets import file_words


def printable_receipt(
    receipt: Receipt, school: School, reference: PaymentReference | None, language: Language
) -> PrintableStatement:
    """Format a receipt. Allocations that were taken back are struck out, and no sum counts them.

    `reference` is the one by which its payer pays the next time.
    """
    formats = Formats(language, receipt.currency, school.time_zone)
    name = receipt.payer_name or formats.label("no_payer")
    return PrintableStatement(
        language=str(language),
        direction=formats.direction,
        title=formats.label("receipt_title"),
        day=formats.school_date(receipt.received_at),
        name=printable_text(name),
        file_words=file_words(name, receipt.id),
        school=printable_text(school.name),
        address=printable_text(school.address or ""),
        headline=[
            Fact(formats.label("received"), formats.money(receipt.amount)),
            Fact(formats.label("received_on"), formats.long_day(formats.school_date(receipt.received_at))),
        ],
        facts=_facts(formats, receipt),
        how_to_pay=how_to_pay(formats, school, reference) if reference else None,
        schedule=None,
        sums=[
            Fact(formats.label("received"), formats.money(receipt.amount)),
            Fact(formats.label("allocated"), formats.money(receipt.allocated_total)),
            Fact(formats.label("given_back"), formats.money(receipt.refunded_total)),
            Fact(formats.label("unallocated_rest"), formats.money(receipt.unallocated)),
        ],
        ageing_title="",
        ageing=[],
        table=printable_table(
            formats,
            "allocations",
            {"date": ColumnKind.LABEL, "student": ColumnKind.TEXT, "description": ColumnKind.TEXT}
            | {"amount": ColumnKind.NUMBER},
            rows=[_row(formats, allocation) for allocation in receipt.allocations],
            foot=[formats.label("total"), "", "", formats.number(receipt.allocated_total)],
        ),
        page=formats.label("page"),
        is_wide=False,
    )


def _facts(formats: Formats, receipt: Receipt) -> list[Fact]:
    facts = {"receipt_id": receipt.number or str(receipt.id)}
    if receipt.method:
        facts["method"] = printable_text(formats.method(receipt.method))
    if receipt.reference:
        facts["reference"] = printable_text(receipt.reference)
    if receipt.reversed_at:
        facts["receipt_reversed"] = formats.long_day(formats.school_date(receipt.reversed_at))
    return [Fact(formats.label(name), value) for name, value in facts.items()]


def _row(formats: Formats, allocation: Allocation) -> Row:
    cells = [
        formats.school_day(allocation.allocated_at),
        printable_text(allocation.full_name),
        printable_text(allocation.description or ""),
        formats.number(allocation.amount),
    ]
    return Row(cells, is_void=allocation.reversed_at is not None)
