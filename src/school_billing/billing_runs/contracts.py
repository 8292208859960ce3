"""The bodies of /billing-runs."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from school_billing.fee_plans.contracts import Category, LineDescription, Percent
from school_billing.invoices.contracts import DueDate, VoidReason
from school_billing.money import Money
from school_billing.payers.contracts import Share
from school_billing.platform.web.errors import FieldError, InvalidBody
from school_billing.platform.web.types import Instant, Text
from school_billing.schools.contracts import DocumentNumber
from school_billing.schools.days import Day, Moment
from school_billing.students.contracts import ExternalId, FullName, GroupName

INSTALMENTS_MOST = 36
STUDENTS_MOST = 10_000
KEPT_MOST = 500
"""The most invoices that a reverted run lists."""


class Period(Text, most=50, examples=["2026 autumn term"]):
    """What is billed, such as a term or a month. A student is billed once for each plan and period."""


class RunStatus(StrEnum):
    """What became of a billing run."""

    PREVIEW = "PREVIEW"
    """Nothing is billed yet."""
    COMMITTED = "COMMITTED"
    ABANDONED = "ABANDONED"
    """It billed nothing, and never will."""
    REVERTED = "REVERTED"
    """Its invoices are void, but for those on which something had happened."""


class Verdict(StrEnum):
    """What a billing run does with a student."""

    WILL_CREATE = "will_create"
    """The commit makes the invoices."""
    ALREADY_BILLED = "already_billed"
    """The student has an invoice of this plan and period that is not void."""
    SKIPPED = "skipped"
    """`left`: the student left on the day of issue or before. `nothing_to_bill`: discounts take all."""
    FAILED = "failed"
    """`total_too_large`, or `too_many_lines`: no invoice can have this."""
    CREATED = "created"
    """The commit made the invoices."""
    CHANGED = "changed"
    """Something had changed since the preview, so the commit billed nothing."""


class VerdictCounts(Struct, frozen=True, omit_defaults=True):
    """The number of students with each verdict. A verdict that no student has is left out."""

    will_create: int = 0
    already_billed: int = 0
    skipped: int = 0
    failed: int = 0
    created: int = 0
    changed: int = 0


class CategoryTotal(Struct, frozen=True):
    """The sum of the lines of a category."""

    category: Category
    """That of the items, `discount` for the rules of the plan, and `award` for awards."""
    amount: Money


class BillingRun(Struct, frozen=True):
    """A billing run: a preview, and what its commit made of it."""

    id: UUID
    school_id: UUID
    plan_id: UUID
    plan_version: int
    period: Period
    group: GroupName | None
    """The group that is billed; null if it is the whole school, or a list of students."""
    due_dates: list[DueDate]
    """One invoice is due on each, for each payer of a student."""
    issued_at: Instant
    status: RunStatus
    counts: VerdictCounts
    totals: list[CategoryTotal]
    """What is to be billed, and after the commit what was billed."""
    total_amount: Money
    """The sum of `totals`, and of the invoices."""
    invoices_count: int
    committed_at: Instant | None
    abandoned_at: Instant | None
    reverted_at: Instant | None
    revert_reason: VoidReason | None
    created_at: Instant
    updated_at: Instant


class RunLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of what a student is billed, over all payers and instalments."""

    description: LineDescription
    category: Category
    amount: Money
    """Negative if it is a discount."""
    base: Money | None = None
    """The sum of the items from which a discount is taken."""
    percent: Percent | None = None
    """The percentage of a discount, if it has one."""
    sibling_rank: int | None = None
    """The rank of the student among siblings, of a sibling discount."""
    award_id: UUID | None = None
    cut: Money | None = None
    """What the discount could not take, because earlier ones had left less of the items."""


class RunInvoice(Struct, frozen=True):
    """An invoice of a student: of one payer and one instalment."""

    payer_id: UUID | None
    """Null if the student has no payers and pays for himself."""
    share: Share
    """The payer's share, in percent."""
    instalment: int
    """1 for the first due date."""
    due_date: DueDate
    amount: Money


class RunRow(Struct, frozen=True):
    """What a billing run does with a student."""

    id: UUID
    student_id: UUID
    full_name: FullName
    external_id: ExternalId | None
    group_name: GroupName | None
    verdict: Verdict
    reason: str | None
    """Why the student is skipped, or why billing failed."""
    sibling_rank: int
    """1 for the eldest of the enrolled siblings, as it was at the preview."""
    items_total: Money
    discounts_total: Money
    """Zero or negative."""
    total_amount: Money
    lines: list[RunLine]
    invoices: list[RunInvoice]
    """They sum to the total_amount. Empty if the student is not billed."""


class KeptInvoice(Struct, frozen=True):
    """An invoice of a reverted run that stays, because something happened on it."""

    invoice_id: UUID
    number: DocumentNumber | None
    student_id: UUID
    full_name: FullName
    total_amount: Money
    paid_total: Money
    balance_due: Money


class RevertedRun(BillingRun, frozen=True):
    """A billing run whose invoices are void, but for those on which something had happened."""

    voided_count: int
    """The invoices that this request voided."""
    kept_count: int
    """The invoices that stay."""
    kept: list[KeptInvoice]
    """At most 500 of them. GET /invoices?billing_run_id= lists all."""


class BillingRunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plan to bill, and its students: a group, a list, or the whole school if neither is given."""

    plan_id: UUID
    period: Period
    due_dates: Annotated[list[Day], Meta(min_length=1, max_length=INSTALMENTS_MOST)]
    """One for each instalment, in order. None is before the day of issue."""
    group: GroupName | None = None
    student_ids: Annotated[list[UUID], Meta(min_length=1, max_length=STUDENTS_MOST)] | None = None
    issued_at: Moment | None = None
    """The moment of the preview by default. A day means its beginning."""

    def require_sense(self) -> None:
        """Raise InvalidBody if fields contradict each other."""
        errors = [
            FieldError(f"due_dates[{place}]", "must be after the one before") for place in _not_after(self.due_dates)
        ]
        if self.group is not None and self.student_ids is not None:
            errors.append(FieldError("student_ids", "must be left out with a group"))
        seen: set[UUID] = set()
        for place, student_id in enumerate(self.student_ids or []):
            if student_id in seen:
                errors.append(FieldError(f"student_ids[{place}]", "is in the list twice"))
            seen.add(student_id)
        if errors:
            raise InvalidBody(errors=errors[:100])


def _not_after(days: Sequence[date]) -> list[int]:
    return [place for place in range(1, len(days)) if days[place] <= days[place - 1]]


class RunCommit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a preview is committed."""

    all_or_nothing: bool = False
    """true: 412, and nothing is billed, if something changed since the preview. false: those students are left out."""


class RunRevert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a run is reverted. Its invoices are voided with this reason."""

    reason: VoidReason
