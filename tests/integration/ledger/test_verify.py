"""`school-billing ledger verify`, on right books and on manipulated ones."""

import asyncio
import re
from collections.abc import Callable

import httpx
import psycopg
import pytest

from school_billing.ledger.repository import Ledger
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.seed import seed
from tests.api import problem
from tests.server import command, serve

UNSEALED = "select count(*) from audit_log where hash is null"


def tamper(url: str, statement: str) -> None:
    """Change rows as a superuser with the triggers switched off."""
    with psycopg.connect(url) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(statement)


@pytest.fixture(scope="session")
async def sealed(new_database: Callable[..., str]) -> str:
    """The demo, sealed, for every test to copy."""
    url = new_database()
    await seed(Settings(database_url=url), demo=True)
    async with Database(Settings(database_url=url)) as database:
        assert await Ledger(database).seal() > 7_000
    return url


@pytest.fixture
def books(new_database: Callable[..., str], sealed: str) -> str:
    return new_database(copy_of=sealed)


async def test_verify_reports_that_right_books_agree(books: str) -> None:
    result = command(books, "ledger", "verify")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3671 invoices, 3551 payments and refunds, 5 adjustments, 56 receipts" in result.stdout
    assert "(0 not yet)" in result.stdout
    assert "all agree" in result.stdout
    assert "sealed 0" in command(books, "ledger", "seal").stdout


async def test_verify_names_every_change_behind_the_triggers(books: str) -> None:
    tomorrow = "now() + interval '1 day'"
    changes = {
        "update invoices set payments_total = payments_total + 1 where status = 'PARTIAL'": (
            "payments_total 151.00, but its payments sum to 150.00"
        ),
        "update payments set amount = amount + 0.01 where reference = 'DEMO-PAID-1'": (
            "payments_total 1000.00, but its payments sum to 1000.01"
        ),
        "delete from payments where reference = 'DEMO-REFUND-1'": "refunds_total 50.00, but its refunds sum to 0",
        "update audit_log set actor = 'nobody' where position = 5": "position 5 of school ID: this entry, or",
        "update audit_log set row_after = '{}' where position = 7": "position 7 of school ID: this entry, or",
        "update audit_log set created_at = created_at - interval '1 day' where position = 9": (
            "position 9 of school ID: this entry, or"
        ),
        "update audit_log set hash = sha256('x') where position = 11": "position 11 of school ID",
        "delete from audit_log where position = 13": "missing",
        "update adjustments set amount = 0.01 where kind = 'CREDIT_NOTE'": (
            "credited_total 120.00, but its credit notes sum to 0.01; discounted_total 0.00"
        ),
        "delete from adjustments where reverses_id is not null": "reversals_total 80.00, but its reversals sum to 0",
        "update adjustments set adjusted_at = '2020-01-01Z' where kind = 'WRITE_OFF'": (
            "adjustment ID of school ID is dated before its invoice: 2020-01-01"
        ),
        "insert into adjustment_lines (school_id, adjustment_id, position, description, amount) "
        "select school_id, id, 1, 'x', 1 from adjustments where kind = 'DISCOUNT'": (
            "total_amount 50.00, but its lines sum to 1.00"
        ),
        f"update payments set paid_at = {tomorrow}, updated_at = {tomorrow} where reference = 'DEMO-PAID-1'": (
            "dated in the future"
        ),
    }
    for statement in changes:
        tamper(books, statement)
    result = command(books, "ledger", "verify", "--limit", "1000")
    assert result.returncode == 1
    found = re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "ID", result.stdout)
    assert [finding for finding in changes.values() if finding not in found] == [], found
    assert "THEY DIFFER" in found
    short = command(books, "ledger", "verify", "--limit", "3").stdout
    assert [text.count("\naudit entry ") for text in (found, short)] == [12, 3]
    assert short.count("payments sum to") == 3 < found.count("payments sum to")


async def test_verify_names_every_closing_that_does_not_agree_with_the_books(books: str) -> None:
    with psycopg.connect(books) as connection:
        for day in ("2026-01-31", "2026-02-28", "2026-03-31"):
            connection.execute("insert into closings (school_id, through) select id, %s from schools", [day])
        connection.execute(
            "update closings set reopened_at = now(), reopen_reason = 'x' where through = '2026-03-31' "
            "and school_id = '01980000-0000-7000-8000-000000000002'"
        )
    assert command(books, "ledger", "verify").returncode == 0
    of_springfield = "school_id = '01980000-0000-7000-8000-000000000001'"
    february = f"{of_springfield} and through = '2026-02-28'"
    for statement, finding in (
        (
            f"update closings set received = received + 1, refunded = refunded + 1 where {february}",
            "through 2026-02-28 of school .* entries come to",
        ),
        (
            f"update closings set received = received - 1, refunded = refunded - 1, audit_hash = sha256('x') "
            f"where {february}",
            "another audit entry",
        ),
        (f"update closings set opens_at = opens_at + interval '1 day' where {february}", "does not begin where"),
        (
            f"update closings set reopened_at = now(), reopen_reason = 'x' where {february}",
            "through 2026-03-31 .* begin",
        ),
        (
            "update payments set amount = amount + 1, paid_at = paid_at - interval '1 hour' "
            "where reference = 'DEMO-PAID-1'",
            "through 2026-01-31",
        ),
    ):
        tamper(books, statement)
        result = command(books, "ledger", "verify")
        assert result.returncode == 1
        assert re.search(f"^closing .*{finding}", result.stdout, re.MULTILINE), result.stdout


