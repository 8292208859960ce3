"""A plan is previewed for each student, and its commit bills exactly that, once."""

from collections import defaultdict
from decimal import Decimal

import psycopg
import pytest

from tests.api import NOBODY, Api, Json, problem, wrong_fields
from tests.integration.statements.test_workbooks import sheet_of

SIBLING = {"kind": "sibling", "percent": "10", "categories": ["tuition"]}
MONTHS = [f"2026-{month}-15" for month in ("10", "11", "12")]


async def invoices_of(api: Api, student: Json, *, void: bool = False) -> list[Json]:
    listed = await api.get(f"/students/{student['id']}/invoices?limit=500")
    return [await api.reload(one) for one in listed if (one["status"] == "VOID") == void]


def lines_of(row: Json) -> list[tuple[str, str]]:
    return [(line["category"], line["amount"]) for line in row["lines"]]


async def test_a_plan_is_previewed_and_its_commit_makes_exactly_that(api: Api) -> None:
    school = await api.school(invoice_prefix="RUN", currency="EUR", time_zone="Europe/Madrid")
    lisa, bart = (
        await api.student(school, group_name="2A"),
        await api.student(school, full_name="Bart", group_name="4B"),
    )
    other = await api.student(await api.school())
    marge, homer = await api.payer(school), await api.payer(school, name="Homer")
    await api.set_payers(lisa, {marge["id"]: "50", homer["id"]: "50"})
    plan = await api.plan(school, ("tuition", "300.00"), ("meals", "0.05"))
    run = await api.preview(plan, due_dates=MONTHS)
    assert (run["status"], run["counts"]) == ("PREVIEW", {"will_create": 2})
    assert run["totals"] == [{"category": "meals", "amount": "0.10"}, {"category": "tuition", "amount": "600.00"}]
    assert (run["total_amount"], run["invoices_count"]) == ("600.10", 9)  # Two payers and one, three instalments each.
    rows = await api.rows(run)
    assert set(rows) == {lisa["id"], bart["id"]}
    assert lines_of(rows[lisa["id"]]) == [("tuition", "300.00"), ("meals", "0.05")]
    # 300.05 is 150.03 and 150.02; these are 50.01 three times, and 50.01, 50.01, 50.00.
    halves = defaultdict(list)
    for invoice in rows[lisa["id"]]["invoices"]:
        halves[invoice["payer_id"]].append(invoice["amount"])
    assert sorted(halves.values()) == [["50.01", "50.01", "50.00"], ["50.01", "50.01", "50.01"]]
    # 300.05 is 100.02, 100.02 and 100.01; he has no payer and pays for himself.
    assert [one["amount"] for one in rows[bart["id"]]["invoices"]] == ["100.02", "100.02", "100.01"]
    assert {one["payer_id"] for one in rows[bart["id"]]["invoices"]} == {None}
    assert await invoices_of(api, lisa) == []

    committed = await api.commit(run)
    assert (committed["status"], committed["counts"]) == ("COMMITTED", {"created": 2})
    assert committed["totals"] == run["totals"]
    for student, row in rows.items():
        made = await invoices_of(api, {"id": student})
        planned = [(one["payer_id"], one["due_date"], one["amount"]) for one in row["invoices"]]
        assert sorted(((one["payer_id"], one["due_date"], one["total_amount"]) for one in made), key=str) == sorted(
            planned, key=str
        )
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for invoice in made:
            assert invoice["issued_at"] == "2026-08-31T22:00:00Z"
            assert sum(Decimal(line["amount"]) for line in invoice["lines"]) == Decimal(invoice["total_amount"])
            for line in invoice["lines"]:
                sums[line["category"]] += Decimal(line["amount"])
        assert sums == {"tuition": Decimal("300.00"), "meals": Decimal("0.05")}
    numbers = [one["number"][-6:] for one in await api.get(f"/invoices?school_id={school['id']}")]
    assert numbers == [f"{number:06}" for number in range(1, 10)]
    assert (await api.get(f"/invoices?billing_run_id={run['id']}&due_to={MONTHS[0]}&count=true"))[0]["description"] == (
        "Term, T1 (1/3)"
    )
    # The next invoice has the next number, and the other school has nothing.
    assert (await api.invoice(lisa))["number"].endswith("-000010")
    assert await invoices_of(api, other) == []
    # Committed again, it answers the same, also with the tag of the preview.
    assert await api.commit(run) == committed
    # The same plan and period again: everybody has been billed.
    again = await api.preview(plan, due_dates=MONTHS)
    assert (again["counts"], again["total_amount"]) == ({"already_billed": 2}, "0.00")
    assert (await api.commit(again))["counts"] == {"already_billed": 2}
    # Another plan in the same period, and another period of the plan, are other things.
    trip = await api.plan(school, ("trip", "20.00"), name="Trip")
    assert (await api.commit(await api.preview(trip, group="2A")))["counts"] == {"created": 1}
    assert (await api.preview(plan, "T2"))["counts"] == {"will_create": 2}


