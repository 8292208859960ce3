import asyncio
from collections.abc import Callable
from decimal import Decimal

import psycopg
import pytest

from school_billing.app import create_app
from school_billing.platform.settings import Settings
from school_billing.seed import seed
from tests.api import Json, client_of
from tests.conftest import running

SPRINGFIELD = "01980000-0000-7000-8000-000000000001"
RIVERSIDE = "01980000-0000-7000-8000-000000000002"

CONTENT = """
select 'school', id::text, name, currency, time_zone, address from schools
union all
select 'student', id::text, full_name, external_id, school_id::text, null from students
union all
select 'invoice', total_amount::text, issued_at::text, due_date::text, description, status from invoices
union all
select 'payment', kind, amount::text, method, reference, paid_at::text from payments
union all
select 'adjustment', kind, amount::text, reason, adjusted_at::text, null from adjustments
union all
select 'payer', id::text, name, external_id, kind, language from payers
union all
select 'receipt', id::text, payer_name, amount::text, allocated_total::text, reversed_at::text from receipts
union all
select 'user', username, role, school_id::text, null, null from users
"""

BALANCES = """
select
  name,
  (select count(*) from student_payers where payer_id = payers.id)::int,
  (select sum(balance_due) from invoices where payer_id = payers.id),
  (select sum(unallocated) from receipts where payer_id = payers.id),
  (select count(reversed_at) from receipts where payer_id = payers.id)::int
from payers
where school_id = %s
order by name collate "C"
"""


