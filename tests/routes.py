"""Every route of the OpenAPI document, with a school that has one thing of each kind, and bodies that fit it."""

from collections.abc import Iterator
from urllib.parse import urlencode
from uuid import uuid4

from tests.api import Api, Json

MARK = "of another school"
"""This mark is in every text of the school."""
PASSWORD = "correct horse battery"


async def furnish(api: Api, name: str, school: Json | None = None) -> dict[str, str]:
    """Give a school one row of each kind. Return the ids by their names in paths, parameters and bodies."""
    school = school or await api.school(name=f"School {MARK}", invoice_prefix="OTHER")
    student = await api.student(school, full_name=f"Student {MARK}", external_id=f"Number {MARK}")
    payer = await api.payer(
        school, name=f"Payer {MARK}", email="billing@other.example", external_id=f"Number {MARK}", phone=MARK
    )
    await api.set_payers(student, {payer["id"]: "100"})
    invoice = await api.invoice(student, description=f"Tuition {MARK}")
    payment = await api.pay(invoice, "10.00", method=MARK, reference=f"Receipt {MARK}")
    lines = [{"description": f"Books {MARK}", "category": MARK, "amount": "100.00"}]
    unpaid = await api.invoice(student, None, description=f"Books {MARK}", lines=lines)
    receipt = await api.receipt(
        payer, "200.00", method=MARK, reference=f"Receipt {MARK}", source=MARK, external_reference=MARK, allocate="none"
    )
    late_fee = {"kind": "late_fee", "amount": "1.00", "after_days": 7, "description": f"Late fee {MARK}"}
    plan = await api.plan(school, (MARK, "10.00"), name=f"Plan {MARK}", rules=[late_fee])
    award = await api.award(student, amount="1.00", reason=MARK, approved_by=MARK, description=f"Award {MARK}")
    run = await api.preview(plan, f"Period {MARK}")
    await api.commit(run)
    await api.commit(await api.late_fees(plan, "2026-11-01"))
    (late,) = await api.get(f"/invoices?billing_run_id={run['id']}")
    credited = {"reason": f"Meals {MARK}", "lines": [{"description": f"Meals {MARK}", "amount": "1.00"}]}
    note = await api.client.post(f"/invoices/{unpaid['id']}/credit-notes", json=credited)
    closing = await api.client.post(
        f"/schools/{school['id']}/closings", json={"through": "2020-01-31", "reason": f"Because {MARK}"}
    )
    user = await api.client.post(
        "/users",
        json={"username": name, "password": PASSWORD, "role": "admin", "school_id": school["id"]},
    )
    key = await api.client.post("/api-keys", json={"name": MARK, "role": "admin", "school_id": school["id"]})
    return {
        "school_id": school["id"],
        "student_id": student["id"],
        "payer_id": payer["id"],
        "payment_reference": payer["payment_reference"],
        "invoice_id": invoice["id"],
        "unpaid_id": unpaid["id"],
        "payment_id": payment["id"],
        "receipt_id": receipt["id"],
        "adjustment_id": note.json()["id"],
        "closing_id": closing.json()["id"],
        "number": invoice["number"],
        "plan_id": plan["id"],
        "award_id": award["id"],
        "billing_run_id": run["id"],
        "late_invoice_id": late["id"],
        "note_number": note.json()["number"],
        "user_id": user.json()["id"],
        "api_key_id": key.json()["id"],
    }


def operations(document: Json) -> list[tuple[str, str, Json]]:
    """Return the path, the method and the description of each operation."""
    return [(path, method, op) for path, methods in document["paths"].items() for method, op in methods.items()]


