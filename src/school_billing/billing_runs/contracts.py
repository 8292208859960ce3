"""The bodies of /billing-runs."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar
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


class RunKind(StrEnum):
    """What a billing run bills."""

    FEES = "FEES"
    """The items of a plan, for a period."""
    LATE_FEES = "LATE_FEES"
    """The late fees of a plan, on its invoices that are overdue."""


class Verdict(StrEnum):
    """What a billing run does with a student."""

    WILL_CREATE = "will_create"
    """The commit makes the invoices."""
    ALREADY_BILLED = "already_billed"
    """The student has an invoice of this plan and period that is not void, or has all late fees that are due."""
    SKIPPED = "skipped"
    """`left`: the student left on the day of issue or before. `nothing_to_bill`: discounts take all, or the late fee is
    less than a cent. `not_late_enough`: no late fee is due yet. `covered_by_credit`: the payer paid in advance."""
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
    """That of the items, `discount` for the rules of the plan, `award` for awards, and `late_fee` for late fees."""
    amount: Money


class BillingRun(Struct, frozen=True):
    """A billing run: a preview, and what its commit made of it."""

    id: UUID
    school_id: UUID
    kind: RunKind
    plan_id: UUID
    plan_version: int
    period: Period
    """Of late fees, the day of issue, such as 2026-12-01."""
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
    """The sum of the items from which a discount is taken, or what is overdue on the late invoice."""
    percent: Percent | None = None
    """The percentage of a discount or late fee, if it has one."""
    sibling_rank: int | None = None
    """The rank of the student among siblings, of a sibling discount."""
    award_id: UUID | None = None
    cut: Money | None = None
    """What the discount could not take, because earlier ones had left less of the items."""
    late_invoice_id: UUID | None = None
    """Of a late fee: the invoice that is overdue."""
    after_days: int | None = None
    """Of a late fee: that of its rule."""
    tier: int | None = None
    """Of a late fee: how often its rule is charged on the late invoice, this time included."""


class RunInvoice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice of a student: of one payer and one instalment, or one late fee."""

    payer_id: UUID | None
    """Null if the student has no payers and pays for himself."""
    share: Share
    """The payer's share, in percent."""
    instalment: int
    """1 for the first due date. Of a late fee, its tier."""
    due_date: DueDate
    amount: Money
    late_invoice_id: UUID | None = None
    """Of a late fee: the invoice that is overdue."""


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


class _RunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plan of a run, and its students: a group, a list, or the whole school if neither is given."""

    plan_id: UUID
    group: GroupName | None = None
    student_ids: Annotated[list[UUID], Meta(min_length=1, max_length=STUDENTS_MOST)] | None = None
    issued_at: Moment | None = None
    """The moment of the preview by default. A day means its beginning."""

    def require_sense(self, errors: Sequence[FieldError] = ()) -> None:
        """Raise InvalidBody if fields contradict each other, or if there are errors already."""
        errors = [*errors]
        if self.group is not None and self.student_ids is not None:
            errors.append(FieldError("student_ids", "must be left out with a group"))
        seen: set[UUID] = set()
        for place, student_id in enumerate(self.student_ids or []):
            if student_id in seen:
                errors.append(FieldError(f"student_ids[{place}]", "is in the list twice"))
            seen.add(student_id)
        if errors:
            raise InvalidBody(errors=errors[:100])


class BillingRunIn(_RunIn, frozen=True, kw_only=True):
    """The plan to bill, and its students: a group, a list, or the whole school if neither is given."""

    kind: ClassVar[RunKind] = RunKind.FEES
    period: Period
    due_dates: Annotated[list[Day], Meta(min_length=1, max_length=INSTALMENTS_MOST)]
    """One for each instalment, in order. None is before the day of issue."""

    def require_sense(self, errors: Sequence[FieldError] = ()) -> None:
        """Raise InvalidBody if fields contradict each other, or if there are errors already."""
        places = range(1, len(self.due_dates))
        wrong = [place for place in places if self.due_dates[place] <= self.due_dates[place - 1]]
        super().require_sense(
            [*errors, *(FieldError(f"due_dates[{one}]", "must be after the one before") for one in wrong)]
        )


class LateFeeRunIn(_RunIn, frozen=True, kw_only=True):
    """The plan of the late fees, and its students: a group, a list, or the whole school if neither is given."""

    kind: ClassVar[RunKind] = RunKind.LATE_FEES
    period: ClassVar[None] = None
    due_date: Day
    """When the fees are due. It is not before the day of issue."""

    @property
    def due_dates(self) -> list[Day]:
        """The day on which all of the run's invoices are due."""
        return [self.due_date]


class RunCommit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a preview is committed."""

    all_or_nothing: bool = False
    """true: 412, and nothing is billed, if something changed since the preview. false: those students are left out."""


class RunRevert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a run is reverted. Its invoices are voided with this reason."""

    reason: VoidReason