async def test_discounts_are_lines_of_their_own_and_never_take_more_than_there_is(api: Api) -> None:
    school = await api.school()
    rules = [
        SIBLING | {"from_rank": 2},
        SIBLING | {"from_rank": 3, "percent": "20", "description": "Third child"},
        {"kind": "percentage", "percent": "5", "categories": ["tuition", "meals"]},
        {"kind": "fixed", "amount": "7.00", "categories": ["books"], "description": "Book voucher"},
    ]
    plan = await api.plan(school, ("tuition", "100.00"), ("meals", "40.00"), ("books", "5.00"), rules=rules)
    eldest, second, third = [await api.student(school, full_name=name) for name in ("A", "B", "C")]
    alone, scholar = await api.student(school, full_name="D"), await api.student(school, full_name="E")
    marge, foundation = await api.payer(school), await api.payer(school, kind="ORGANISATION")
    for one in (eldest, second, third):
        await api.set_payers(one, {marge["id"]: "100"})
    # A foundation that pays for both makes no siblings of them.
    for one in (alone, scholar):
        await api.set_payers(one, {foundation["id"]: "100"})
    merit = await api.award(scholar, percent="60", categories=["tuition"], description="Merit")
    await api.award(scholar, percent="60", categories=["tuition"], description="Need")
    await api.award(scholar, amount="1000.00", valid_to="2026-08-31")  # Over on the day of issue.
    await api.award(alone, amount="1000.00", description="Everything")
    rows = await api.rows(await api.preview(plan))
    five = ("discount", "-7.00")  # 5 % of 140.00
    # The voucher of 7.00 takes what the books cost.
    assert [lines_of(rows[one["id"]])[3:] for one in (eldest, second, third)] == [
        [five, ("discount", "-5.00")],
        [("discount", "-10.00"), five, ("discount", "-5.00")],
        [("discount", "-20.00"), five, ("discount", "-5.00")],
    ]
    assert [rows[one["id"]]["sibling_rank"] for one in (eldest, second, third, alone, scholar)] == [1, 2, 3, 1, 1]
    assert rows[third["id"]]["lines"][3] == {
        "description": "Third child", "category": "discount", "amount": "-20.00",
        "base": "100.00", "percent": "20.0000", "sibling_rank": 3,
    }  # fmt: skip
    # Both awards take 60.00 of the 100.00, of which the 5 % left 95.00: the second gets 35.00, and the meals stay.
    assert lines_of(rows[scholar["id"]])[3:] == [five, ("discount", "-5.00"), ("award", "-60.00"), ("award", "-35.00")]
    assert [line.get("cut") for line in rows[scholar["id"]]["lines"][5:]] == [None, "25.00"]
    assert rows[scholar["id"]]["lines"][5]["award_id"] == merit["id"]
    assert (rows[scholar["id"]]["discounts_total"], rows[scholar["id"]]["total_amount"]) == ("-107.00", "38.00")
    # Nothing is left, and no invoice is of 0.00.
    assert (rows[alone["id"]]["verdict"], rows[alone["id"]]["reason"]) == ("skipped", "nothing_to_bill")
    assert (rows[alone["id"]]["total_amount"], rows[alone["id"]]["invoices"]) == ("0.00", [])


