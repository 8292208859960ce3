"""Random plans, awards and shares: invoices, lines, shares and instalments sum to the cent."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.api import Api, Json

CATEGORIES = ("tuition", "meals", "books")

amounts = st.integers(1, 2_000_00).map(lambda cents: str(Decimal(cents).scaleb(-2)))
percents = st.integers(1, 1_000_000).map(lambda units: str(Decimal(units).scaleb(-4)))
some_categories = st.none() | st.lists(st.sampled_from(CATEGORIES), min_size=1, unique=True)
discounts = st.fixed_dictionaries({"categories": some_categories}).flatmap(
    lambda given: st.one_of(
        percents.map(lambda percent: given | {"kind": "percentage", "percent": percent}),
        amounts.map(lambda amount: given | {"kind": "fixed", "amount": amount}),
    )
)
items = st.lists(st.tuples(st.sampled_from(CATEGORIES), amounts), min_size=1, max_size=5)
shares = st.lists(st.integers(1, 1_000), max_size=4).map(
    lambda weights: [
        round(Decimal(100 * sum(weights[: place + 1])) / sum(weights), 4)
        - round(Decimal(100 * sum(weights[:place])) / sum(weights), 4)
        for place in range(len(weights))
    ]
)


@pytest.fixture(scope="module")
async def family(api: Api) -> dict[str, Any]:
    school = await api.school(invoice_prefix="SUM")
    return {
        "school": school,
        "student": await api.student(school),
        "payers": [await api.payer(school, name=f"Payer {number}") for number in range(4)],
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=items, rules=st.lists(discounts, max_size=3), awards=st.lists(discounts, max_size=2), shares=shares,
       instalments=st.integers(1, 12))  # fmt: skip
# A cent is left, on the first of two instalments: its invoice has all of both lines.
@example(items=[("tuition", "40.78")], rules=[], awards=[{"categories": None, "kind": "fixed", "amount": "40.77"}],
         shares=[], instalments=2)  # fmt: skip
# 0.3 % of what is left is no cent, so the other payers' invoices have all of both lines.
@example(items=[("books", "20.00")], rules=[{"categories": None, "kind": "fixed", "amount": "19.00"}], awards=[],
         shares=[Decimal("50.0000"), Decimal("49.7000"), Decimal("0.3000")], instalments=1)  # fmt: skip
async def test_every_sum_is_exact(
    api: Api,
    database_url: str,
    family: dict[str, Any],
    items: list[tuple[str, str]],
    rules: list[Json],
    awards: list[Json],
    shares: list[Decimal],
    instalments: int,
) -> None:
    student, payers = family["student"], family["payers"]
    await api.set_payers(student, {payer["id"]: str(share) for payer, share in zip(payers, shares, strict=False)})
    given = [await api.award(student, **{name: one[name] for name in one if name != "kind"}) for one in awards]
    plan = await api.plan(family["school"], *items, rules=rules)
    run = await api.preview(plan, uuid4().hex, due_dates=[f"2027-{month + 1:02}-01" for month in range(instalments)])
    (row,) = (await api.rows(run)).values()
    lines = [Decimal(line["amount"]) for line in row["lines"]]
    total = Decimal(row["total_amount"])
    assert total == sum(lines) == sum(Decimal(one["amount"]) for one in row["invoices"]) >= 0
    of_items = {name: sum(Decimal(amount) for category, amount in items if category == name) for name in CATEGORIES}
    for line in row["lines"][len(items) :]:
        assert 0 <= -Decimal(line["amount"]) <= Decimal(line["base"]) <= sum(of_items.values())
    # No payer is further than a cent from the share, and no instalment further than a cent from another.
    for place, share in enumerate(shares):
        parts = [Decimal(one["amount"]) for one in row["invoices"] if one["payer_id"] == payers[place]["id"]]
        assert abs(sum(parts) - total * share / 100) < Decimal("0.01")
        assert not parts or max(parts) - min(parts) <= Decimal("0.01")
    committed = await api.commit(run, all_or_nothing=True)
    assert Decimal(committed["total_amount"]) == total
    with psycopg.connect(database_url) as psql:
        made = psql.execute(
            "select total_amount, (select sum(amount) from invoice_lines where invoice_id = invoices.id)"
            " from invoices where billing_run_id = %s",
            [run["id"]],
        ).fetchall()
        by_category = psql.execute(
            "select category, sum(amount) from invoice_lines"
            " where invoice_id in (select id from invoices where billing_run_id = %s) group by category",
            [run["id"]],
        ).fetchall()
    assert sorted(invoice for invoice, _ in made) == sorted(Decimal(one["amount"]) for one in row["invoices"])
    assert all(invoice == of_lines > 0 for invoice, of_lines in made)
    if total:
        expected = {name: Decimal(0) for name in (*CATEGORIES, "discount", "award")}
        for line in row["lines"]:
            expected[line["category"]] += Decimal(line["amount"])
        assert expected | dict(by_category) == expected
        assert sum(expected.values()) == total
    for award in given:
        assert (await api.client.delete(f"/awards/{award['id']}")).status_code == 204
