"""What the database refuses, whoever writes: here a person at psql."""

from typing import Any

import asyncpg
import pytest

from school_billing.platform.web.types import HIDDEN, Text
from tests.api import Api, Json

Connection = Any


@pytest.fixture
async def invoice(api: Api) -> Json:
    return await api.invoice(total="100.00")


async def refused(psql: Connection, statement: str, *arguments: object) -> str:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as error:
        await psql.execute(statement, *arguments)
    return str(error.value.constraint_name)


async def test_the_totals_follow_what_is_written_by_hand(psql: Connection, invoice: Json, api: Api) -> None:
    async def totals() -> tuple[str, str, str]:
        now = await api.reload(invoice)
        return now["payments_total"], now["refunds_total"], now["balance_due"]

    await psql.execute(
        "insert into payments (school_id, invoice_id, kind, amount) "
        "values ($1, $2, 'PAYMENT', 60), ($1, $2, 'PAYMENT', 40), ($1, $2, 'REFUND', 30)",
        *(invoice["school_id"], invoice["id"]),
    )
    assert await totals() == ("100.00", "30.00", "30.00")  # 60 + 40; 100 - 100 + 30
    await psql.execute("update payments set amount = 55 where invoice_id = $1 and amount = 60", invoice["id"])
    assert await totals() == ("95.00", "30.00", "35.00")
    turn = "update payments set kind = 'REFUND' where invoice_id = $1 and amount = 40"
    assert await refused(psql, turn, invoice["id"]) == "payments_kind_is_fixed"
    await psql.execute("delete from payments where invoice_id = $1 and kind = 'REFUND'", invoice["id"])
    await psql.execute("delete from payments where invoice_id = $1 and amount = 40", invoice["id"])
    assert await totals() == ("55.00", "0.00", "45.00")


@pytest.mark.parametrize(
    "assignment",
    ["payments_total = 10", "refunds_total = 10, payments_total = 10", "payments_total = 10, description = 'x'"],
)
async def test_a_total_is_not_written_by_hand(psql: Connection, invoice: Json, api: Api, assignment: str) -> None:
    update = f"update invoices set {assignment} where id = $1"
    assert await refused(psql, update, invoice["id"]) == "invoices_totals_follow_payments"
    assert await api.reload(invoice) == invoice


async def test_an_invoice_cannot_begin_with_totals(psql: Connection, invoice: Json) -> None:
    insert = """
        insert into invoices (school_id, student_id, total_amount, due_date, payments_total)
        values ($1, $2, 10, '2026-01-01', 5)
    """
    name = await refused(psql, insert, invoice["school_id"], invoice["student_id"])
    assert name == "invoices_totals_follow_payments"


async def test_a_statement_that_overpays_in_one_of_its_rows_does_nothing(
    psql: Connection, invoice: Json, api: Api
) -> None:
    insert = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 70), ($1, $2, 31), ($1, $2, 1)"
    name = await refused(psql, insert, invoice["school_id"], invoice["id"])
    assert name == "invoices_paid_at_most_total"
    assert await api.get(f"/invoices/{invoice['id']}/payments") == []
    assert await api.reload(invoice) == invoice


async def test_a_conflict_that_inserts_nothing_moves_no_totals(psql: Connection, invoice: Json, api: Api) -> None:
    payment = await api.pay(invoice, "10.00")
    insert = "insert into payments (id, school_id, invoice_id, amount) values ($1, $2, $3, 10) on conflict do nothing"
    await psql.execute(insert, payment["id"], invoice["school_id"], invoice["id"])
    assert (await api.reload(invoice))["paid_total"] == "10.00"


async def test_a_payment_stays_in_its_school(psql: Connection, invoice: Json, api: Api) -> None:
    payment, other = await api.pay(invoice, "10.00"), await api.invoice()
    move = "update payments set school_id = $2, invoice_id = $3 where id = $1"
    assert await refused(psql, move, payment["id"], other["school_id"], other["id"]) == "school_id_is_fixed"


@pytest.mark.parametrize("table", ["schools", "students", "invoices", "payments"])
async def test_a_row_changed_by_hand_is_of_a_new_version(psql: Connection, api: Api, table: str) -> None:
    payment = await api.pay(await api.invoice(), "10.00")
    invoice = await api.get(f"/invoices/{payment['invoice_id']}")
    ids = {"schools": payment["school_id"], "students": invoice["student_id"], "invoices": invoice["id"]}
    path = f"/{table}/{ids.get(table, payment['id'])}"
    before = await api.client.get(path)
    column = {"schools": "name", "students": "full_name", "invoices": "description", "payments": "reference"}[table]
    # Whatever the clock says, and even if somebody sets it: the version only grows.
    await psql.execute(
        f"update {table} set {column} = 'by hand', updated_at = '2020-01-01Z' where id = $1", path.split("/")[2]
    )
    after = await api.client.get(path)
    assert after.headers["etag"] != before.headers["etag"]
    assert after.json()["updated_at"] > before.json()["updated_at"]
    stale = await api.client.delete(path, headers={"If-Match": before.headers["etag"]})
    assert stale.status_code == 412