async def test_a_sibling_who_joins_or_leaves_changes_later_runs_and_no_earlier_one(api: Api) -> None:
    school = await api.school()
    plan = await api.plan(school, ("tuition", "100.00"), rules=[SIBLING])
    marge = await api.payer(school)
    lisa, maggie = await api.student(school), await api.student(school, full_name="Maggie")
    for child in (lisa, maggie):
        await api.set_payers(child, {marge["id"]: "100"})
    first = await api.preview(plan)
    await api.commit(first)
    before = await api.rows(first)
    assert [before[one["id"]]["total_amount"] for one in (lisa, maggie)] == ["100.00", "90.00"]
    # The eldest leaves: the second is the eldest now. What was billed stays, with its rank.
    await api.client.patch(f"/students/{lisa['id']}", json={"left_on": "2026-09-01"})
    second = await api.rows(await api.preview(plan, "T2"))
    assert (second[lisa["id"]]["verdict"], second[lisa["id"]]["reason"]) == ("skipped", "left")
    assert second[maggie["id"]]["total_amount"] == "100.00"
    assert await api.rows(first) == before
    assert [one["total_amount"] for one in await invoices_of(api, maggie)] == ["90.00"]
    # On the day before, she was still there.
    earlier = await api.rows(await api.preview(plan, "T3", issued_at="2026-08-31"))
    assert [earlier[one["id"]]["total_amount"] for one in (lisa, maggie)] == ["100.00", "90.00"]


@pytest.mark.parametrize("all_or_nothing", [False, True])
async def test_a_student_who_changed_since_the_preview_is_not_billed(api: Api, *, all_or_nothing: bool) -> None:
    school = await api.school()
    plan = await api.plan(school, ("tuition", "100.00"), rules=[SIBLING])
    same, awarded, shared, left, moved, sibling = [
        await api.student(school, full_name=name, group_name="1A") for name in "ABCDEF"
    ]
    marge = await api.payer(school)
    await api.set_payers(sibling, {marge["id"]: "100"})
    run = await api.preview(plan, group="1A")
    await api.award(awarded, percent="10")
    await api.set_payers(shared, {(await api.payer(school))["id"]: "100"})
    await api.client.patch(f"/students/{left['id']}", json={"left_on": "2026-08-01"})
    await api.client.patch(f"/students/{moved['id']}", json={"group_name": "1B"})
    # A sibling joins who was added before: the rank of the other changes.
    await api.set_payers(same, {marge["id"]: "100"})
    newcomer = await api.student(school, full_name="G", group_name="1A")
    response = await api.client.post(f"/billing-runs/{run['id']}/commit", json={"all_or_nothing": all_or_nothing})
    if all_or_nothing:
        problem(response, 412, "students_changed")
        assert (await api.get(f"/billing-runs/{run['id']}"))["status"] == "PREVIEW"
        assert await api.get(f"/invoices?school_id={school['id']}") == []
    else:
        assert response.json()["counts"] == {"changed": 6}  # Of the first, the payer changed, too.
        rows = await api.rows(run)
        assert {rows[one["id"]]["verdict"] for one in (same, awarded, shared, left, moved, sibling)} == {"changed"}
        assert newcomer["id"] not in rows
        assert (response.json()["total_amount"], response.json()["invoices_count"]) == ("0.00", 0)
    again = await api.preview(plan, group="1A")
    assert (await api.commit(again, all_or_nothing=True))["counts"] == {"created": 5, "skipped": 1}


