"""Debtors: who owes, the most overdue first."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from school_billing.auth.contracts import Role
from school_billing.platform.web.json_body import decode
from school_billing.platform.web.pages import encode_cursor
from school_billing.statements.contracts import Debtor, PayingDebtor
from tests.api import NOBODY, Api, Json, problem


def day(days_ago: int) -> str:
    return str(datetime.now(ZoneInfo("UTC")).date() - timedelta(days=days_ago))


async def owing(api: Api, school: Json, name: str, amount: str, days_past_due: int) -> Json:
    student = await api.student(school, full_name=name)
    await api.invoice(student, amount, due_date=day(days_past_due))
    return student


async def names(api: Api, school: Json, query: str = "") -> list[str]:
    return [debtor["full_name"] for debtor in await api.get(f"/schools/{school['id']}/debtors{query}")]


async def test_a_debtor_is_shown_with_what_is_owed_and_since_when(api: Api) -> None:
    school = await api.school()
    student = await api.student(school, full_name="Bart", external_id="S-2")
    invoice = await api.invoice(student, "800.00", due_date=day(45))
    await api.pay(invoice, "300.00")
    await api.refund(invoice, "50.00")
    await api.invoice(student, "20.00", due_date=day(0))
    await api.pay(await api.invoice(student, "99.00", due_date=day(400)), "99.00")
    response = await api.client.get(f"/schools/{school['id']}/debtors")
    assert response.json() == [
        {
            "student_id": student["id"],
            "full_name": "Bart",
            "external_id": "S-2",
            "balance_due": "570.00",  # 800.00 - 300.00 + 50.00 + 20.00
            "overdue_total": "550.00",
            "oldest_due_date": day(45),  # what is paid is not owed
            "days_overdue": 45,
            "ageing": {
                "current": "20.00",
                "days_1_30": "0.00",
                "days_31_60": "550.00",
                "days_61_90": "0.00",
                "days_over_90": "0.00",
            },
            "invoices_count": 2,
        }
    ]
    assert decode(response.content, list[Debtor])[0].days_overdue == 45
    assert "link" not in response.headers


async def test_debtors_are_told_what_their_statements_say(api: Api) -> None:
    school = await api.school()
    for number in range(3):
        await owing(api, school, f"Student {number}", f"{number + 1}.00", 30 * number)
    rows = {row["student_id"]: row for row in (await api.get(f"/schools/{school['id']}/statement"))["students"]}
    for debtor in await api.get(f"/schools/{school['id']}/debtors"):
        row = rows.pop(debtor["student_id"])
        assert debtor["balance_due"] == row["balance_due_total"]
        for name in ("full_name", "overdue_total", "ageing", "oldest_due_date", "invoices_count"):
            assert debtor[name] == row[name]
    assert rows == {}


async def test_who_owes_nothing_is_no_debtor(api: Api) -> None:
    school = await api.school()
    assert await names(api, school) == []
    await api.student(school, full_name="Has no invoice")
    await api.pay(await api.invoice(await api.student(school, full_name="Has paid"), "5.00"), "5.00")
    void = await api.invoice(await api.student(school, full_name="Has a void one"), "5.00")
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "x"})
    await api.invoice(await api.student(school, full_name="Has one dated ahead"), issued_at="2990-01-01T00:00:00Z")
    await api.invoice(await api.student(full_name="Is at another school"))
    assert await names(api, school) == []
    await owing(api, school, "Owes a cent", "0.01", 0)
    assert await names(api, school) == ["Owes a cent"]


async def test_the_most_overdue_comes_first_and_then_the_larger_debt(api: Api) -> None:
    school = await api.school()
    await owing(api, school, "tomorrow, 900", "900.00", -1)
    await owing(api, school, "1 day, 5", "5.00", 1)
    await owing(api, school, "1 day, 10", "10.00", 1)
    await owing(api, school, "90 days, 1", "1.00", 90)
    await owing(api, school, "1 day, 5 again", "5.00", 1)
    expected = ["90 days, 1", "1 day, 10", "1 day, 5", "1 day, 5 again", "tomorrow, 900"]
    assert await names(api, school) == expected
    debtors = await api.get(f"/schools/{school['id']}/debtors")
    assert [debtor["days_overdue"] for debtor in debtors] == [90, 1, 1, 1, 0]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_walk_the_debtors_without_gap_or_repeat(api: Api, limit: int) -> None:
    school = await api.school()
    for amount, days in (("5.00", 1), ("5.00", 1), ("5.00", 1), ("4.99", 1), ("7.00", 0), ("1.00", 9), ("1.00", 1000)):
        await owing(api, school, "Lisa", amount, days)
    path: str | None = f"/schools/{school['id']}/debtors?limit={limit}&min_balance=1"
    whole = await api.get(f"/schools/{school['id']}/debtors")
    seen: list[Json] = []
    pages = 0
    while path and pages < 10:
        response = await api.client.get(path)
        seen += response.json()
        pages += 1
        path = response.links.get("next", {}).get("url")
    assert (seen, pages) == (whole, -(-7 // limit))
    assert await api.get(f"/schools/{school['id']}/debtors?limit=2&offset=3") == whole[3:5]


async def test_a_page_goes_on_where_the_one_before_ended_while_debts_are_paid(api: Api) -> None:
    school = await api.school()
    invoices = [
        await api.invoice(await api.student(school, full_name=str(days)), "5.00", due_date=day(days))
        for days in (9, 8, 7, 6)
    ]
    first = await api.client.get(f"/schools/{school['id']}/debtors?limit=2")
    await api.pay(invoices[1], "5.00")  # the one behind which the second page begins
    second = await api.client.get(first.links["next"]["url"])
    assert [debtor["full_name"] for debtor in first.json() + second.json()] == ["9", "8", "7", "6"]


async def test_filters_choose_by_days_and_by_balance(api: Api) -> None:
    school = await api.school()
    await owing(api, school, "31 days, 10", "10.00", 31)
    await owing(api, school, "30 days, 20", "20.00", 30)
    await owing(api, school, "today, 30", "30.00", 0)
    assert await names(api, school, "?min_overdue_days=0") == ["31 days, 10", "30 days, 20", "today, 30"]
    assert await names(api, school, "?min_overdue_days=1") == ["31 days, 10", "30 days, 20"]
    assert await names(api, school, "?min_overdue_days=31") == ["31 days, 10"]
    assert await names(api, school, "?min_overdue_days=32") == []
    assert await names(api, school, "?min_balance=20") == ["30 days, 20", "today, 30"]
    assert await names(api, school, "?min_balance=20.01") == ["today, 30"]
    assert await names(api, school, "?min_balance=10.01&min_overdue_days=30") == ["30 days, 20"]


async def test_the_list_of_last_month_can_be_made_again(api: Api) -> None:
    school = await api.school(time_zone="America/New_York", currency="EUR")
    bart, lisa = await api.student(school, full_name="=Bart", external_id="S-1"), await api.student(school)
    await api.invoice(await api.student(), "9.00", issued_at="2026-01-05T12:00:00Z")
    tuition = await api.invoice(bart, "100.00", due_date="2026-01-31", issued_at="2026-01-05T12:00:00Z")
    await api.invoice(bart, "5.00", due_date="2026-02-28", issued_at="2026-02-05T12:00:00Z")
    wrong = await api.invoice(lisa, "40.00", due_date="2026-01-10", issued_at="2026-01-05T12:00:00Z")
    path = f"/schools/{school['id']}/debtors"
    # 04:59 UTC on 1 March is the last minute of February in New York.
    await api.pay(tuition, "60.00", paid_at="2026-03-01T04:59:00Z")
    await api.pay(tuition, "40.00", paid_at="2026-03-01T05:00:00Z")
    await api.client.post(f"/invoices/{wrong['id']}/void", json={"reason": "Entered twice"})

    async def owed(query: str) -> list[tuple[object, ...]]:
        names = ("full_name", "balance_due", "overdue_total", "oldest_due_date", "days_overdue")
        return [tuple(row[name] for name in names) for row in await api.get(f"{path}{query}")]

    lisas = ("Lisa Simpson", "40.00", "40.00", "2026-01-10")
    assert await owed("") == [("=Bart", "5.00", "5.00", "2026-02-28", *[row[4] for row in await owed("")])]
    assert await owed("?as_of=2026-02-28") == [
        (*lisas, 49), ("=Bart", "45.00", "40.00", "2026-01-31", 28),  # 100.00 + 5.00 - 60.00
    ]  # fmt: skip
    assert await owed("?as_of=2026-03-01T05:00:00Z") == [(*lisas, 50), ("=Bart", "5.00", "5.00", "2026-02-28", 1)]
    assert await owed("?as_of=2026-02-28&min_overdue_days=29") == [(*lisas, 49)]
    assert await owed("?as_of=2026-01-04") == []
    first = await api.client.get(f"{path}?as_of=2026-02-28&limit=1")
    second = await api.client.get(first.links["next"]["url"])
    assert first.json() + second.json() == await api.get(f"{path}?as_of=2026-02-28")
    rows = {
        row["student_id"]: row
        for row in (await api.get(f"/schools/{school['id']}/statement?as_of=2026-02-28"))["students"]
    }
    for debtor in await api.get(f"{path}?as_of=2026-02-28"):
        row = rows[debtor["student_id"]]
        assert (debtor["balance_due"], debtor["ageing"]) == (row["balance_due_total"], row["ageing"])

    table = await api.client.get(f"{path}.csv?as_of=2026-02-28")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    name = f"debtors-springfield-elementary-{school['id'].replace('-', '')[-12:]}-2026-02-28.csv"
    assert table.headers["content-disposition"] == f'attachment; filename="{name}"'
    head, *lines = csv.reader(io.StringIO(table.text, newline=""))
    assert head == [
        "student_id", "full_name", "external_id", "balance_due", "overdue_total", "oldest_due_date", "days_overdue",
        "invoices_count", "current", "days_1_30", "days_31_60", "days_61_90", "days_over_90", "currency",
    ]  # fmt: skip
    assert [line[0] for line in lines] == [lisa["id"], bart["id"]]
    assert lines[1][1:] == [
        "'=Bart", "S-1", "45.00", "40.00", "2026-01-31", "28", "2", "5.00", "40.00", "0.00", "0.00", "0.00", "EUR",
    ]  # fmt: skip
    assert (await api.client.get(f"{path}.csv?min_balance=9000")).text == ",".join(head) + "\r\n"
    problem(await api.client.get(f"/schools/{NOBODY}/debtors.csv"), 404, "school_not_found")


async def test_days_overdue_are_days_of_the_school(api: Api) -> None:
    # Kiritimati is UTC+14 and Niue UTC-11: at every moment their dates differ.
    for zone in ("Pacific/Kiritimati", "UTC", "Pacific/Niue"):
        school = await api.school(time_zone=zone)
        today = datetime.now(ZoneInfo(zone)).date()
        for days in (0, 1):
            await api.invoice(
                await api.student(school, full_name=str(days)), due_date=str(today - timedelta(days=days))
            )
        debtors = await api.get(f"/schools/{school['id']}/debtors")
        assert [(debtor["full_name"], debtor["days_overdue"]) for debtor in debtors] == [("1", 1), ("0", 0)]
        assert [debtor["overdue_total"] for debtor in debtors] == ["100.00", "0.00"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"), ("limit=501", "limit"), ("offset=-1", "offset"),
        ("min_overdue_days=-1", "min_overdue_days"), ("min_overdue_days=500001", "min_overdue_days"),
        ("min_overdue_days=x", "min_overdue_days"),
        ("min_balance=-1", "min_balance"), ("min_balance=0", "min_balance"), ("min_balance=1.001", "min_balance"),
        ("min_balance=NaN", "min_balance"), ("min_balance=1e3", "min_balance"), ("min_balance=null", "min_balance"),
        ("cursor=x", "cursor"), ("cursor=", "cursor"), (f"cursor={encode_cursor(bytes(16))}", "cursor"),
        (f"cursor={encode_cursor(bytes(29))}", "cursor"), (f"cursor={encode_cursor(b'a' * 29)}", "cursor"),
        (f"cursor={encode_cursor(b'a' * 40)}", "cursor"),
        (f"offset=1&cursor={encode_cursor((700_000).to_bytes(3) + bytes(26))}", "offset"),
        ("as_of=2026-01-32", "as_of"), ("as_of=2026-01-01T00:00:00", "as_of"), ("as_of=null", "as_of"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_a_400_that_names_the_parameter(api: Api, query: str, name: str) -> None:
    school = await api.school()
    refusal = problem(await api.client.get(f"/schools/{school['id']}/debtors?{query}"), 400, "invalid_parameter")
    assert [error["field"] for error in refusal["errors"]] == [name]


async def test_a_cursor_from_nowhere_finds_nothing_that_is_another_schools(api: Api) -> None:
    school, other = await api.school(), await api.school()
    await owing(api, school, "Lisa", "5.00", 1)
    await owing(api, other, "Bart", "5.00", 1)
    await owing(api, other, "Milhouse", "5.00", 0)
    link = (await api.client.get(f"/schools/{other['id']}/debtors?limit=1")).links["next"]["url"]
    cursor = link.partition("cursor=")[2]
    assert await names(api, school, f"?cursor={cursor}") == []


async def test_payers_owe_for_all_their_students_together(api: Api, make_client: Callable[..., Any]) -> None:
    school, other = await api.school(), await api.school()
    marge = await api.payer(school, name="Marge", external_id="P-1")
    abe = await api.payer(school, name="Abe")
    for name, amount, days, payer in (
        ("Bart", "100.00", 45, marge),
        ("Lisa", "50.00", 10, marge),
        ("Bart", "70.00", 60, abe),
        ("Nelson", "5.00", 90, None),  # owed by no payer
    ):
        student = await api.student(school, full_name=name)
        await api.invoice(student, amount, due_date=day(days), payer_id=payer and payer["id"])
    paid = await api.invoice(await api.student(school), "9.00", due_date=day(99), payer_id=abe["id"])
    await api.pay(paid, "9.00")
    for payer, amount in ((marge, "30.00"), (abe, "1.00"), (await api.payer(school, name="Ned"), "8.00")):
        await api.receipt(payer, amount, allocate="none")
    await api.invoice(
        await api.student(other), "3.00", due_date=day(50), payer_id=(await api.payer(other, name="Ned"))["id"]
    )

    path = f"/schools/{school['id']}/debtors"
    response = await api.client.get(f"{path}?by=payer")
    first, second = response.json()
    assert [one.name for one in decode(response.content, list[PayingDebtor])] == ["Abe", "Marge"]
    assert second == {
        "payer_id": marge["id"],
        "name": "Marge",
        "external_id": "P-1",
        "balance_due": "150.00",
        "unallocated": "30.00",
        "overdue_total": "150.00",
        "oldest_due_date": day(45),
        "days_overdue": 45,
        "ageing": {
            "current": "0.00",
            "days_1_30": "50.00",
            "days_31_60": "100.00",
            "days_61_90": "0.00",
            "days_over_90": "0.00",
        },
        "invoices_count": 2,
    }
    assert (first["balance_due"], first["unallocated"]) == ("70.00", "1.00")
    assert len(await api.get(path)) == len(await api.get(f"{path}?by=student")) == 4

    page = await api.client.get(f"{path}?by=payer&limit=1")
    assert page.json() == [first]
    following = await api.client.get(page.links["next"]["url"])
    assert following.json() == [second]
    assert "next" not in following.links
    assert await api.get(f"{path}?by=payer&min_balance=100.00") == [second]
    then = await api.get(f"{path}?by=payer&as_of={datetime.now(UTC).isoformat().replace('+00:00', 'Z')}")
    assert then == [first, second]
    assert await api.get(f"{path}?by=payer&as_of={day(1)}") == []

    rows = list(csv.DictReader(io.StringIO((await api.client.get(f"{path}.csv?by=payer")).text)))
    assert [(row["name"], row["unallocated"], row["balance_due"], row["days_31_60"]) for row in rows] == [
        ("Abe", "1.00", "70.00", "70.00"),
        ("Marge", "30.00", "150.00", "100.00"),
    ]
    async with make_client(Role.VIEWER, other["id"]) as theirs:
        problem(await theirs.get(f"{path}?by=payer"), 404, "school_not_found")
        assert [one["name"] for one in (await theirs.get(f"/schools/{other['id']}/debtors?by=payer")).json()] == ["Ned"]


async def test_debtors_are_seen_by_their_own_school_alone(api: Api, make_client: Callable[..., Any]) -> None:
    school, other = await api.school(), await api.school()
    await owing(api, school, "Lisa", "5.00", 1)
    async with make_client(Role.VIEWER, other["id"]) as theirs, make_client(Role.VIEWER, school["id"]) as ours:
        problem(await theirs.get(f"/schools/{school['id']}/debtors"), 404, "school_not_found")
        assert (await theirs.get(f"/schools/{other['id']}/debtors")).json() == []
        assert len((await ours.get(f"/schools/{school['id']}/debtors")).json()) == 1


async def test_a_school_that_does_not_exist_is_404(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"/schools/{NOBODY}/debtors"), 404, "school_not_found")