def receipt(number: int) -> str:
    """Return the id of a receipt of the demo school Riverside Academy."""
    return f"01980000-0000-7000-8003-00000000{number}"


async def test_verify_names_every_change_of_receipts_and_shares_behind_the_triggers(books: str) -> None:
    tomorrow = "now() + interval '1 day'"
    refund = (
        "insert into receipt_refunds (school_id, receipt_id, amount, refunded_at, updated_at) select school_id, id, "
    )
    for statement in (
        f"update receipts set allocated_total = 1187.95 where id = '{receipt(1001)}'",
        f"{refund} 0.01, received_at, now() from receipts where id = '{receipt(1002)}'",
        f"update receipts set amount = 1188.94, allocated_total = 1188.94 where id = '{receipt(1003)}'",
        f"update receipts set reversed_at = updated_at, reverse_reason = 'x' where id = '{receipt(1004)}'",
        "delete from payments where reverses_id is not null and amount = 348.00",
        "update student_payers set share = 49.9999 where payer_id = '01980000-0000-7000-8002-000000001002'",
        f"update receipts set received_at = {tomorrow}, updated_at = {tomorrow} where id = '{receipt(1054)}'",
        f"update receipts set reversed_at = {tomorrow}, reverse_reason = 'x', updated_at = {tomorrow} "
        f"where id = '{receipt(1055)}'",
        f"{refund} 1, {tomorrow}, {tomorrow} from receipts where id = '{receipt(1053)}'",
        f"{refund} 2, received_at - interval '1 second', now() from receipts where id = '{receipt(1053)}'",
        f"update receipts set received_at = received_at + interval '1 second' where id = '{receipt(1011)}'",
        "update invoices set issued_at = issued_at + interval '60 days' "
        f"where id = (select invoice_id from payments where receipt_id = '{receipt(1012)}')",
        "update payments set paid_at = paid_at + interval '8 days' where id in (select reverses_id from payments)",
    ):
        tamper(books, statement)
    result = command(books, "ledger", "verify", "--limit", "50")
    assert result.returncode == 1
    school = "of school 01980000-0000-7000-8000-000000000002"

    def totals(number: int, amount: str, allocated: str, allocations: str, refunds: str = "0") -> str:
        return (
            f"receipt {receipt(number)} {school}: amount {amount}; allocated_total {allocated}, but its allocations "
            f"sum to {allocations}; refunded_total 0.00, but its refunds sum to {refunds}"
        )

    # The ids of payments and the dates differ in every run.
    found = re.sub(r"(invoice|allocation|refund) [0-9a-f-]{36}|: 20\S+$", r"\1", result.stdout, flags=re.MULTILINE)
    assert sorted(found.splitlines()[:-1]) == sorted(
        [
            f"invoice {school}: payments_total 696.00, but its payments sum to 696.00; "
            "refunds_total 348.00, but its refunds sum to 0",
            totals(1001, "1300.00", "1187.95", "1188.95"),
            totals(1002, "1188.95", "1188.95", "1188.95", "0.01"),
            totals(1003, "1188.94", "1188.94", "1188.95"),
            f"reversed {totals(1004, '1188.95', '1188.95', '1188.95')}",
            f"reversed {totals(1051, '813.50', '0.00', '348.00')}",
            totals(1053, "2000.00", "1627.00", "1627.00", "3.00"),
            f"student 01980000-0000-7000-8002-000000000316 {school}: the shares of the payers sum to 99.9999",
            f"receipt {receipt(1054)} {school} is dated in the future",
            f"receipt {receipt(1055)} {school} is dated in the future",
            f"receipt refund {school} is dated in the future",
            f"receipt refund {school} is dated before its receipt",
            f"allocation {school} is dated before its receipt",
            f"allocation {school} is dated before its invoice",
            f"allocation {school} is dated before the allocation that it takes back",
        ]
    )


async def test_the_head_shows_that_a_chain_was_cut_at_its_end(books: str) -> None:
    before = command(books, "ledger", "verify").stdout.partition("head ")[2]
    ends = "select school_id, max(position) from audit_log group by school_id"
    tamper(books, f"delete from audit_log where (school_id, position) in ({ends})")
    result = command(books, "ledger", "verify")
    assert result.returncode == 0  # verify cannot see this by itself,
    assert result.stdout.partition("head ")[2] != before  # but the head shows it.


