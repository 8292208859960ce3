from typing import Any

import psycopg
import pytest

from tests.api import Api, Json, in_turn, problem, wrong_fields

RULE = {"kind": "sibling", "percent": "10", "categories": ["tuition"]}


async def test_a_change_of_items_or_rules_makes_a_version_and_a_new_name_does_not(api: Api) -> None:
    school, other = await api.school(), await api.school()
    await api.plan(other, ("meals", "1.00"))
    plan = await api.plan(school, ("tuition", "100.00"), rules=[RULE])
    assert plan["items"] == [{"category": "tuition", "description": "Tuition", "amount": "100.00"}]
    assert plan["rules"] == [
        {"kind": "sibling", "description": "Sibling discount", "categories": ["tuition"], "percent": "10.0000"}
        | {"amount": None, "from_rank": 2}
        | dict.fromkeys(["after_days", "minimum", "maximum_times", "days_before_due"])
    ]
    assert await api.get(f"/fee-plans?school_id={school['id']}") == [plan]
    tag = (await api.client.get(f"/fee-plans/{plan['id']}")).headers["etag"]

    async def change(body: Json) -> Json:
        response = await api.client.patch(f"/fee-plans/{plan['id']}", json=body)
        assert response.status_code == 200, response.text
        assert response.json() == await api.get(f"/fee-plans/{plan['id']}")
        changed: Json = response.json()
        return changed

    renamed = await change({"name": "Autumn"})
    assert (renamed["name"], renamed["version"], renamed["rules"]) == ("Autumn", 1, plan["rules"])
    fixed = [{"kind": "fixed", "amount": "5", "description": "Early bird"}, {"kind": "percentage", "percent": "1.5"}]
    second = await change({"rules": fixed})
    assert (second["version"], second["items"]) == (2, plan["items"])
    assert [(rule["amount"], rule["percent"]) for rule in second["rules"]] == [("5.00", None), (None, "1.5000")]
    late = {"kind": "late_fee", "percent": "2", "after_days": 7, "minimum": "5"}
    early = {"kind": "early_discount", "amount": "3", "days_before_due": 0}
    second = await change({"rules": [*fixed, late, early]})
    assert [
        (rule["description"], rule["after_days"], rule["minimum"], rule["maximum_times"], rule["days_before_due"])
        for rule in second["rules"][2:]
    ] == [("Late fee", 7, "5.00", 1, None), ("Early-payment discount", None, None, None, 0)]
    third = await change({"items": [{"category": "trip", "description": "Trip", "amount": "3"}]})
    assert (third["version"], third["rules"], len(third["items"])) == (4, second["rules"], 1)
    stale = await api.client.patch(f"/fee-plans/{plan['id']}", json={"name": "x"}, headers={"If-Match": tag})
    problem(stale, 412)
    assert (await api.client.delete(f"/fee-plans/{plan['id']}")).status_code == 204
    problem(await api.client.get(f"/fee-plans/{plan['id']}"), 404, "fee_plan_not_found")
    problem(await api.client.delete(f"/schools/{other['id']}"), 409, "in_use")


async def test_two_changes_at_once_make_two_versions_and_lose_nothing(api: Api, psql: Any) -> None:
    plan = await api.plan(await api.school(), ("tuition", "100.00"))
    path = f"/fee-plans/{plan['id']}"
    rules = [{"kind": "late_fee", "amount": "1.00", "after_days": 7, "description": "Late fee"}]
    items = [{"category": "meals", "description": "Meals", "amount": "9.00"}]
    last = await in_turn(
        psql,
        "fee_plans",
        plan,
        api.client.patch(path, json={"rules": rules}),
        api.client.patch(path, json={"items": items}),
    )
    assert (last["version"], last["items"][0]["category"], last["rules"][0]["kind"]) == (3, "meals", "late_fee")
    assert await api.get(path) == last


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "sibling"}, "percent"),
        ({"kind": "sibling", "percent": "1", "amount": "1"}, "percent"),
        ({"kind": "percentage", "amount": "1", "percent": "1"}, "amount"),
        ({"kind": "fixed", "percent": "1"}, "percent"),
        ({"kind": "fixed", "amount": "1", "from_rank": 2}, "from_rank"),
        ({"kind": "percentage", "percent": "101"}, "percent"),
        ({"kind": "late_fee", "percent": "1"}, "after_days"),
        ({"kind": "late_fee", "after_days": 7}, "percent"),
        ({"kind": "late_fee", "amount": "1", "after_days": 7, "minimum": "1"}, "minimum"),
        ({"kind": "late_fee", "amount": "1", "after_days": 7, "categories": ["a"]}, "categories"),
        ({"kind": "early_discount", "amount": "1"}, "days_before_due"),
        ({"kind": "early_discount", "amount": "1", "days_before_due": 1, "maximum_times": 2}, "maximum_times"),
    ],
)
async def test_a_rule_has_what_its_kind_needs(api: Api, rule: Json, field: str) -> None:
    body = {"name": "x", "items": [{"category": "a", "description": "a", "amount": "1"}], "rules": [rule]}
    fields = wrong_fields(await api.client.post("/fee-plans", json=body | {"school_id": (await api.school())["id"]}))
    assert f"rules[0].{field}" in fields


async def test_late_fees_of_a_plan_differ_in_their_days_and_early_discounts_are_one(api: Api) -> None:
    late = {"kind": "late_fee", "amount": "1", "after_days": 7}
    early = {"kind": "early_discount", "amount": "1", "days_before_due": 1}
    rules = [late, late | {"after_days": 14}, early, late | {"percent": "1"} | {"amount": None}, early]
    body = {"name": "x", "items": [{"category": "a", "description": "a", "amount": "1"}], "rules": rules}
    response = await api.client.post("/fee-plans", json=body | {"school_id": (await api.school())["id"]})
    assert wrong_fields(response) == ["rules[3].after_days", "rules[4].kind"]


async def test_a_school_without_cents_has_plans_and_awards_without_cents(api: Api) -> None:
    school = await api.school(currency="JPY")
    student = await api.student(school)
    item = {"category": "a", "description": "a", "amount": "1.50"}
    body = {"school_id": school["id"], "name": "x", "items": [item]}
    assert wrong_fields(await api.client.post("/fee-plans", json=body)) == ["items"]
    plan = await api.plan(school, ("tuition", "1000"), rules=[{"kind": "percentage", "percent": "3.33"}])
    patch = await api.client.patch(f"/fee-plans/{plan['id']}", json={"items": [item]})
    assert wrong_fields(patch) == ["items"]
    award = {
        "student_id": student["id"],
        "amount": "0.50",
        "valid_from": "2026-01-01",
        "reason": "x",
        "approved_by": "x",
    }
    assert wrong_fields(await api.client.post("/awards", json=award)) == ["amount"]
    # 3.33 % of 1000 are 33.3, which is 33. 967 is 323, 322 and 322.
    run = await api.preview(plan, due_dates=["2026-10-01", "2026-11-01", "2026-12-01"])
    (row,) = (await api.rows(run)).values()
    assert [one["amount"] for one in row["invoices"]] == ["323.00", "322.00", "322.00"]
    await api.commit(run)


def test_a_version_of_a_plan_never_changes(database_url: str) -> None:
    with psycopg.connect(database_url) as psql, pytest.raises(psycopg.errors.IntegrityConstraintViolation) as refused:
        psql.execute("update fee_plan_items set amount = amount + 1 where amount is not null")
    assert refused.value.diag.constraint_name == "fee_plan_items_are_fixed"