async def test_a_new_version_of_the_plan_changes_a_preview_and_nothing_that_was_billed(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    plan = await api.plan(school, ("tuition", "100.00"))
    billed = await api.preview(plan)
    await api.commit(billed)
    waiting = await api.preview(plan, "T2")
    response = await api.client.patch(f"/fee-plans/{plan['id']}", json={"rules": [{"kind": "fixed", "amount": "1.00"}]})
    assert (response.json()["version"], response.json()["items"]) == (2, plan["items"])
    committed = await api.commit(waiting)
    assert (committed["plan_version"], committed["counts"]) == (1, {"changed": 1})
    assert (await api.preview(plan, "T2"))["plan_version"] == 2
    assert [one["total_amount"] for one in await invoices_of(api, student)] == ["100.00"]
    problem(await api.client.delete(f"/fee-plans/{plan['id']}"), 409, "in_use")
    problem(await api.client.delete(f"/students/{student['id']}"), 409, "in_use")


async def test_what_a_run_bills_is_reverted_but_for_what_was_paid(api: Api) -> None:
    school = await api.school()
    lisa, bart = await api.student(school), await api.student(school, full_name="Bart")
    plan = await api.plan(school, ("tuition", "100.00"))
    run = await api.preview(plan, due_dates=MONTHS[:2])
    path = f"/billing-runs/{run['id']}"
    problem(await api.client.post(f"{path}/revert", json={"reason": "x"}), 409, "billing_run_not_committed")
    await api.commit(run)
    problem(await api.client.post(f"{path}/abandon"), 409, "billing_run_committed")
    paid, refunded = (await invoices_of(api, lisa))[0], (await invoices_of(api, bart))[0]
    await api.pay(paid, "1.00")
    await api.pay(refunded, "2.00")
    await api.refund(refunded, "2.00")
    reverted = (await api.client.post(f"{path}/revert", json={"reason": "Wrong year"})).json()
    assert [reverted[name] for name in ("status", "revert_reason", "voided_count", "kept_count")] == [
        "REVERTED", "Wrong year", 2, 2,
    ]  # fmt: skip
    kept = {one["invoice_id"]: (one["full_name"], one["paid_total"], one["balance_due"]) for one in reverted["kept"]}
    assert kept == {
        paid["id"]: ("Lisa Simpson", "1.00", "49.00"), refunded["id"]: ("Bart", "0.00", "50.00")
    }  # fmt: skip
    assert [one["void_reason"] for one in await invoices_of(api, lisa, void=True)] == ["Wrong year"]
    # Lisa and Bart still have an invoice of the plan and period. Without it, they can be billed again.
    assert (await api.preview(plan))["counts"] == {"already_billed": 2}
    await api.client.post(f"/invoices/{refunded['id']}/void", json={"reason": "x"})
    again = await api.preview(plan)
    assert again["counts"] == {"already_billed": 1, "will_create": 1}
    assert (await api.commit(again))["counts"] == {"already_billed": 1, "created": 1}
    # A second request has nothing to void, and the run is not committed again.
    assert (await api.client.post(f"{path}/revert", json={"reason": "x"})).json()["kept_count"] == 1
    assert (await api.commit(run))["status"] == "REVERTED"


async def test_an_abandoned_run_bills_nobody_and_keeps_no_student(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    plan = await api.plan(school, ("tuition", "100.00"))
    run = await api.preview(plan)
    problem(await api.client.delete(f"/students/{student['id']}"), 409, "in_use")
    path = f"/billing-runs/{run['id']}"
    tag = (await api.client.get(path)).headers["etag"]
    problem(await api.client.post(f"{path}/abandon", headers={"If-Match": '"1"'}), 412)
    abandoned = await api.client.post(f"{path}/abandon", headers={"If-Match": tag})
    assert abandoned.json()["status"] == "ABANDONED"
    assert (await api.client.post(f"{path}/abandon", headers={"If-Match": tag})).json() == abandoned.json()
    assert await api.rows(run) == {}
    problem(await api.client.post(f"{path}/commit", json={}), 409, "billing_run_abandoned")
    assert (await api.client.delete(f"/students/{student['id']}")).status_code == 204


async def test_a_commit_names_the_preview_by_its_tag(api: Api) -> None:
    school = await api.school()
    await api.student(school)
    plan = await api.plan(school, ("tuition", "100.00"))
    body = {"plan_id": plan["id"], "period": "T1", "due_dates": ["2099-01-01"]}
    key = {"Idempotency-Key": f"preview-{school['id']}"}
    made = await api.client.post(f"/schools/{school['id']}/billing-runs", json=body, headers=key)
    replayed = await api.client.post(f"/schools/{school['id']}/billing-runs", json=body, headers=key)
    assert (replayed.json(), replayed.headers["idempotency-replayed"]) == (made.json(), "true")
    assert made.headers["location"] == replayed.headers["location"] == f"/billing-runs/{made.json()['id']}"
    path, tag = f"{made.headers['location']}/commit", {"If-Match": made.headers["etag"]}
    problem(await api.client.post(path, json={}, headers={"If-Match": '"1"'}), 412, "precondition_failed")
    first = await api.client.post(path, json={}, headers=tag)
    second = await api.client.post(path, json={}, headers=tag)
    assert (first.status_code, first.json()) == (200, second.json())
    assert first.json()["counts"] == {"created": 1}
    problem(await api.client.post(path, json={}, headers={"If-Match": '"1"'}), 412, "precondition_failed")
    assert await api.get(f"/billing-runs?plan_id={plan['id']}&period=T1") == [first.json()]
    assert await api.get(f"/billing-runs?school_id={school['id']}&period=T2") == []


async def test_a_run_that_makes_no_sense_is_refused_with_its_field(api: Api) -> None:
    school, other = await api.school(), await api.school()
    student, stranger = await api.student(school, group_name="1A"), await api.student(other, group_name="9Z")
    plan, foreign = await api.plan(school, ("tuition", "100.00")), await api.plan(other, ("tuition", "100.00"))
    body = {"plan_id": plan["id"], "period": "T1", "due_dates": ["2026-10-01"], "issued_at": "2026-09-01"}
    path = f"/schools/{school['id']}/billing-runs"
    for change, fields in (
        ({"due_dates": ["2026-08-31"]}, ["due_dates[0]"]),
        ({"due_dates": ["2026-10-01", "2026-10-01"]}, ["due_dates[1]"]),
        ({"due_dates": []}, ["due_dates"]),
        ({"due_dates": ["2026-13-01"]}, ["due_dates[0]"]),
        ({"group": "9Z"}, ["group"]),
        ({"student_ids": [student["id"], stranger["id"], NOBODY]}, ["student_ids[1]", "student_ids[2]"]),
        ({"student_ids": [student["id"], student["id"]]}, ["student_ids[1]"]),
        ({"student_ids": [student["id"]], "group": "1A"}, ["student_ids"]),
        ({"period": ""}, ["period"]),
    ):
        assert wrong_fields(await api.client.post(path, json=body | change)) == fields, change
    for plan_id in (foreign["id"], NOBODY):
        problem(await api.client.post(path, json=body | {"plan_id": plan_id}), 404, "fee_plan_not_found")
    problem(await api.client.post(f"/schools/{NOBODY}/billing-runs", json=body), 404, "school_not_found")
    problem(await api.client.get(f"/billing-runs/{NOBODY}/rows"), 404, "billing_run_not_found")
    # A school without students has an empty run.
    empty = await api.plan(await api.school(), ("tuition", "100.00"))
    run = await api.preview(empty)
    assert (run["counts"], run["totals"], run["total_amount"]) == ({}, [], "0.00")
    assert (await api.commit(run))["status"] == "COMMITTED"


async def test_what_no_invoice_can_have_fails_by_itself(api: Api) -> None:
    school = await api.school()
    rich, normal = await api.student(school), await api.student(school, full_name="B")
    plan = await api.plan(school, ("a", "9999999999.99"), ("b", "1.00"))
    award = await api.award(normal, amount="9999999999.99")
    assert award["amount"] == "9999999999.99"
    rows = await api.rows(await api.preview(plan))
    assert (rows[rich["id"]]["verdict"], rows[rich["id"]]["reason"]) == ("failed", "total_too_large")
    assert (rows[normal["id"]]["verdict"], rows[normal["id"]]["total_amount"]) == ("will_create", "1.00")
    chosen = await api.preview(plan, student_ids=[normal["id"]])
    assert set(await api.rows(chosen)) == {normal["id"]}


async def test_rows_are_paged_and_filtered(api: Api) -> None:
    school = await api.school()
    names = ["Ada", "Bo", "Cem", "Dan"]
    students = {name: await api.student(school, full_name=name) for name in reversed(names)}
    await api.client.patch(f"/students/{students['Bo']['id']}", json={"left_on": "2020-01-01"})
    run = await api.preview(await api.plan(school, ("tuition", "100.00")))
    path = f"/billing-runs/{run['id']}/rows"
    first = await api.client.get(f"{path}?limit=2&verdict=will_create&count=true")
    assert ([row["full_name"] for row in first.json()], first.headers["total-count"]) == (["Ada", "Cem"], "3")
    second = await api.client.get(first.links["next"]["url"])
    assert [row["full_name"] for row in second.json()] == ["Dan"]
    assert [row["full_name"] for row in await api.get(f"{path}?order=desc")] == names[::-1]
    assert [row["reason"] for row in await api.get(f"{path}?verdict=skipped")] == ["left"]
    table = (await api.client.get(f"{path}.csv")).text.splitlines()
    assert table[0] == (
        "student_id,full_name,external_id,group_name,verdict,reason,sibling_rank,items_total,discounts_total,total_amount,"
        "currency"
    )
    assert table[2] == f"{students['Bo']['id']},Bo,,,skipped,left,1,100.00,0.00,100.00,USD"
    assert len(table) == 5
    sheet = sheet_of(await api.client.get(f"{path}.xlsx?verdict=will_create"))
    assert [(row[1].value, row[-2].value) for row in sheet.iter_rows(min_row=2)] == [
        ("Ada", 100), ("Cem", 100), ("Dan", 100)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("update invoices set instalment = 2 where billing_run_id is not null", "invoices_run_is_fixed"),
        ("update billing_runs set period = 'x' where committed_at is not null", "billing_runs_are_fixed"),
        (
            "insert into invoices (school_id, student_id, total_amount, due_date, billing_run_id, fee_plan_id, period,"
            " instalment) select school_id, student_id, 1, due_date, billing_run_id, fee_plan_id, period, 99"
            " from invoices where billing_run_id is not null",
            "invoices_of_runs_come_with_the_commit",
        ),
        (
            "update invoices set student_id = (select min(id::text)::uuid from students where school_id ="
            " invoices.school_id and id <> invoices.student_id) where billing_run_id is not null",
            "invoices_billed_once_key",
        ),
    ],
)
async def test_the_database_keeps_what_a_run_made(api: Api, database_url: str, change: str, constraint: str) -> None:
    school = await api.school(invoice_prefix="KEPT")
    for name in ("A", "B"):
        await api.student(school, full_name=name)
    await api.commit(await api.preview(await api.plan(school, ("tuition", "100.00"))))
    table = "billing_runs" if change.startswith("update billing_runs") else "invoices"
    mine = f" and {table}.school_id = '{school['id']}'"
    with psycopg.connect(database_url) as psql, pytest.raises(psycopg.errors.IntegrityError) as refused:
        psql.execute(change + mine)
    assert refused.value.diag.constraint_name == constraint
