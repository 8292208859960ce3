"""The first administrator and the demo schools. Seeding again changes nothing."""

from uuid import UUID

import msgspec

from school_billing.auth.passwords import hash_password
from school_billing.billing_runs.contracts import BillingRunIn, LateFeeRunIn, Period, RunKind
from school_billing.billing_runs.repository import BillingRuns
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.platform.web.conditional import ANY_VERSION
from school_billing.schools.days import Day, Moment
from school_billing.schools.routing import database_of
from school_billing.students.contracts import GroupName
from school_billing.users.contracts import User


class Seeded(msgspec.Struct, frozen=True):
    """How many rows of a demo school were added; zeros if the school already exists."""

    students: int
    invoices: int
    payments: int


class Unbilled(msgspec.Struct, frozen=True):
    """A fee plan of Riverside Academy that no run has billed."""

    id: UUID
    school_id: UUID
    name: GroupName
    """Also the group of its students."""


class NoRow(msgspec.Struct, frozen=True):
    """A statement that gives no rows."""


FIRST_ADMINISTRATOR = Query("users/seed", User)
WAIT_FOR_TURN = Query("demo/wait_for_turn", bool)
SPRINGFIELD = Query("demo/springfield", Seeded)
RIVERSIDE = Query("demo/riverside", int)
RIVERSIDE_PLANS = Query("demo/riverside_plans", Unbilled)
ANALYZE_INVOICES = Query("demo/analyze_invoices", NoRow)
RIVERSIDE_MONEY = Query("demo/riverside_money", Seeded)
SCHOOL_YEAR = [*(Day(2025, month, 15) for month in range(9, 13)), *(Day(2026, month, 15) for month in range(1, 7))]
"""The due dates of Riverside Academy."""


async def seed(settings: Settings, *, demo: bool) -> list[str]:
    """Add the first administrator and the demo schools if they are missing, and return a line about each."""
    lines = []
    # Another seed may take this long, and one connection waits for it while the other works.
    patient = {"database_statement_timeout_ms": 600_000, "database_lock_timeout_ms": 600_000}
    settings = msgspec.structs.replace(settings, **patient, database_pool_min=1, database_pool_max=2)
    async with database_of(settings) as database, database.transaction() as turn:
        await turn.all(WAIT_FOR_TURN)
        name = settings.admin_username
        added = await database.one_or_none(
            FIRST_ADMINISTRATOR, username=name.lower(), password_hash=hash_password(settings.admin_password)
        )
        lines.append(f"added the administrator {name}" if added else f"the administrator {name} already exists")
        if demo:
            springfield = await database.one(SPRINGFIELD)
            lines.append(_line("Springfield Elementary", springfield if springfield.students else None))
            lines.append(_line("Riverside Academy", await _seed_riverside(database)))
    return lines


def _line(name: str, seeded: Seeded | None) -> str:
    """Return what happened to a demo school."""
    if seeded is None:
        return f"already there: {name}"
    counts = f"{seeded.students} students, {seeded.invoices} invoices, {seeded.payments} payments and refunds"
    return f"added {name}: {counts}"


async def _seed_riverside(database: Database) -> Seeded | None:
    """Add the school, bill its year, pay, and charge late fees. Each step does what is missing, so a seed can go on."""
    await database.one(RIVERSIDE)
    runs = BillingRuns(database)

    async def bill(plan: Unbilled, run: BillingRunIn | LateFeeRunIn) -> None:
        preview = await runs.create(None, plan.school_id, run)
        await runs.commit(None, preview.id, ANY_VERSION, all_or_nothing=True)

    for plan in await database.all(RIVERSIDE_PLANS, kind=RunKind.FEES.value):
        issued = Moment.parse("2025-09-01")
        year = Period("2025/26")
        await bill(
            plan, BillingRunIn(plan_id=plan.id, period=year, due_dates=SCHOOL_YEAR, group=plan.name, issued_at=issued)
        )
    await database.all(ANALYZE_INVOICES)
    seeded = await database.one_or_none(RIVERSIDE_MONEY)
    for plan in await database.all(RIVERSIDE_PLANS, kind=RunKind.LATE_FEES.value):
        issued = Moment.parse("2026-07-01")
        await bill(plan, LateFeeRunIn(plan_id=plan.id, due_date=Day(2026, 7, 15), issued_at=issued))
    return seeded