async def test_a_row_cannot_point_into_another_school(psql: Connection, invoice: Json, api: Api) -> None:
    other = await api.school()
    insert = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 10)"
    assert await refused(psql, insert, other["id"], invoice["id"]) == "payments_invoice_id_fkey"
    insert = "insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, 10, '2026-01-01')"
    assert await refused(psql, insert, other["id"], invoice["student_id"]) == "invoices_student_id_fkey"


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("schools set name = {}", "schools_name_plain"),
        ("students set full_name = {}", "students_full_name_plain"),
        ("students set external_id = {}", "students_external_id_plain"),
        ("invoices set description = {}", "invoices_description_plain"),
        ("invoices set void_reason = {}, voided_at = now()", "invoices_void_reason_plain"),
        ("payments set method = {}", "payments_method_plain"),
        ("payments set reference = {}", "payments_reference_plain"),
        ("api_keys set name = {}", "api_keys_name_plain"),
    ],
)
async def test_a_text_can_be_seen_whoever_writes_it(
    psql: Connection, invoice: Json, api: Api, assignment: str, constraint: str
) -> None:
    payment = await api.pay(invoice, "1.00")
    await api.client.delete(f"/payments/{payment['id']}") if "void" in assignment else None
    key = {"name": invoice["id"], "role": "viewer", "school_id": invoice["school_id"]}
    assert (await api.client.post("/api-keys", json=key)).status_code == 201
    table = assignment.partition(" ")[0]
    update = f"update {assignment.format('$2')} where {'id' if table == 'schools' else 'school_id'} = $1"
    lines = [] if table == "invoices" else ["a\nb"]
    for text in ("\u200b", "a\u202eb", "a\ab", " a", "Li\u200csa", "\ufe0fa", *lines):
        assert await refused(psql, update, invoice["school_id"], text) == constraint
    assert await psql.execute(update, invoice["school_id"], "नि\u200cक") == "UPDATE 1"


async def test_the_api_and_the_database_refuse_the_same_characters(psql: Connection) -> None:
    numbers = [*range(11, 0xD800), *range(0xE000, 0x10000), *range(0x1BC9F, 0x1BCA5), *range(0xDFFFE, 0xE01F1)]
    query = "select array_agg(number) from unnest($1::int[]) as number where not is_plain_text(format($2, chr(number)))"
    for form in ("a%sb", "\u0645%s\u0645", "%sb", "a%s"):
        texts = {number: form.replace("%s", chr(number)) for number in numbers}
        # What the API trims, or turns into a blank, it need not refuse.
        tidy = [number for number, text in texts.items() if Text.tidy(text) == text]
        refused = {number for number in tidy if HIDDEN.search(texts[number])}
        assert set(await psql.fetchval(query, tidy, form)) == refused, form


async def test_a_method_is_lower_case_words_whoever_writes_it(psql: Connection, invoice: Json, api: Api) -> None:
    payment = await api.pay(invoice, "1.00", method="Bank Transfer")
    for method in ("Bank transfer", "bank transfer", "bank-transfer"):
        update = "update payments set method = $2 where id = $1"
        assert await refused(psql, update, payment["id"], method) == "payments_method_plain"


@pytest.mark.parametrize("amount", ["'NaN'", "0", "-1"])
async def test_an_amount_is_a_number_above_zero(psql: Connection, invoice: Json, amount: str) -> None:
    insert = f"insert into payments (school_id, invoice_id, amount) values ($1, $2, {amount})"
    assert await refused(psql, insert, invoice["school_id"], invoice["id"]) == "payments_amount_positive"
    insert = f"""
        insert into invoices (school_id, student_id, total_amount, due_date) values ($1, $2, {amount}, '2026-01-01')
    """
    name = await refused(psql, insert, invoice["school_id"], invoice["student_id"])
    assert name in {"invoices_total_amount_positive", "invoices_paid_at_most_total"}


async def test_the_decimals_of_a_currency_bind_every_writer(psql: Connection, api: Api) -> None:
    for currency in ("KWD", "CLF", "XAU", "XXX"):
        add = f"insert into schools (name, currency) values ('x', '{currency}')"
        assert await refused(psql, add) == "schools_currency_fits_the_books"
    invoice = await api.invoice(await api.student(await api.school(currency="JPY")), "100")
    ids = invoice["school_id"], invoice["id"]
    pay = "insert into payments (school_id, invoice_id, amount) values ($1, $2, 10), ($1, $2, 0.5), ($1, $2, 0.5)"
    assert await refused(psql, pay, *ids) == "amounts_fit_the_currency"
    raised = "update invoices set total_amount = 100.01 where school_id = $1 and id = $2"
    assert await refused(psql, raised, *ids) == "amounts_fit_the_currency"
    other = "update schools set currency = 'EUR' where id = $1"
    assert await refused(psql, other, invoice["school_id"]) == "schools_currency_is_fixed"
    assert await api.reload(invoice) == invoice


async def test_a_zone_that_postgresql_does_not_know_is_refused(psql: Connection) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await psql.execute("insert into schools (name, time_zone) values ('x', 'Mars/Olympus')")


async def test_ids_are_version_7_and_grow(api: Api) -> None:
    school = await api.school()
    ids = [(await api.student(school))["id"] for _ in range(5)]
    assert ids == sorted(ids)
    assert {identifier[14] for identifier in ids} == {"7"}
