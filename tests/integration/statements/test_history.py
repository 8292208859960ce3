"""The statements of random histories, beside a model of them: every figure, at every moment, over every period."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from school_billing.platform.web.json_body import decode
from school_billing.statements.contracts import SchoolStatement, StudentStatement
from tests.api import Api, Json
from tests.integration.statements.histories import (
    ADJUSTMENTS,
    FIRST,
    FUTURE,
    LAST,
    History,
    ageing,
    decimals,
    histories,
    instants,
    totals,
    write,
)

slowly = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MORE = {"INVOICE", "REFUND", *(f"{kind}_REVERSAL" for kind in ADJUSTMENTS)}
"""The kinds of entries after which more is owed."""
days = st.dates(FIRST - timedelta(days=1), LAST + timedelta(days=1))


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def agree(statement: Json, history: History, students: list[int], moment: datetime, today: date) -> None:
    """Compare what every statement has with the model of these students' books."""
    books = [invoice for number in students for invoice in history.students[number]]
    assert (statement["as_of"], statement["as_of_date"]) == (written(moment), str(today))
    told = decimals(statement["totals"])
    assert [told.pop(name, 0) for name in ("unallocated_total", "unidentified_total")] == [0, 0]
    assert told == totals(books, moment, today)
    buckets = decimals(statement["ageing"])
    assert buckets == ageing(books, moment, today)
    assert sum(buckets.values()) == Decimal(statement["totals"]["balance_due_total"])
    unpaid = [invoice.due_date for invoice in books if invoice.issued_at <= moment and invoice.balance(moment) > 0]
    assert statement["oldest_due_date"] == (str(min(unpaid)) if unpaid else None)
    lines = sorted((line["total_amount"], line["status"], line["balance_due"]) for line in statement["invoices"])
    assert lines == sorted(
        (str(invoice.total), invoice.status(moment), f"{invoice.balance(moment):.2f}")
        for invoice in books
        if invoice.issued_at <= moment
    )


def agree_on_period(statement: Json, history: History, students: list[int], first: date | None, last: date) -> None:
    """Compare the sums of the period, and see that they lead from the opening to the closing balance."""
    opened_at = history.midnight(first) if first else datetime.min.replace(tzinfo=FUTURE.tzinfo)
    events = [
        event
        for number in students
        for invoice in history.students[number]
        for event in invoice.events()
        if event[0] <= history.end_of(last)
    ]
    sums = dict.fromkeys(("INVOICE", *ADJUSTMENTS, "PAYMENT", "REFUND", "VOID"), Decimal(0))
    for happened_at, kind, change in events:
        if happened_at >= opened_at:
            sums[kind.removesuffix("_REVERSAL")] += change if kind in MORE else -change
    period = statement["period"]
    assert (period.pop("from"), period.pop("to")) == (first and str(first), str(last))
    told = decimals(period)
    assert list(told.values()) == list(sums.values())
    opening, closing = Decimal(statement["opening_balance"]), Decimal(statement["closing_balance"])
    assert opening == sum(change for happened_at, _, change in events if happened_at < opened_at)
    adjusted = told["credited"] + told["discounted"] + told["written_off"]
    assert opening + told["invoiced"] - adjusted - told["paid"] + told["refunded"] - told["voided"] == closing
    assert closing == Decimal(statement["totals"]["balance_due_total"])


