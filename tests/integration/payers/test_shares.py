"""The payers of a student, their shares, and whom an invoice names."""

import asyncio

import asyncpg
import psycopg
import pytest

from tests.api import NOBODY, Api, Json, problem, until_waiting


async def shares_of(api: Api, student: Json) -> dict[str, str]:
    return {one["payer_id"]: one["share"] for one in await api.get(f"/students/{student['id']}/payers")}


async def test_the_shares_of_a_student_are_set_as_a_whole(api: Api) -> None:
    school = await api.school()
    lisa, bart = await api.student(school), await api.student(school)
    marge = await api.payer(school, name="Marge")
    homer = await api.payer(school, name="Homer")
    globex = await api.payer(school, name="Globex", kind="ORGANISATION")
    assert await api.set_payers(lisa, {}) == []
    await api.set_payers(bart, {marge["id"]: "100"})
    thirds = {marge["id"]: "33.3333", homer["id"]: "33.3333", globex["id"]: "33.3334"}
    listed = await api.set_payers(lisa, thirds)
    assert listed == await api.get(f"/students/{lisa['id']}/payers")
    assert [(one["name"], one["share"]) for one in listed] == [
        ("Globex", "33.3334"), ("Homer", "33.3333"), ("Marge", "33.3333"),
    ]  # fmt: skip
    half = "50.0000"
    for body in ("50", 50, 50.0, half):
        assert await api.set_payers(lisa, {marge["id"]: body, homer["id"]: body})
        assert await shares_of(api, lisa) == {homer["id"]: half, marge["id"]: half}
    assert await shares_of(api, bart) == {marge["id"]: "100.0000"}
    assert await api.set_payers(lisa, {}) == []
    assert (await shares_of(api, lisa), len(await shares_of(api, bart))) == ({}, 1)


async def test_a_share_that_stays_is_not_written(api: Api) -> None:
    student = await api.student()
    school = {"id": student["school_id"]}
    first, second, third = [(await api.payer(school))["id"] for _ in range(3)]

    async def actions() -> list[tuple[str, str]]:
        entries = await api.get(f"/audit?entity=student_payers&school_id={school['id']}")
        return [(entry["action"], (entry["row_after"] or entry["row_before"])["payer_id"]) for entry in entries]

    await api.set_payers(student, {first: "25", second: "75"})
    before = await actions()
    await api.set_payers(student, {second: "75.0000", first: "25"})
    assert await actions() == before
    await api.set_payers(student, {first: "25", third: "75"})
    assert sorted((await actions())[len(before) :]) == sorted([("DELETE", second), ("INSERT", third)])


async def test_a_wrong_list_is_refused_as_a_whole(api: Api) -> None:
    student = await api.student()
    school = {"id": student["school_id"]}
    one, two, three = [(await api.payer(school))["id"] for _ in range(3)]
    await api.set_payers(student, {one: "100"})
    path = f"/students/{student['id']}/payers"

    async def errors(*shares: tuple[object, object]) -> list[Json]:
        body = {"payers": [{"payer_id": payer, "share": share} for payer, share in shares]}
        return list(problem(await api.client.put(path, json=body), 422)["errors"])

    assert await errors((one, "33.3333"), (two, "33.3333"), (three, "33.3333")) == [
        {"field": "payers", "message": "must sum to 100.0000, not 99.9999"}
    ]
    assert (await errors((one, "100"), (two, "0.0001")))[0]["message"] == "must sum to 100.0000, not 100.0001"
    assert await errors((one, "50"), (two, "25"), (one, "25")) == [
        {"field": "payers[2].payer_id", "message": "is in the list twice"}
    ]
    for share in ("0", "-1", "100.0001", "33.33333", "1e2", "", None, True, "NaN"):
        assert [error["field"] for error in await errors((one, "50"), (two, share))] == ["payers[1].share"]
    assert [error["field"] for error in await errors(("marge", "100"))] == ["payers[0].payer_id"]
    assert [error["field"] for error in await errors(*[(NOBODY, "1")] * 101)] == ["payers"]
    for body in ({}, {"payers": None}, [{"payer_id": one, "share": "100"}]):
        problem(await api.client.put(path, json=body), 422, "invalid_body")
    unknown = {"payers": [{"payer_id": two, "share": "50"}, {"payer_id": NOBODY, "share": "50"}]}
    problem(await api.client.put(path, json=unknown), 404, "payer_not_found")
    assert await shares_of(api, student) == {one: "100.0000"}
    for payers in (unknown["payers"], []):
        put = api.client.put(f"/students/{NOBODY}/payers", json={"payers": payers})
        problem(await put, 404, "student_not_found")
    problem(await api.client.get(f"/students/{NOBODY}/payers"), 404, "student_not_found")