def content(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return sorted(connection.execute(CONTENT), key=repr)


async def test_two_seeds_at_once_make_one_demo(new_database: Callable[..., str]) -> None:
    once, twice = (Settings(database_url=new_database(), database_pool_min=5) for _ in range(2))
    await seed(once, demo=True)
    await asyncio.gather(seed(twice, demo=True), seed(twice, demo=True))
    assert content(twice.database_url) == content(once.database_url)


@pytest.fixture(scope="module")
async def seeded(new_database: Callable[..., str]) -> Settings:
    settings = Settings(database_url=new_database())
    await seed(settings, demo=True)
    return settings


async def get(settings: Settings, path: str) -> Json:
    service = create_app(settings)
    async with running(service), client_of(service) as client:
        found: Json = (await client.get(path)).json()
        return found


async def test_seeding_again_changes_nothing(seeded: Settings) -> None:
    before = content(seeded.database_url)
    for _ in range(4):
        assert all("already" in line for line in await seed(seeded, demo=True))
    assert content(seeded.database_url) == before


async def test_every_seed_makes_the_same_schools(seeded: Settings, new_database: Callable[..., str]) -> None:
    other = Settings(database_url=new_database())
    await seed(other, demo=True)
    assert content(other.database_url) == content(seeded.database_url)


async def test_springfield_has_the_figures_of_the_readme(seeded: Settings) -> None:
    statement = await get(seeded, f"/schools/{SPRINGFIELD}/statement")
    assert statement["totals"] == statement["totals"] | {
        "invoiced_total": "1800.00",
        "payments_total": "1300.00",
        "refunds_total": "50.00",
        "paid_total": "1250.00",
        "balance_due_total": "550.00",
    }
    assert [(student["student_id"][-14:], student["external_id"]) for student in statement["students"]] == [
        ("1-000000000002", "SPR-002"), ("1-000000000001", "SPR-001")
    ]  # fmt: skip
    lines = {line["total_amount"]: line for line in statement["invoices"]}
    assert (lines["1000.00"]["status"], lines["1000.00"]["description"]) == ("PAID", "Annual tuition")
    assert (lines["1000.00"]["due_date"], lines["800.00"]["status"]) == ("2026-02-28", "PARTIAL")
    demo = [row[1:] for row in content(seeded.database_url) if row[0] == "payment" and "DEMO" in str(row[4])]
    with psycopg.connect(seeded.database_url) as connection:
        zone = connection.execute("show timezone").fetchone()
    assert zone is not None
    assert {(kind, amount, method, reference) for kind, amount, method, reference, _ in demo} == {
        ("PAYMENT", "600.00", "bank_transfer", "DEMO-PAID-1"),
        ("PAYMENT", "400.00", "card", "DEMO-PAID-2"),
        ("PAYMENT", "300.00", "cash", "DEMO-PARTIAL-1"),
        ("REFUND", "50.00", "cash", "DEMO-REFUND-1"),
    }
    payments = await get(seeded, f"/payments?school_id={SPRINGFIELD}")
    assert [payment["paid_at"] for payment in payments] == [  # type: ignore[index] # a list
        "2026-01-10T13:00:00Z",
        "2026-01-15T13:00:00Z",
        "2026-01-20T13:00:00Z",
        "2026-01-25T13:00:00Z",
    ]


async def test_riverside_has_payments_of_every_kind(seeded: Settings) -> None:
    statement = await get(seeded, f"/schools/{RIVERSIDE}/statement")
    assert statement["students_count"] == 320
    totals = {name: Decimal(value) for name, value in statement["totals"].items()}
    adjusted = [totals[name] for name in ("credited_total", "discounted_total", "written_off_total")]
    assert adjusted == [Decimal("120.00"), Decimal("50.00"), Decimal("380.00")]
    owed = totals["invoiced_total"] - sum(adjusted)
    assert totals["balance_due_total"] == owed - totals["payments_total"] + totals["refunds_total"]
    assert 0 < totals["refunds_total"] < totals["balance_due_total"] < totals["payments_total"]
    with psycopg.connect(seeded.database_url) as connection:
        statuses = connection.execute(
            "select status, count(*) from invoices where school_id = %s group by status", [RIVERSIDE]
        ).fetchall()
        ((late_fees,),) = connection.execute(
            "select count(*) from invoices where late_invoice_id is not null"
        ).fetchall()
    counts: dict[str, int] = dict(statuses)
    # 10 months * (312 + 5 students with one payer or none, and 2 * 3 with two), and late fees
    assert sum(counts.values()) == 3230 + late_fees
    assert (counts["VOID"], counts["WRITTEN_OFF"]) == (1, 1)
    assert min(counts[status] for status in ("PENDING", "PARTIAL", "PAID")) > 50


async def test_riverside_is_billed_by_runs(seeded: Settings) -> None:
    with psycopg.connect(seeded.database_url) as connection:
        runs = connection.execute(
            """
            select kind, status, sum(total_amount), sum(invoices_count)
            from billing_runs
            where school_id = %s
            group by 1, 2
            order by 1
            """,
            [RIVERSIDE],
        ).fetchall()
        lines = connection.execute(
            """
            select invoice_lines.category, count(distinct student_id), sum(amount)
            from invoice_lines
            join invoices on invoices.id = invoice_id
            where billing_run_id is not null and invoice_lines.category in ('award', 'discount')
            group by invoice_lines.category
            """
        ).fetchall()
        students: dict[str, int] = dict(
            connection.execute(
                "select group_name, count(*) from students where school_id = %s group by group_name", [RIVERSIDE]
            ).fetchall()
        )
    assert set(students) == {"Infantil", "Primaria", "Secundaria"}
    fees = {"Infantil": 3800, "Primaria": 4200, "Secundaria": 4655}
    whole = sum((Decimal(fees[stage]) * number for stage, number in students.items()), Decimal(0))
    taken_off = {category: amount for category, _, amount in lines}
    # The siblings Mateo, Sofía and Nadia have 10 % less tuition; 5 students have a scholarship.
    assert {(category, number) for category, number, _ in lines} == {("award", 5), ("discount", 3)}
    assert taken_off["discount"] == -Decimal("0.10") * (3600 + 4055 + 3200)
    late_invoices = runs[1][3]
    assert runs == [
        ("FEES", "COMMITTED", whole + sum(taken_off.values()), 3230),
        ("LATE_FEES", "COMMITTED", Decimal("12.00") * late_invoices, late_invoices),
    ]
    assert late_invoices > 100


async def test_riverside_has_families_whose_receipts_add_up(seeded: Settings) -> None:
    with psycopg.connect(seeded.database_url) as connection:
        balances = connection.execute(BALANCES, [RIVERSIDE]).fetchall()
        unidentified = connection.execute(
            "select count(*), sum(unallocated) from receipts where payer_id is null and school_id = %s", [RIVERSIDE]
        ).fetchone()
    assert balances == [
        # The payer, how many children, what is open, what is unallocated, and receipts that were reversed.
        ("Amina Okafor", 1, Decimal("0.00"), Decimal("0.00"), 0),
        ("Elena Ruiz Martín", 1, Decimal("1220.00"), Decimal("0.00"), 0),  # 6 * 210.00 - 100.00 + 5 late fees
        ("Kenji Sato", 1, Decimal("392.00"), Decimal("0.00"), 0),  # 2 * 190.00 + 1 late fee
        # 3 * 813.50 + 3 late fees, because the credit covers one invoice; 2000.00 - 2 * 813.50
        ("Layla Haddad", 2, Decimal("2476.50"), Decimal("373.00"), 1),
        ("María Molina Ortega", 3, Decimal("0.00"), Decimal("111.05"), 0),  # 1300.00 - 1188.95
        ("Ribera Logística S.A.", 2, Decimal("400.00"), Decimal("0.00"), 0),  # June is not paid yet.
        ("Thomas Müller", 1, Decimal("0.00"), Decimal("0.00"), 0),
    ]
    assert unidentified == (2, Decimal("845.50"))


async def test_production_seeds_the_administrator_and_no_demo_school(new_database: Callable[..., str]) -> None:
    settings = Settings(database_url=new_database(), admin_username="Root", admin_password="correct horse battery")
    await seed(settings, demo=False)
    assert content(settings.database_url) == [("user", "root", "admin", None, None, None)]