def agree_on_entries(statement: Json, history: History, number: int, first: date | None, last: date) -> None:
    """Compare the entries, and see that their balances lead from the opening to the closing balance."""
    expected = sorted(
        (written(happened_at), str(history.day_of(happened_at)), kind, f"{abs(change):.2f}")
        for invoice in history.students[number]
        for happened_at, kind, change in invoice.events()
        if happened_at <= history.end_of(last) and (first is None or happened_at >= history.midnight(first))
    )
    entries = statement["entries"]
    assert expected == sorted((line["happened_at"], line["date"], line["kind"], line["amount"]) for line in entries)
    moments = [line["happened_at"] for line in entries]
    assert moments == sorted(moments)
    balance = Decimal(statement["opening_balance"])
    story: dict[str, list[str]] = {}
    for line in entries:
        balance += Decimal(line["amount"]) * (1 if line["kind"] in MORE else -1)
        assert Decimal(line["balance"]) == balance
        assert (line["payment_id"] is not None) == (line["kind"] in {"PAYMENT", "REFUND"})
        assert (line["adjustment_id"] is not None) == line["kind"].startswith(ADJUSTMENTS)
        story.setdefault(line["invoice_id"], []).append(line["kind"])
    assert balance == Decimal(statement["closing_balance"])
    for kinds in story.values():
        assert "INVOICE" not in kinds[1:]
        assert "VOID" not in kinds[:-1]


@slowly
@given(history=histories(), data=st.data())
async def test_a_period_leads_from_one_balance_to_the_other(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]", history: History, data: Any
) -> None:
    school, students = await write(psql, history)
    last = data.draw(days)
    first = data.draw(st.one_of(st.none(), st.dates(FIRST - timedelta(days=1), last)))
    period = f"from={first}&to={last}" if first else f"to={last}"
    moment = history.end_of(last)
    of_school = await api.get(f"/schools/{school}/statement?{period}")
    agree(of_school, history, [0, 1], moment, last)
    agree_on_period(of_school, history, [0, 1], first, last)
    for number, student in enumerate(students):
        of_student = await api.get(f"/students/{student}/statement?{period}")
        agree(of_student, history, [number], moment, last)
        agree_on_period(of_student, history, [number], first, last)
        agree_on_entries(of_student, history, number, first, last)
        row = of_school["students"][number]
        assert row["student_id"] == str(student)
        assert {name: row[name] for name in of_student["totals"]} == of_student["totals"]
        assert (row["ageing"], row["oldest_due_date"]) == (of_student["ageing"], of_student["oldest_due_date"])


@slowly
@given(history=histories(), data=st.data())
async def test_the_figures_of_a_past_moment_are_what_they_were(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]", history: History, data: Any
) -> None:
    school, students = await write(psql, history)
    moment = data.draw(instants(history.zone))
    today = history.day_of(moment)
    agree(await api.get(f"/schools/{school}/statement?as_of={written(moment)}"), history, [0, 1], moment, today)
    for number, student in enumerate(students):
        at_moment = await api.get(f"/students/{student}/statement?as_of={written(moment)}")
        agree(at_moment, history, [number], moment, today)
        # A day is the last instant of it, whichever way one asks.
        on_day = await api.get(f"/students/{student}/statement?as_of={today}")
        assert on_day == await api.get(f"/students/{student}/statement?as_of={written(history.end_of(today))}")
        of_period = await api.get(f"/students/{student}/statement?to={today}")
        assert on_day == {name: of_period[name] for name in on_day}


@slowly
@given(history=histories())
async def test_now_on_the_totals_that_are_kept_is_now_summed_from_the_payments(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]", history: History
) -> None:
    school, students = await write(psql, history)
    for path in (f"/schools/{school}/statement", *(f"/students/{student}/statement" for student in students)):
        kept = await api.client.get(path)
        summed = await api.get(f"{path}?as_of={written(datetime.now(UTC))}")
        summed.pop("as_of")
        assert summed == kept.json()
        with_period = await api.client.get(f"{path}?from={FIRST}")
        assert with_period.json()["totals"] == kept.json()["totals"]
        for answer in (kept, with_period):
            decode(answer.content, SchoolStatement if path.startswith("/schools") else StudentStatement)


@slowly
@given(history=histories())
async def test_an_invoice_that_is_dated_ahead_counts_from_its_day_on(
    api: Api, psql: "asyncpg.Connection[asyncpg.Record]", history: History
) -> None:
    school, _ = await write(psql, history)
    after = history.day_of(FUTURE)
    agree(await api.get(f"/schools/{school}/statement?as_of={after}"), history, [0, 1], history.end_of(after), after)
