"""The examples in OpenAPI: Bart Simpson of the demo school, so that "Try it out" in /docs works as it opens.

A struct is here by its name if its required fields do not make a good example of it, and an operation if its answer
differs.
"""

from collections.abc import Mapping

STUDENT = "01980000-0000-7000-8001-000000000002"
PAYER = "01980000-0000-7000-8002-000000000001"
RECEIPT = "01980000-0000-7000-8003-000000000001"
INVOICE = "01980000-0000-7000-8000-000000000202"
PLAN = "01980000-0000-7000-8004-000000000001"
AWARD = "01980000-0000-7000-8005-000000000001"
BILLING_RUN = "01980000-0000-7000-8006-000000000001"
PAYMENT = "01980000-0000-7000-8000-000000000302"
ADJUSTMENT = "01980000-0000-7000-8000-000000000701"
CLOSING = "01980000-0000-7000-8004-000000000001"
USER = "01980000-0000-7000-8000-000000000401"
API_KEY = "01980000-0000-7000-8000-000000000501"

_NONE_DUE = {"current": "0.00", "days_1_30": "0.00", "days_31_60": "0.00", "days_61_90": "0.00"}
_NONE_PAID = {"payments_total": "0.00", "refunds_total": "0.00", "paid_total": "0.00"}


_NONE_ADJUSTED = {"credited_total": "0.00", "discounted_total": "0.00", "written_off_total": "0.00"}


def _adjustment_of(struct: str) -> dict[str, object]:
    fields = {"id": ADJUSTMENT, "kind": "DISCOUNT", "number": None, "amount": "80.00", "reason": "Sibling discount"}
    return {f"{struct}.{name}": value for name, value in fields.items()}


_SIBLING_RULE = {"kind": "sibling", "description": "Sibling discount", "categories": ["tuition"]} | {
    "percent": "10.0000",
    "amount": None,
    "from_rank": 2,
    **dict.fromkeys(("after_days", "minimum", "maximum_times", "days_before_due")),
}
_AWARD = {
    "student_id": STUDENT,
    "description": "Music scholarship",
    "categories": ["tuition"],
    "percent": "25.0000",
} | {
    "valid_from": "2026-08-01",
    "valid_to": "2027-07-31",
    "reason": "Second in the regional music contest",
    "approved_by": "Bursary committee, 2026-05-12",
}
_RUN = {
    "kind": "FEES",
    "plan_version": 1,
    "group": None,
    "due_dates": ["2026-10-15", "2026-11-15"],
    "status": "PREVIEW",
    "counts": {"will_create": 1},
    "total_amount": "350.00",
    "invoices_count": 2,
    "committed_at": None,
    "abandoned_at": None,
    "reverted_at": None,
    "revert_reason": None,
}


def _receipt_of(struct: str) -> dict[str, object]:
    return {
        f"{struct}.number": "SPR-R-2026-000001",
        f"{struct}.amount": "100.00",
        f"{struct}.method": "bank_transfer",
        f"{struct}.reference": "DEMO-RECEIPT-1",
    }


def _figures_of(struct: str) -> dict[str, object]:
    figures = {"opening_balance": "0.00", "received": "350.00", "closing_balance": "500.00", "unallocated": "50.00"}
    none = dict.fromkeys(("credited", "discounted", "written_off", "voided"), "0.00")
    return {f"{struct}.{name}": amount for name, amount in (figures | none).items()}


