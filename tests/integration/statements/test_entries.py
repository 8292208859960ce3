"""The view account_entries: each kind of entry is one branch of it, and every statement tells of it."""

import csv
import io
from decimal import Decimal

import pytest

from tests.api import Api, Json

THEN, LATER, LAST = "2026-01-15", "2026-01-31", "2026-02-28"


@pytest.fixture
async def account(api: Api) -> Json:
    """An invoice of 100.00 of which 40.00 are paid and then 25.00 credited, 5.00 discounted and 30.00 written off."""
    school = await api.school()
    payer = await api.payer(school)
    student = await api.student(school)
    await api.set_payers(student, {payer["id"]: "100"})
    invoice = await api.invoice(student, "100.00", issued_at="2026-01-05T12:00:00Z", due_date="2026-01-31")
    await api.pay(invoice, "40.00", paid_at="2026-01-10T12:00:00Z")
    for what, body in (
        ("credit-notes", {"amount": "25.00", "adjusted_at": "2026-01-20", "reason": "No lunch"}),
        ("discounts", {"amount": "5.00", "adjusted_at": "2026-01-21", "reason": "Goodwill"}),
        ("write-off", {"adjusted_at": "2026-02-10", "reason": "Moved away"}),
    ):
        answer = await api.client.post(f"/invoices/{invoice['id']}/{what}", json=body)
        assert answer.status_code == 201, answer.text
    return await api.reload(invoice)


async def test_every_statement_tells_what_is_owed_less(api: Api, account: Json) -> None:
    school, student, payer = account["school_id"], account["student_id"], account["payer_id"]
    for path in (f"/students/{student}", f"/payers/{payer}", f"/schools/{school}"):
        for query, sums, status in (
            ("", ("25.00", "5.00", "30.00", "0.00"), "WRITTEN_OFF"),
            (f"?as_of={THEN}", ("0.00", "0.00", "0.00", "60.00"), "PARTIAL"),  # 100.00 - 40.00
            (f"?as_of={LATER}", ("25.00", "5.00", "0.00", "30.00"), "PARTIAL"),
            (f"?as_of={LAST}", ("25.00", "5.00", "30.00", "0.00"), "WRITTEN_OFF"),
        ):
            found = await api.get(f"{path}/statement{query}")
            [line] = found["invoices"]
            names = ("credited_total", "discounted_total", "written_off_total")
            assert tuple(found["totals"][name] for name in (*names, "balance_due_total")) == sums
            assert (*(line[name] for name in names), line["balance_due"], line["status"]) == (*sums, status)
            assert sum(Decimal(amount) for amount in found["ageing"].values()) == Decimal(sums[-1])
        period = await api.get(f"{path}/statement?from={THEN}&to={LATER}")
        assert (period["opening_balance"], period["closing_balance"]) == ("60.00", "30.00")
        told = period["period"]
        assert [told[name] for name in ("credited", "discounted", "written_off")] == ["25.00", "5.00", "0.00"]
        if "entries" in period:
            keys = ("kind", "description", "amount", "balance")
            assert [tuple(entry[key] for key in keys) for entry in period["entries"]] == [
                ("CREDIT_NOTE", "No lunch", "25.00", "35.00"),
                ("DISCOUNT", "Goodwill", "5.00", "30.00"),
            ]
    for query, balance in ((f"?as_of={THEN}", "60.00"), (f"?as_of={LATER}", "30.00"), ("", "0.00")):
        [row] = csv.DictReader(io.StringIO((await api.client.get(f"/schools/{school}/statement.csv{query}")).text))
        assert row["balance_due"] == balance
        debtors = await api.get(f"/schools/{school}/debtors{query}")
        assert [debtor["balance_due"] for debtor in debtors] == ([balance] if balance != "0.00" else [])
    # No money moved, so the cash book tells what it told before.
    collected = await api.get(f"/schools/{school}/collections?from=2026-01-01&to={LAST}&by=month")
    assert (collected["totals"]["invoiced"], collected["totals"]["net"]) == ("100.00", "40.00")


async def test_a_reversal_is_an_entry_of_its_own(api: Api, account: Json) -> None:
    write_off = (await api.get(f"/invoices/{account['id']}/adjustments"))[-1]
    reversal = await api.client.post(f"/adjustments/{write_off['id']}/reverse", json={"reason": "She paid"})
    found = await api.get(f"/students/{account['student_id']}/statement?from=2026-02-01")
    keys = ("kind", "adjustment_id", "description", "amount", "balance")
    assert [tuple(entry[key] for key in keys) for entry in found["entries"]] == [
        ("WRITE_OFF", write_off["id"], "Moved away", "30.00", "0.00"),
        ("WRITE_OFF_REVERSAL", reversal.json()["id"], "She paid", "30.00", "30.00"),
    ]
    assert (found["period"]["written_off"], found["totals"]["written_off_total"]) == ("0.00", "0.00")
    assert found["opening_balance"] == found["closing_balance"] == "30.00"
    later = await api.get(f"/students/{account['student_id']}/statement?from=2026-03-01")
    # More was reversed in this period than written off.
    assert (later["period"]["written_off"], later["closing_balance"]) == ("-30.00", "30.00")
    text = (await api.client.get(f"/students/{account['student_id']}/statement.csv")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("30.00")


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ("Credit note", "Discounts", "Written off", "Write-off")),
        ("de", ("Gutschrift", "Nachlässe", "Ausgebucht", "Ausbuchung")),
        ("es", ("Nota de crédito", "Descuentos", "Cancelado por incobrable", "Cancelación por incobrable")),
        ("fr", ("Avoir", "Remises", "Passé en perte", "Passage en perte")),
        ("ar", ("إشعار دائن", "خصومات", "مبالغ مشطوبة", "شطب")),
    ],
)
async def test_a_printed_statement_has_the_figures_if_there_are_any(
    api: Api, account: Json, lang: str, words: tuple[str, ...]
) -> None:
    path = f"/students/{account['student_id']}/statement.html?lang={lang}"
    page = (await api.client.get(f"{path}&from=2026-01-01")).text
    assert all(word in page for word in words)
    now = (await api.client.get(path)).text
    assert all(word in now for word in words[1:3])
    invoice = (await api.client.get(f"/invoices/{account['id']}.html?lang={lang}")).text
    assert all(word in invoice for word in words[1:3])
    school = (await api.client.get(f"/schools/{account['school_id']}/statement.html?lang={lang}")).text
    assert "60" in school  # 25.00 + 5.00 + 30.00
    plain = await api.invoice(total="100.00")
    other = (await api.client.get(f"/students/{plain['student_id']}/statement.html?lang={lang}&from=2026-01-01")).text
    assert not any(word in other for word in words[1:3])