async def test_entries_committed_out_of_order_are_all_sealed_once(new_database: Callable[..., str]) -> None:
    url = new_database()
    with psycopg.connect(url) as early, psycopg.connect(url) as late:
        early.execute("insert into schools (id, name) values ('01980000-0000-7000-8000-00000000000a', 'a')")
        late.execute("insert into schools (name) values ('b')")
        late.commit()
        async with Database(Settings(database_url=url)) as database:
            ledger = Ledger(database)
            assert await ledger.seal() == 1
            early.execute("insert into students (school_id, full_name) select id, 'x' from schools where name = 'a'")
            early.commit()
            assert await ledger.seal() == 2
            assert await ledger.differences(5) == []


async def test_parallel_sealers_do_not_break_a_chain(books: str) -> None:
    async with Database(Settings(database_url=books, database_pool_max=8)) as database:
        ledger = Ledger(database)
        for _ in range(5):
            with psycopg.connect(books) as connection:
                connection.execute("update students set full_name = full_name || '.'")
            sealed = await asyncio.gather(*(ledger.seal() for _ in range(6)))
            assert sum(sealed) + await ledger.seal() == 322
        assert await ledger.differences(5) == []
        assert (await ledger.summary()).unsealed_entries == 0


async def test_the_service_answers_503_while_the_database_is_read_only_and_seals_afterwards(books: str) -> None:
    name = books.rpartition("/")[2]
    cut = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and pid <> pg_backend_pid()"
    with psycopg.connect(books, autocommit=True) as connection, serve(books, AUDIT_SEAL_INTERVAL_MS="50") as server:
        admin = server.admin
        connection.execute(f"alter database {name} set default_transaction_read_only = on")
        connection.execute(cut)
        async with httpx.AsyncClient(base_url=server.url, headers=admin) as http:
            problem(await http.post("/schools", json={"name": "x"}), 503, "database_unavailable")
            connection.execute(f"alter database {name} reset default_transaction_read_only")
            connection.execute(cut)
            assert (await http.post("/schools", json={"name": "x"})).status_code == 201
        async with asyncio.timeout(10):
            while connection.execute(UNSEALED).fetchone() != (0,):  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.02)


async def test_the_service_seals_the_audit_trail(books: str) -> None:
    with psycopg.connect(books, autocommit=True) as connection:
        with serve(books, AUDIT_SEAL_INTERVAL_MS="50"):
            connection.execute("update schools set name = name || '.'")
            async with asyncio.timeout(10):
                while connection.execute(UNSEALED).fetchone() != (0,):  # noqa: ASYNC110 - PostgreSQL has no event for it
                    await asyncio.sleep(0.02)
        assert "all agree" in command(books, "ledger", "verify").stdout


async def test_the_overdue_sum_is_by_currency_and_by_the_schools_day(new_database: Callable[..., str]) -> None:
    url = new_database()
    with psycopg.connect(url) as connection:
        for currency, zone, amount, days in (
            ("USD", "UTC", 10, 40), ("USD", "Pacific/Kiritimati", 20, 1), ("EUR", "UTC", 5, 1), ("EUR", "UTC", 7, -3),
        ):  # fmt: skip
            connection.execute(
                """
                with school as (
                  insert into schools (name, currency, time_zone) values ('x', %(currency)s, %(zone)s)
                  returning id, (now() at time zone time_zone)::date as today
                ),
                student as (
                  insert into students (school_id, full_name) select id, 'x' from school returning id, school_id
                )
                insert into invoices (school_id, student_id, total_amount, due_date)
                select student.school_id, student.id, %(amount)s, school.today - %(days)s::int from student, school
                """,
                {"currency": currency, "zone": zone, "amount": amount, "days": days},
            )
    async with Database(Settings(database_url=url)) as database:
        found = {row.currency: str(row.overdue) for row in await Ledger(database).overdue()}
    assert found == {"EUR": "5.00", "USD": "30.00"}  # 10 + 20; 7 is not due yet


async def test_the_metrics_of_the_service_show_debts_and_credit(new_database: Callable[..., str]) -> None:
    with serve(new_database(), OVERDUE_INTERVAL_SECONDS="1") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin) as http:
            school = (await http.post("/schools", json={"name": "x"})).json()
            student = (await http.post("/students", json={"school_id": school["id"], "full_name": "x"})).json()
            body = {"student_id": student["id"], "total_amount": "12.50", "due_date": "2020-01-01"}
            invoice = (await http.post("/invoices", json=body)).json()
            await until_shown(http, 'billing_overdue_amount{currency="USD"} 12.5')
            await http.post("/payments", json={"invoice_id": invoice["id"], "amount": "12.50"})
            await until_shown(http, 'billing_overdue_amount{currency="USD"} 0.0')
            payer = (await http.post("/payers", json={"school_id": school["id"], "name": "x"})).json()
            await http.post("/receipts", json={"payer_id": payer["id"], "amount": "3.50"})
            await http.post("/receipts", json={"school_id": school["id"], "amount": "4.00"})
            await until_shown(http, 'billing_unallocated_amount{currency="USD"} 3.5')
            await until_shown(http, 'billing_unidentified_amount{currency="USD"} 4.0')


async def until_shown(http: httpx.AsyncClient, line: str) -> None:
    async with asyncio.timeout(15):
        while line not in (await http.get("/metrics")).text:  # noqa: ASYNC110 - a metric has no event for it
            await asyncio.sleep(0.1)