EXAMPLES: Mapping[str, object] = {
    "school_id": "01980000-0000-7000-8000-000000000001",
    "student_id": STUDENT,
    "payer_id": PAYER,
    "plan_id": PLAN,
    "award_id": AWARD,
    "billing_run_id": BILLING_RUN,
    "invoice_id": INVOICE,
    "adjustment_id": ADJUSTMENT,
    "payment_id": PAYMENT,
    "receipt_id": RECEIPT,
    "closing_id": CLOSING,
    "user_id": USER,
    "api_key_id": API_KEY,
    "School.id": "01980000-0000-7000-8000-000000000001",
    "Student.id": STUDENT,
    "Payer.id": PAYER,
    "FeePlan.id": PLAN,
    "Award.id": AWARD,
    "BillingRun.id": BILLING_RUN,
    "RevertedRun.id": BILLING_RUN,
    "RunRow.id": "01980000-0000-7000-8007-000000000001",
    "Invoice.id": INVOICE,
    "ListedInvoice.id": INVOICE,
    "InvoiceLine.id": INVOICE,
    "ExportedLine.id": INVOICE,
    "Payment.id": PAYMENT,
    "Receipt.id": RECEIPT,
    "ListedReceipt.id": RECEIPT,
    "Closing.id": CLOSING,
    "ListedClosing.id": CLOSING,
    "OpenReceipt.id": RECEIPT,
    "OpenBillingRun.id": BILLING_RUN,
    "ClosingIn": {"through": "2025-12-31"},
    "starts_on": "2026-01-01",
    "through": "2026-01-31",
    "audit_position": 42,
    "audit_hash": "6f959a08d5f3a3a2c2ff0f7f5e5b3f7c1d0a4f0b9c1e2d3f4a5b6c7dbf74e8d1",
    "reopened_at": None,
    "reopen_reason": None,
    **_figures_of("RollForwardFigures"),
    **_figures_of("RollForward"),
    "User.id": USER,
    "ApiKey.id": API_KEY,
    "NewApiKey.id": API_KEY,
    "SchoolPatch": {"name": "Springfield Elementary"},
    "full_name": "Bart Simpson",
    "external_id": "SPR-002",
    "StudentIn.external_id": "SPR-003",
    "StudentPatch": {"full_name": "Bart Simpson"},
    "Payer.kind": "PERSON",
    "PayerIn.kind": "PERSON",
    "PayerPatch.kind": "PERSON",
    "PayerPatch": {"phone": "+1 417 555 0113"},
    "group_name": "4B",
    "left_on": None,
    "FeePlan.version": 1,
    "FeeItem.amount": "400.00",
    "FeeItemIn.amount": "400.00",
    "FeeRule": _SIBLING_RULE,
    "FeeRuleIn": {name: _SIBLING_RULE[name] for name in ("kind", "categories", "percent")},
    "FeePlanIn.name": "Middle school",
    "FeePlanPatch": {"name": "Elementary school"},
    "percent": "25.0000",
    "valid_from": "2026-08-01",
    "valid_to": "2027-07-31",
    "Award": _AWARD
    | {"id": AWARD, "school_id": "01980000-0000-7000-8000-000000000001", "amount": None}
    | {"created_at": "2026-05-13T13:00:00Z", "updated_at": "2026-05-13T13:00:00Z"},
    "AwardIn": _AWARD,
    "AwardPatch": {"valid_to": "2027-07-31"},
    **{f"{run}.{name}": value for run in ("BillingRun", "RevertedRun") for name, value in _RUN.items()},
    "BillingRunIn": {"plan_id": PLAN, "period": "2099 autumn term", "due_dates": ["2099-10-15", "2099-11-15"]},
    "LateFeeRunIn": {"plan_id": PLAN, "due_date": "2099-10-15"},
    "CategoryTotal.amount": "400.00",
    "RunLine.amount": "400.00",
    "RunInvoice.amount": "175.00",
    "instalment": 1,
    "sibling_rank": 2,
    "verdict": "will_create",
    "RunRow.reason": None,
    "RunRow.total_amount": "350.00",
    "items_total": "490.00",
    "discounts_total": "-140.00",
    "RunRevert.reason": "Wrong year",
    "voided_count": 2,
    "kept_count": 0,
    "kept": [],
    "language": "en",
    "share": "100.0000",
    "issued_at": "2026-01-05T13:00:00Z",
    "due_date": "2026-02-28",
    "total_amount": "800.00",
    **_NONE_ADJUSTED,
    "payments_total": "300.00",
    "refunds_total": "50.00",
    "paid_total": "250.00",
    "balance_due": "550.00",
    "status": "PARTIAL",
    "voided_at": None,
    "void_reason": None,
    "early_discount": None,
    "early_until": None,
    "create_invoice": {**_NONE_PAID, "status": "PENDING", "balance_due": "800.00"},
    "void_invoice": {
        **_NONE_PAID,
        "status": "VOID",
        "voided_at": "2026-01-06T13:00:00Z",
        "void_reason": "Entered twice",
        "balance_due": "0.00",
    },
    "Invoice.number": None,
    "Invoice.late_invoice_id": None,
    "ListedInvoice.late_invoice_id": None,
    "Invoice.lines": [],
    "InvoiceIn": {"student_id": STUDENT, "total_amount": "800.00", "due_date": "2026-02-28"},
    "ListedInvoice.number": None,
    "Line.amount": "800.00",
    "InvoicePatch": {"due_date": "2026-03-15"},
    **_adjustment_of("Adjustment"),
    **_adjustment_of("ListedAdjustment"),
    "Adjustment.lines": [],
    "adjusted_at": "2026-01-06T13:00:00Z",
    "CreditNoteIn": {"amount": "20.00", "reason": "No lunch in May"},
    "DiscountIn.amount": "10.00",
    "Entry.adjustment_id": None,
    "credited": "0.00",
    "discounted": "0.00",
    "written_off": "0.00",
    "amount": "300.00",
    "Payment.paid_at": "2026-01-15T13:00:00Z",
    "PaymentIn.amount": "50.00",
    "kind": "PAYMENT",
    "FeeRule.kind": "sibling",
    "FeeRuleIn.kind": "sibling",
    "method": "cash",
    "reference": "DEMO-PARTIAL-1",
    "PaymentPatch": {"reference": "DEMO-PARTIAL-1"},
    "payer_name": "Marge Simpson",
    "received_at": "2026-02-03T15:00:00Z",
    "reversed_at": None,
    "reverse_reason": None,
    "allocated_total": "0.00",
    "refunded_total": "0.00",
    "unallocated": "100.00",
    "allocations": [],
    "refunds": [],
    **_receipt_of("Receipt"),
    **_receipt_of("ListedReceipt"),
    "ReceiptIn": {"payer_id": PAYER, "amount": "100.00"},
    "AllocateIn": {"allocate": "oldest_due_first"},
    "ReceiptRefundIn.amount": "10.00",
    "Allocation.reversed_at": None,
    "as_of_date": "2026-03-31",
    "oldest_due_date": "2026-02-28",
    "days_overdue": 31,
    "invoices_count": 1,
    "students_count": 1,
    "invoiced_total": "800.00",
    "balance_due_total": "550.00",
    "overdue_total": "550.00",
    "Ageing": {**_NONE_DUE, "days_31_60": "550.00", "days_over_90": "0.00"},
    "unallocated_total": "50.00",
    "unidentified_total": "0.00",
    "PayerStatement.unallocated": "50.00",
    "PayerStatement.balance": "500.00",  # 550.00 - 50.00
    "PayerStatementPeriod.paid": "0.00",
    "PayerStatementPeriod.refunded": "0.00",
    "PayerStatementPeriod.received": "350.00",
    "PayerStatementPeriod.returned": "50.00",
    "PayerStatementPeriod.paid_for_others": "0.00",
    "Credit.unallocated": "50.00",
    "PayingDebtor.unallocated": "50.00",
    "PayingDebtor.external_id": "P-1024",
    "Entry.receipt_id": None,
    "from": "2026-01-01",
    "to": "2026-01-31",
    "CollectionsBy": "month",
    "CollectionsRow.method": None,
    "invoiced": "800.00",
    "paid": "300.00",
    "refunded": "50.00",
    "net": "250.00",
    "collection_rate": "0.3125",  # 250.00 / 800.00
    "ForecastMonth": {"from": "2026-02-01", "to": "2026-02-28", "due": "800.00", "paid": "250.00", "open": "550.00"}
    | {"invoices_count": 1},
    "open_before": "0.00",
    "open_after": "0.00",
    "username": "bart@springfield.example",
    "Login.username": "admin",
    "Login.password": "change_me",
    "disabled_at": None,
    "UserPatch": {"role": "accountant"},
    "created_by": "admin",
    "last_used_at": None,
    "revoked_at": None,
    "AuditEntry.id": "01980000-0000-7000-8000-000000000601",
    "AuditEntry.entity": "payments",
    "AuditEntry.entity_id": PAYMENT,
    "AuditEntry.action": "INSERT",
    "AuditEntry.actor": "admin",
    "AuditEntry.database_role": "school_billing",
    "AuditEntry.request_id": "7436109b-522f-49b8-ac98-603c473ea5af",
    "AuditEntry.row_before": None,
    "AuditEntry.row_after": {"id": PAYMENT, "kind": "PAYMENT", "amount": 300.00},
    "AuditEntry.position": 1,
    "AuditEntry.hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "Health.status": "ok",
    "Problem.status": 409,
}