async def test_a_set_that_waited_for_another_one_leaves_only_its_own(api: Api, database_url: str) -> None:
    """The waiting statement does not see the other's payer, so the database refuses its first attempt at commit."""
    student = await api.student()
    school = {"id": student["school_id"]}
    own, other = [(await api.payer(school))["id"] for _ in range(2)]
    connection = await asyncpg.connect(database_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "insert into student_payers (school_id, student_id, payer_id, share) values ($1, $2, $3, 100)",
            school["id"], student["id"], other,
        )  # fmt: skip
        await connection.execute("select from students where id = $1 for no key update", student["id"])
        setting = asyncio.create_task(api.set_payers(student, {own: "100"}))
        await until_waiting(connection)
        await transaction.commit()
        assert [payer["payer_id"] for payer in await setting] == [own]
    finally:
        await connection.close()
    assert await shares_of(api, student) == {own: "100.0000"}


async def test_racing_sets_leave_the_shares_of_one_of_them(api: Api) -> None:
    student = await api.student()
    school = {"id": student["school_id"]}
    payers = [(await api.payer(school))["id"] for _ in range(6)]
    pairs = [{payers[n]: "50.0000", payers[(n + 1) % 6]: "50.0000"} for n in range(6)]

    async def put(shares: dict[str, str]) -> int:
        listed = [{"payer_id": payer, "share": share} for payer, share in shares.items()]
        return (await api.client.put(f"/students/{student['id']}/payers", json={"payers": listed})).status_code

    assert set(await asyncio.gather(*(put(pair) for pair in pairs * 3))) <= {200, 409}
    assert await shares_of(api, student) in pairs


async def test_the_database_refuses_partial_shares_of_every_writer(api: Api, database_url: str) -> None:
    student = await api.student()
    school = {"id": student["school_id"]}
    payer, other = [(await api.payer(school))["id"] for _ in range(2)]
    insert = "insert into student_payers (school_id, student_id, payer_id, share) values (%s, %s, %s, %s)"
    with psycopg.connect(database_url) as psql:
        psql.execute(insert, [school["id"], student["id"], payer, "99.9999"])
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation) as refused:
            psql.commit()
        assert refused.value.diag.constraint_name == "student_payers_sum_to_100"
        for share in ("60", "40"):
            psql.execute(insert, [school["id"], student["id"], payer if share == "60" else other, share])
        psql.commit()
    assert await shares_of(api, student) == {payer: "60.0000", other: "40.0000"}


async def test_an_invoice_names_the_only_payer_and_keeps_him(api: Api, database_url: str) -> None:
    school = await api.school()
    lisa, bart = await api.student(school), await api.student(school)
    marge, homer = [(await api.payer(school))["id"] for _ in range(2)]
    own = await api.invoice(lisa)
    assert own["payer_id"] is None
    await api.set_payers(lisa, {marge: "100"})
    await api.set_payers(bart, {homer: "100"})
    of_marge, given = await api.invoice(lisa), await api.invoice(lisa, payer_id=homer)
    of_homer = await api.invoice(bart, due_date="2026-05-31")
    assert [one["payer_id"] for one in (of_marge, given, of_homer)] == [marge, homer, homer]

    await api.set_payers(lisa, {marge: "50", homer: "50"})
    shared = await api.invoice(lisa)
    await api.set_payers(lisa, {homer: "100"})
    assert shared["payer_id"] is None
    for invoice in (own, of_marge, given, of_homer, shared):
        assert await api.reload(invoice) == invoice
    assert await api.get(f"/payers/{homer}/invoices") == await api.get(f"/invoices?payer_id={homer}")
    for query, found in (
        (f"/payers/{marge}/invoices", [of_marge]),
        (f"/payers/{homer}/invoices", [given, of_homer]),
        (f"/payers/{homer}/invoices?due_from=2026-05-01", [of_homer]),
        (f"/invoices?payer_id={homer}&student_id={lisa['id']}", [given]),
    ):
        assert [one["id"] for one in await api.get(query)] == [one["id"] for one in found], query
    assert await api.get(f"/invoices?payer_id={NOBODY}") == []

    path = f"/invoices/{own['id']}"
    assert [one["field"] for one in problem(await api.client.patch(path, json={"payer_id": marge}), 422)["errors"]] == [
        "payer_id"
    ]
    with psycopg.connect(database_url) as psql, pytest.raises(psycopg.errors.IntegrityConstraintViolation) as refused:
        psql.execute("update invoices set payer_id = %s where id = %s", [marge, own["id"]])
    assert refused.value.diag.constraint_name == "invoices_payer_is_fixed"
    problem(await api.client.get(f"/payers/{NOBODY}/invoices"), 404, "payer_not_found")
    body = {"student_id": lisa["id"], "total_amount": "1.00", "due_date": "2026-02-28", "payer_id": NOBODY}
    refusal = problem(await api.client.post("/invoices", json=body), 404, "payer_not_found")
    assert refusal["detail"] == "There is no such payer in the invoice's school."


async def test_a_deleted_student_takes_the_shares_along(api: Api) -> None:
    student = await api.student()
    school = {"id": student["school_id"]}
    sibling = await api.student(school)
    payer = (await api.payer(school))["id"]
    for one in (student, sibling):
        await api.set_payers(one, {payer: "100"})
    assert (await api.client.delete(f"/students/{student['id']}")).status_code == 204
    assert await shares_of(api, sibling) == {payer: "100.0000"}