def bodies(operation_id: str, ids: dict[str, str], others: dict[str, str]) -> list[Json]:
    """Return bodies that are valid for a user of the school of `ids`. Some name a row of `others`, another school."""
    due = {"total_amount": "5.00", "due_date": "2026-01-01"}
    found: dict[str, list[Json]] = {
        "log_in": [{"username": "nobody", "password": "x"}],
        "refresh_session": [{"refresh_token": "sbr_x"}],
        "log_out": [{"refresh_token": "sbr_x"}],
        "change_password": [{"current_password": "x", "new_password": PASSWORD}],
        "create_user": [
            {"username": uuid4().hex, "password": PASSWORD, "role": "admin", "school_id": ids["school_id"]}
        ],
        "update_user": [{"role": "viewer"}, {"disabled": True}, {}],
        "set_user_password": [{"new_password": "another horse battery"}],
        "create_api_key": [{"name": uuid4().hex, "role": "admin", "school_id": ids["school_id"]}],
        "create_school": [{"name": "x"}],
        "update_school": [{"name": "x"}, {}],
        "create_student": [{"school_id": ids["school_id"], "full_name": "x"}],
        "update_student": [{"full_name": "x"}, {}],
        "create_payer": [{"school_id": ids["school_id"], "name": "x"}],
        "update_payer": [{"name": "x"}, {}],
        "set_payers_of_student": [
            {"payers": []},
            *({"payers": [{"payer_id": one["payer_id"], "share": "100"}]} for one in (ids, others)),
        ],
        "create_invoice": [
            {"student_id": ids["student_id"], **due},
            {"student_id": others["student_id"], "payer_id": ids["payer_id"], **due},
            {"student_id": ids["student_id"], "lines": [{"description": "x", "amount": "1"}], "due_date": "2026-01-01"},
        ],
        "update_invoice": [{"description": "x"}, {"student_id": others["student_id"]}, {}],
        "void_invoice": [{"reason": "x"}],
        "create_credit_note": [
            {"amount": "1.00", "reason": "x"},
            {"amount": "100.00", "reason": "x", "release": True},
            {"lines": [{"description": "x", "amount": "1"}], "reason": "x"},
        ],
        "create_discount": [{"amount": "1.00", "reason": "x"}],
        "write_off_invoice": [{"reason": "x"}],
        "reverse_adjustment": [{"reason": "x"}],
        "create_payment": [{"invoice_id": ids["invoice_id"], "amount": "1.00"}],
        "create_receipt": [
            {"payer_id": ids["payer_id"], "amount": "1.00"},
            {"school_id": ids["school_id"], "amount": "1.00"},
        ],
        "claim_receipt": [{"payer_id": others["payer_id"]}, {"payer_id": ids["payer_id"]}],
        "allocate_receipt": [{}, {"allocate": [{"invoice_id": others["invoice_id"], "amount": "1.00"}]}],
        "refund_receipt": [{"amount": "1.00"}],
        "reverse_receipt": [{"reason": "x"}],
        "reverse_payment": [{"reason": "x"}],
        "create_fee_plan": [
            {
                "school_id": ids["school_id"],
                "name": "x",
                "items": [{"category": "x", "description": "x", "amount": "1"}],
            }
        ],
        "update_fee_plan": [{"name": "x"}, {"rules": []}, {}],
        "create_award": [
            {"student_id": ids["student_id"], "amount": "1", "valid_from": "2026-01-01", "reason": "x"}
            | {"approved_by": "x"}
        ],
        "update_award": [{"amount": "2"}, {}],
        "create_billing_run": [{"plan_id": ids["plan_id"], "period": "x", "due_dates": ["2999-01-01"]}],
        "create_late_fee_run": [{"plan_id": ids["plan_id"], "due_date": "2999-01-01"}],
        "commit_billing_run": [{}],
        "revert_billing_run": [{"reason": "x"}],
        "create_closing": [{"through": "2020-02-29"}],
        "reopen_closing": [{"reason": "x"}],
        "update_payment": [{"amount": "2.00"}, {"invoice_id": others["invoice_id"]}, {}],
    }
    return found[operation_id]


def queries(operation: Json, ids: dict[str, str]) -> Iterator[str]:
    """Yield the empty query string, and one with each filter for what the school of `ids` has."""
    yield ""
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "query":
            continue
        name = parameter["name"]
        if name == "number":
            yield from (urlencode({name: ids[number]}) for number in ("number", "note_number"))
        elif name in ids:
            yield urlencode({name: ids[name]})
        elif name == "entity_id":
            yield from (urlencode({name: value}) for key, value in ids.items() if key.endswith("_id"))
        elif name == "reference" and "payers" in operation["tags"]:
            yield urlencode({name: ids["payment_reference"]})
        elif name in {"name", "q", "external_id", "method", "reference", "source", "external_reference"}:
            yield from (urlencode({name: value}) for value in (MARK, f"Number {MARK}", f"Receipt {MARK}"))
        elif name == "period":
            yield urlencode({name: f"Period {MARK}"})
        elif name == "email":
            yield urlencode({name: "billing@other.example"})
        elif name == "limit":
            yield "limit=500"


def paths(template: str, ids: dict[str, str]) -> Iterator[str]:
    """Yield the path with the ids. A KeyError means that `furnish` lacks a kind of id."""
    yield template.format(**ids)
    if "{invoice_id}" in template:
        yield template.format(invoice_id=ids["unpaid_id"])
