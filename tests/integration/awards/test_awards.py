from tests.api import Api, problem, wrong_fields


async def test_an_award_has_a_percentage_or_an_amount_and_a_time(api: Api) -> None:
    school = await api.school()
    student, other = await api.student(school), await api.student(school)
    award = await api.award(student, percent="50", categories=["tuition"], valid_to="2026-12-31")
    theirs = await api.award(other, amount="10")
    assert (award["description"], award["percent"], award["amount"], award["categories"]) == (
        "Award", "50.0000", None, ["tuition"]
    )  # fmt: skip
    assert await api.get(f"/awards?student_id={student['id']}") == [award]
    assert await api.get(f"/awards?school_id={school['id']}") == [award, theirs]

    path = f"/awards/{award['id']}"
    changed = (await api.client.patch(path, json={"amount": "7", "categories": None, "valid_to": None})).json()
    assert [changed[name] for name in ("percent", "amount", "categories", "valid_to")] == [None, "7.00", None, None]
    assert (await api.client.patch(path, json={"percent": "1"})).json()["amount"] is None
    for body, field in (
        ({"percent": "1", "amount": "1"}, "percent"),
        ({"valid_to": "2025-12-31"}, "valid_to"),
        ({"valid_from": "1800-01-01"}, "valid_from"),
        ({"reason": ""}, "reason"),
        ({"student_id": other["id"]}, "student_id"),
    ):
        assert wrong_fields(await api.client.patch(path, json=body)) == [field]
    new = {"student_id": student["id"], "valid_from": "2026-01-01", "reason": "x", "approved_by": "x"}
    assert wrong_fields(await api.client.post("/awards", json=new)) == ["percent"]
    problem(await api.client.patch(path, json={}, headers={"If-Match": '"1"'}), 412)
    problem(await api.client.delete(f"/students/{student['id']}"), 409, "in_use")
    assert (await api.client.delete(path)).status_code == 204
    problem(await api.client.get(path), 404, "award_not_found")
