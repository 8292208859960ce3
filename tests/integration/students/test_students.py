import httpx
import pytest

from tests.api import NOBODY, Api, problem, wrong_fields


async def test_a_student_is_added_to_a_school(api: Api) -> None:
    school = await api.school()
    response = await api.client.post("/students", json={"school_id": school["id"], "full_name": "Lisa Simpson"})
    student = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/students/{student['id']}"
    assert (student["school_id"], student["full_name"], student["external_id"]) == (school["id"], "Lisa Simpson", None)
    assert await api.get(f"/students/{student['id']}") == student


async def test_a_student_of_an_unknown_school_is_404(client: httpx.AsyncClient) -> None:
    response = await client.post("/students", json={"school_id": NOBODY, "full_name": "Lisa"})
    problem(response, 404, "school_not_found")


async def test_an_external_id_is_unique_in_its_school_only(api: Api) -> None:
    springfield, shelbyville = await api.school(), await api.school()
    await api.student(springfield, external_id="S-1")
    await api.student(shelbyville, external_id="S-1")
    body = {"school_id": springfield["id"], "full_name": "Bart", "external_id": "S-1"}
    refusal = problem(await api.client.post("/students", json=body), 409, "duplicate_external_id")
    assert [error["field"] for error in refusal["errors"]] == ["external_id"]
    # Blanks around it and its case make no other number of it, whoever writes.
    for same in ("S-1 ", "\u00a0s-1"):
        problem(await api.client.post("/students", json={**body, "external_id": same}), 409, "duplicate_external_id")
    found = await api.get(f"/schools/{springfield['id']}/students?external_id=s-1%20")
    assert [student["external_id"] for student in found] == ["S-1"]
    await api.student(springfield)
    await api.student(springfield)  # Many students can have none.


async def test_patch_tells_absent_null_and_value_apart(api: Api) -> None:
    student = await api.student(external_id="S-1")
    path = f"/students/{student['id']}"
    assert (await api.client.patch(path, json={"full_name": "Lisa S."})).json()["external_id"] == "S-1"
    assert (await api.client.patch(path, json={"external_id": "S-2"})).json()["external_id"] == "S-2"
    cleared = (await api.client.patch(path, json={"external_id": None})).json()
    assert (cleared["external_id"], cleared["full_name"]) == (None, "Lisa S.")


@pytest.mark.parametrize(
    "body",
    [{"full_name": None}, {"full_name": ""}, {"external_id": ""}, {"external_id": "x" * 256}, {"school_id": NOBODY}],
)
async def test_a_wrong_field_of_a_patch_is_named(api: Api, body: dict[str, object]) -> None:
    student = await api.student()
    assert wrong_fields(await api.client.patch(f"/students/{student['id']}", json=body)) == list(body)
    assert await api.get(f"/students/{student['id']}") == student


async def test_lists_filter_by_school_and_by_a_part_of_the_name(api: Api) -> None:
    school, other = await api.school(), await api.school()
    lisa = await api.student(school, full_name="Lisa Simpson", external_id="S-1")
    bart = await api.student(school, full_name="Bart Simpson")
    milhouse = await api.student(school, full_name="Milhouse 100% Van_Houten")
    await api.student(other, full_name="Lisa Simpson", external_id="S-1")
    path = f"/schools/{school['id']}/students"
    assert await api.get(path) == [lisa, bart, milhouse]
    assert await api.get(f"/students?school_id={school['id']}") == [lisa, bart, milhouse]
    assert await api.get(f"{path}?name=SIMPSON") == [lisa, bart]
    assert await api.get(f"{path}?name=n_h") == [milhouse]
    assert await api.get(f"{path}?name=%25") == [milhouse]
    assert await api.get(f"{path}?external_id=S-1") == [lisa]
    assert await api.get(f"{path}?name=nobody") == []
    everywhere = await api.get("/students?external_id=S-1&name=lisa&limit=500")
    assert {student["school_id"] for student in everywhere} >= {school["id"], other["id"]}


async def test_a_search_finds_the_beginnings_of_words_as_a_clerk_types_them(api: Api) -> None:
    school, other = await api.school(), await api.school()
    students = {
        name: await api.student(school, full_name=name, external_id=external_id)
        for name, external_id in {
            "Seán O'Brien": "S-1024", "Sean O\u2019Brian": "S-1025", "Łukasz Wójcik-Müßig": None, "می\u200cروم": None,
            "Заря Ёлкина": None, "ﬁ\ufdfa " + "x" * 200: None,
        }.items()
    }  # fmt: skip
    await api.student(other, full_name="Seán O'Brien")

    async def found(q: str, **more: str) -> list[str]:
        response = await api.client.get(f"/schools/{school['id']}/students", params={"q": q, **more})
        assert response.status_code == 200, response.text
        return [student["full_name"] for student in response.json()]

    both = ["Seán O'Brien", "Sean O\u2019Brian"]
    assert (
        await found("obrien sean")
        == await found("O\u2019BRIEN")
        == await found("1024")
        == await found("s-1024 sea")
        == both[:1]
    )
    assert await found("sean") == await found("o'bri") == await found(" obri, SEÁN ") == both
    assert await found("obri", order="desc") == both[::-1]
    assert await found("lukasz muss") == await found("wojcik") == ["Łukasz Wójcik-Müßig"]
    assert await found("елкина заря") == ["Заря Ёлкина"]
    assert await found("میروم") == ["می\u200cروم"]
    assert await found("x" * 60) == ["ﬁ\ufdfa " + "x" * 200]
    for nothing in ("brien", "ean", "sean wojcik", "'", "--", "a':* | 'b", "\\", "%", "S!1024x", school["id"][:4], "@"):
        assert await found(nothing) == [], nothing
    everywhere = [student["school_id"] for student in await api.get("/students?q=sean%20obrien&order=desc&limit=500")]
    assert [one for one in everywhere if one in {school["id"], other["id"]}] == [other["id"], school["id"]]
    path = f"/students/{students[both[0]]['id']}"
    await api.client.patch(path, json={"full_name": "Maeve", "external_id": None})
    assert (await found("maeve"), await found("sean")) == (["Maeve"], both[1:])
    problem(await api.client.get("/students?q="), 400, "invalid_parameter")


async def test_the_students_of_an_unknown_school_are_404(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"/schools/{NOBODY}/students"), 404, "school_not_found")


async def test_a_student_with_invoices_cannot_be_deleted(api: Api) -> None:
    student = await api.student()
    invoice = await api.invoice(student)
    assert "invoices" in problem(await api.client.delete(f"/students/{student['id']}"), 409, "in_use")["detail"]
    assert (await api.client.delete(f"/invoices/{invoice['id']}")).status_code == 204
    assert (await api.client.delete(f"/students/{student['id']}")).status_code == 204
    for method in ("GET", "DELETE"):
        problem(await api.client.request(method, f"/students/{student['id']}"), 404, "student_not_found")
    problem(await api.client.patch(f"/students/{student['id']}", json={}), 404, "student_not_found")
