"""Conditional requests (RFC 9110 section 13): nothing is sent twice, and no change overwrites another unseen."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from school_billing.auth.contracts import Role
from school_billing.platform.database.sql import Query
from tests.api import NOBODY, Api, Json, problem, until_waiting
from tests.server import Server

NOUNS = ["schools", "students", "invoices", "payments"]
CHANGES: dict[str, tuple[Json, Json]] = {
    "schools": ({"name": "Mine"}, {"name": "Theirs"}),
    "students": ({"full_name": "Mine"}, {"full_name": "Theirs"}),
    "invoices": ({"description": "Mine"}, {"description": "Theirs"}),
    "payments": ({"reference": "Mine"}, {"reference": "Theirs"}),
}
"""What two people make of a thing."""
LONG_AGO = '"1"'
"""A tag of ours that nothing has."""


async def a_thing(api: Api, noun: str) -> Json:
    """Make one that nothing depends on."""
    match noun:
        case "schools":
            return await api.school()
        case "students":
            return await api.student()
        case "invoices":
            return await api.invoice()
        case _:
            return await api.pay(await api.invoice(), "10.00")


@pytest.fixture(params=NOUNS)
def noun(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def thing(api: Api, noun: str) -> Json:
    return await a_thing(api, noun)


@pytest.fixture
def path(noun: str, thing: Json) -> str:
    return f"/{noun}/{thing['id']}"


async def tag(client: httpx.AsyncClient, path: str) -> str:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return response.headers["etag"]


def is_unmodified(response: httpx.Response, etag: str) -> bool:
    assert response.content == b""
    assert not {"content-type", "content-length"} & set(response.headers)
    assert response.headers["cache-control"] == "private, no-cache"
    return (response.status_code, response.headers["etag"]) == (304, etag)


async def test_what_the_caller_has_is_not_sent_again_until_it_changes(
    client: httpx.AsyncClient, noun: str, path: str
) -> None:
    first = await client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert etag.startswith('"')
    assert is_unmodified(await client.get(path, headers={"If-None-Match": etag}), etag)
    changed = await client.patch(path, json=CHANGES[noun][0])
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    again = await client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.json()) == (200, changed.json())
    assert again.headers["etag"] == changed.headers["etag"]


async def test_one_tag_of_a_list_is_enough_and_a_weak_one_too(client: httpx.AsyncClient, path: str) -> None:
    etag = await tag(client, path)
    for value in (f'"other,one", {etag}', f"W/{etag}", f', "x" ,W/"y",W/{etag}', "*"):
        assert is_unmodified(await client.get(path, headers={"If-None-Match": value}), etag)
    twice = [("If-None-Match", '"other"'), ("If-None-Match", etag)]
    assert is_unmodified(await client.get(path, headers=twice), etag)
    for value in ('"other"', etag.upper().replace('"', '"x', 1), f'"{etag[1:-1]}0"', '"*"'):
        assert (await client.get(path, headers={"If-None-Match": value})).status_code == 200


async def test_head_is_answered_like_get(client: httpx.AsyncClient, path: str) -> None:
    head = await client.head(path)
    assert head.headers["etag"] == await tag(client, path)
    unmodified = await client.head(path, headers={"If-None-Match": head.headers["etag"]})
    assert is_unmodified(unmodified, head.headers["etag"])


async def test_a_real_server_answers_304_without_a_body(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers=server.admin) as http:
        path = f"/schools/{(await Api(http).school())['id']}"
        etag = await tag(http, path)
        for _ in range(2):  # The connection is still in order afterwards.
            assert is_unmodified(await http.get(path, headers={"If-None-Match": etag}), etag)
        assert (await http.head(path, headers={"If-None-Match": "*"})).status_code == 304


@pytest.mark.parametrize("value", ["", "abc", '"abc', "*, *", 'W"a"', '"a\x7f"'])
async def test_a_malformed_header_is_a_400_that_names_it(client: httpx.AsyncClient, path: str, value: str) -> None:
    requests: list[tuple[str, str, Json | None]] = [
        ("GET", "If-None-Match", None),
        ("PATCH", "If-Match", {}),
        ("DELETE", "If-Match", None),
    ]
    for method, header, body in requests:
        response = await client.request(method, path, json=body, headers={header: value})
        refusal = problem(response, 400, "invalid_parameter")
        assert [error["field"] for error in refusal["errors"]] == [header]
    assert (await client.get(path)).status_code == 200


async def test_lists_and_errors_have_no_tag(client: httpx.AsyncClient, noun: str) -> None:
    for path in (f"/{noun}", f"/{noun}/{NOBODY}"):
        response = await client.get(path, headers={"If-None-Match": "*"})
        assert response.status_code in {200, 404}
        assert "etag" not in response.headers


async def test_a_statement_is_sent_again_when_money_has_moved(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    invoice = await api.invoice(student)
    for path in (f"/students/{student['id']}/statement", f"/schools/{school['id']}/statement"):
        etag = await tag(api.client, path)
        headers = {"If-None-Match": etag}
        assert is_unmodified(await api.client.get(path, headers=headers), etag)
        assert is_unmodified(await api.client.head(path, headers=headers), etag)
        await api.pay(invoice, "10.00")
        changed = await api.client.get(path, headers=headers)
        assert changed.status_code == 200
        assert changed.headers["etag"] != etag
        assert changed.headers["cache-control"] == "private, no-cache"


async def test_a_page_of_a_statement_leads_on_even_where_it_is_not_sent_again(api: Api) -> None:
    school = await api.school()
    student = await api.student(school)
    await api.invoice(student)
    path = f"/schools/{school['id']}/statement?limit=1"
    only_page = await api.client.get(path)
    # A void invoice counts for nothing: the first page says the same as before, but it has become one of two.
    void = await api.invoice(student)
    await api.client.post(f"/invoices/{void['id']}/void", json={"reason": "Entered twice"})
    first_page = await api.client.get(path, headers={"If-None-Match": only_page.headers["etag"]})
    assert first_page.status_code == 200
    assert first_page.content == only_page.content
    assert 'rel="next"' in first_page.headers["link"]
    unmodified = await api.client.get(path, headers={"If-None-Match": first_page.headers["etag"]})
    assert unmodified.status_code == 304
    assert unmodified.headers["link"] == first_page.headers["link"]


async def test_of_two_people_who_edit_one_thing_the_second_is_told(
    client: httpx.AsyncClient, noun: str, path: str
) -> None:
    both_read = {"If-Match": await tag(client, path)}
    mine, theirs = CHANGES[noun]
    first = await client.patch(path, json=mine, headers=both_read)
    assert first.status_code == 200
    problem(await client.patch(path, json=theirs, headers=both_read), 412, "precondition_failed")
    assert (await client.get(path)).json() == first.json()
    second = await client.patch(path, json=theirs, headers={"If-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert second.json().items() >= theirs.items()


async def test_a_stale_delete_deletes_nothing_and_a_current_one_does(
    client: httpx.AsyncClient, noun: str, path: str
) -> None:
    stale = await tag(client, path)
    changed = await client.patch(path, json=CHANGES[noun][0])
    problem(await client.delete(path, headers={"If-Match": stale}), 412, "precondition_failed")
    assert (await client.get(path)).json() == changed.json()
    assert (await client.delete(path, headers={"If-Match": changed.headers["etag"]})).status_code == 204
    problem(await client.get(path), 404)


async def test_of_many_who_change_one_version_one_succeeds(client: httpx.AsyncClient, noun: str, path: str) -> None:
    headers = {"If-Match": await tag(client, path)}
    answers = await asyncio.gather(*(client.patch(path, json=CHANGES[noun][0], headers=headers) for _ in range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}


async def test_what_was_made_has_the_tag_of_what_it_is_now(client: httpx.AsyncClient, api: Api) -> None:
    school = await client.post("/schools", json={"name": "Springfield"})
    student = await client.post("/students", json={"school_id": school.json()["id"], "full_name": "Lisa"})
    bill = {"student_id": student.json()["id"], "total_amount": "100.00", "due_date": "2026-02-28"}
    invoice = await client.post("/invoices", json=bill)
    payment = await client.post("/payments", json={"invoice_id": invoice.json()["id"], "amount": "1.00"})
    for made in (school, student, payment):
        assert made.headers["etag"] == await tag(client, made.headers["location"])
    # The payment has moved the totals of the invoice, and whoever read it before must read it again.
    assert invoice.headers["etag"] != await tag(client, invoice.headers["location"])
    change = {"total_amount": "50.00"}
    stale = await client.patch(invoice.headers["location"], json=change, headers={"If-Match": invoice.headers["etag"]})
    problem(stale, 412, "precondition_failed")


async def test_every_way_in_which_money_moves_changes_the_tag_of_its_invoices(api: Api) -> None:
    student = await api.student()
    first, second = [f"/invoices/{(await api.invoice(student))['id']}" for _ in range(2)]
    seen = [(await tag(api.client, first), await tag(api.client, second))]
    payment = await api.pay({"id": first.rpartition("/")[2]}, "10.00")
    seen.append((await tag(api.client, first), await tag(api.client, second)))
    path = f"/payments/{payment['id']}"
    await api.client.patch(path, json={"amount": "11.00"})
    seen.append((await tag(api.client, first), await tag(api.client, second)))
    await api.client.patch(path, json={"invoice_id": second.rpartition("/")[2]})
    seen.append((await tag(api.client, first), await tag(api.client, second)))
    await api.client.delete(path)
    seen.append((await tag(api.client, first), await tag(api.client, second)))
    assert [len({tags[n] for tags in seen}) for n in (0, 1)] == [4, 3]
    assert seen[0][1] == seen[1][1] == seen[2][1]


async def test_an_invoice_is_voided_only_as_it_was_read(api: Api) -> None:
    path = f"/invoices/{(await api.invoice())['id']}"
    stale, body = await tag(api.client, path), {"reason": "Entered twice"}
    await api.client.patch(path, json={"description": "Not twice at all"})
    problem(await api.client.post(f"{path}/void", json=body, headers={"If-Match": stale}), 412, "precondition_failed")
    assert (await api.get(path))["status"] == "PENDING"
    current = {"If-Match": await tag(api.client, path)}
    voided = await api.client.post(f"{path}/void", json=body, headers=current)
    assert voided.json()["status"] == "VOID"
    assert voided.headers["etag"] == await tag(api.client, path)
    problem(await api.client.post(f"{path}/void", json=body, headers=current), 412, "precondition_failed")
    problem(await api.client.post(f"{path}/void", json=body, headers={"If-Match": "*"}), 409, "invoice_void")


async def test_any_tag_of_a_list_will_do_and_a_star_means_any_version(
    client: httpx.AsyncClient, noun: str, path: str
) -> None:
    body = CHANGES[noun][0]
    old, current = await tag(client, path), (await client.patch(path, json=body)).headers["etag"]
    answer = await client.patch(path, json=body, headers={"If-Match": f'"x,y", {old}, {current}'})
    assert answer.status_code == 200
    twice = [("If-Match", old), ("If-Match", answer.headers["etag"])]
    assert (await client.patch(path, json=body, headers=twice)).status_code == 200
    assert (await client.patch(path, json=body, headers={"If-Match": "*"})).status_code == 200
    assert (await client.patch(path, json=body)).status_code == 200


async def test_a_weak_tag_or_one_of_somebody_elses_matches_nothing(
    client: httpx.AsyncClient, noun: str, path: str
) -> None:
    etag = await tag(client, path)
    for value in (
        f"W/{etag}",
        '"x"',
        '""',
        LONG_AGO,
        f'"0{etag[1:]}',
        f'"{"f" * 1_000}"',
        '"*"',
        f'"{etag[1:-1]}\xff"',
    ):
        headers = [(b"If-Match", value.encode("latin-1"))]
        problem(await client.patch(path, json=CHANGES[noun][0], headers=headers), 412, "precondition_failed")
        problem(await client.delete(path, headers=headers), 412, "precondition_failed")
    assert await tag(client, path) == etag


async def test_versions_at_the_ends_of_the_calendar_are_only_versions(client: httpx.AsyncClient, path: str) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for end in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        value = f'"{(end - epoch) // timedelta(microseconds=1):x}"'
        problem(await client.patch(path, json={}, headers={"If-Match": value}), 412, "precondition_failed")


async def test_what_does_not_exist_is_404_whatever_is_expected_of_it(client: httpx.AsyncClient, noun: str) -> None:
    for value in ("*", LONG_AGO, '"x"'):
        headers = {"If-Match": value}
        problem(await client.patch(f"/{noun}/{NOBODY}", json={}, headers=headers), 404)
        problem(await client.delete(f"/{noun}/{NOBODY}", headers=headers), 404)
    problem(await client.post(f"/invoices/{NOBODY}/void", json={"reason": "x"}, headers={"If-Match": LONG_AGO}), 404)


async def test_another_schools_is_404_whatever_is_expected_of_it(
    client: httpx.AsyncClient, api: Api, make_client: Callable[..., httpx.AsyncClient], noun: str, path: str
) -> None:
    own = await api.school()
    etag = await tag(client, path)
    async with make_client(Role.ADMIN, UUID(own["id"])) as stranger:
        for value in (etag, "*", LONG_AGO, f"W/{etag}"):
            problem(await stranger.get(path, headers={"If-None-Match": value}), 404)
            problem(await stranger.patch(path, json=CHANGES[noun][1], headers={"If-Match": value}), 404)
            problem(await stranger.delete(path, headers={"If-Match": value}), 404)
            if noun == "invoices":
                body = {"reason": "x"}
                problem(await stranger.post(f"{path}/void", json=body, headers={"If-Match": value}), 404)
    assert await tag(client, path) == etag


async def test_a_change_of_the_right_version_that_is_refused_still_says_why(api: Api) -> None:
    student = await api.student()
    invoice = await api.invoice(student)
    payment = await api.pay(invoice, "100.00")
    other = await api.student({"id": student["school_id"]})
    path, payment_path = f"/invoices/{invoice['id']}", f"/payments/{payment['id']}"
    school_path, student_path = f"/schools/{student['school_id']}", f"/students/{student['id']}"
    client = api.client
    for method, where, body, status, code in [
        ("PATCH", school_path, {"currency": "EUR"}, 409, "currency_in_use"),
        ("DELETE", school_path, None, 409, "in_use"),
        ("DELETE", student_path, None, 409, "in_use"),
        ("PATCH", path, {"student_id": other["id"]}, 409, "invoice_has_payments"),
        ("PATCH", path, {"total_amount": "99.99"}, 409, "overpayment"),
        ("DELETE", path, None, 409, "invoice_has_payments"),
        ("PATCH", payment_path, {"amount": "100.01"}, 409, "overpayment"),
        ("PATCH", payment_path, {"invoice_id": NOBODY}, 404, "invoice_not_found"),
    ]:
        current = {"If-Match": await tag(client, where)}
        problem(await client.request(method, where, json=body, headers=current), status, code)
        # The version comes first: of another one it says nothing but that.
        stale = await client.request(method, where, json=body, headers={"If-Match": LONG_AGO})
        problem(stale, 412, "precondition_failed")


async def test_a_replayed_answer_has_the_tag_of_the_row_that_it_shows(api: Api) -> None:
    invoice = await api.invoice()
    body, key = {"invoice_id": invoice["id"], "amount": "10.00"}, {"Idempotency-Key": str(uuid4())}
    first = await api.client.post("/payments", json=body, headers=key)
    again = await api.client.post("/payments", json=body, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["etag"] == first.headers["etag"] == await tag(api.client, first.headers["location"])
    await api.client.patch(first.headers["location"], json={"reference": "changed"})
    late = await api.client.post("/payments", json=body, headers=key)
    assert late.json() == first.json()
    assert late.headers["etag"] == first.headers["etag"]
    refused = await api.client.delete(first.headers["location"], headers={"If-Match": late.headers["etag"]})
    problem(refused, 412, "precondition_failed")


async def test_a_refused_change_leaves_no_trace_in_the_audit_trail(api: Api) -> None:
    student = await api.student()
    path = f"/students/{student['id']}"
    await api.client.patch(path, json={"full_name": "x"}, headers={"If-Match": LONG_AGO})
    await api.client.delete(path, headers={"If-Match": LONG_AGO})
    entries = await api.get(f"/audit?entity_id={student['id']}")
    assert [entry["action"] for entry in entries] == ["INSERT"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_that_waited_while_another_came_first_is_refused(
    api: Api, psql: Any, noun: str, thing: Json, path: str, method: str
) -> None:
    """The tag was right when the request came; the statement itself sees that it is not any more."""
    headers = {"If-Match": await tag(api.client, path)}
    column, change = next(iter(CHANGES[noun][0].items()))
    transaction = psql.transaction()
    await transaction.start()
    await psql.execute(
        f"update {noun} set {column} = $1, updated_at = greatest(now(), updated_at + interval '1 microsecond') "
        "where id = $2",
        *(change, thing["id"]),
    )
    body = CHANGES[noun][1] if method == "PATCH" else None
    waiting = asyncio.create_task(api.client.request(method, path, json=body, headers=headers))
    await until_waiting(psql)
    await transaction.commit()
    problem(await waiting, 412, "precondition_failed")
    assert (await api.get(path))[column] == change


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_that_waited_for_one_that_was_undone_is_made(
    api: Api, psql: Any, noun: str, thing: Json, path: str, method: str
) -> None:
    headers = {"If-Match": await tag(api.client, path)}
    transaction = psql.transaction()
    await transaction.start()
    await psql.execute(f"update {noun} set updated_at = updated_at + interval '1 second' where id = $1", thing["id"])
    body = CHANGES[noun][1] if method == "PATCH" else None
    waiting = asyncio.create_task(api.client.request(method, path, json=body, headers=headers))
    await until_waiting(psql)
    await transaction.rollback()
    assert (await waiting).status_code in {200, 204}


async def test_an_invoice_is_not_voided_by_who_waited_for_a_payment_that_was_refunded(api: Api, psql: Any) -> None:
    invoice = await api.invoice()
    path = f"/invoices/{invoice['id']}"
    headers = {"If-Match": await tag(api.client, path)}
    transaction = psql.transaction()
    await transaction.start()
    for kind in ("PAYMENT", "REFUND"):
        await run(psql, "payments/create", **payment_values(invoice, kind=kind))
    voiding = asyncio.create_task(api.client.post(f"{path}/void", json={"reason": "Unused"}, headers=headers))
    await until_waiting(psql)
    await transaction.commit()
    problem(await voiding, 412, "precondition_failed")
    assert (await api.reload(invoice))["status"] == "PENDING"


def payment_values(invoice: Json, **values: Any) -> dict[str, Any]:
    return {"invoice_id": invoice["id"], "kind": "PAYMENT", "amount": 10} | values


async def run(psql: Any, name: str, **values: Any) -> Any:
    """Run a statement of the API as psql would; parameters that are not given are null."""
    query = Query.registered[name]
    nothing: dict[str, Any] = dict.fromkeys(set(query.parameters) - set(query.from_context))
    return await psql.fetchrow(query.text, *query.arguments(nothing | values))


async def change(psql: Any, noun: str, thing: Json) -> datetime:
    given: dict[str, Any] = {f"{noun.removesuffix('s')}_id": thing["id"]}
    for flag in ("external_id_given", "description_given", "method_given", "reference_given"):
        if flag in Query.registered[f"{noun}/update"].parameters:
            given[flag] = False
    version: datetime = (await run(psql, f"{noun}/update", **given))["updated_at"]
    return version


async def test_a_version_never_comes_twice_although_the_clock_stands_still(psql: Any, noun: str, thing: Json) -> None:
    async with psql.transaction():
        now = await psql.fetchval("select now()")
        versions = [await change(psql, noun, thing) for _ in range(3)]
        assert await psql.fetchval("select now()") == now
    assert versions == [now, now + timedelta(microseconds=1), now + timedelta(microseconds=2)]


async def test_a_version_never_goes_back_although_who_began_first_comes_last(
    psql: Any, database_url: str, noun: str, thing: Json
) -> None:
    async with psql.transaction():
        began_first = await psql.fetchval("select now()")
        other = await asyncpg.connect(database_url)
        first = await change(other, noun, thing)
        await other.close()
        last = await change(psql, noun, thing)
    assert began_first < first < last


async def test_a_version_never_goes_back_although_the_clock_does(
    api: Api, psql: Any, noun: str, thing: Json, path: str
) -> None:
    # As a clock that ran ahead would have left it; the trigger, which is off for this, gives it no other.
    await psql.execute("set session_replication_role = replica")
    ahead = await psql.fetchval(
        f"update {noun} set updated_at = now() + interval '1 hour' where id = $1 returning updated_at", thing["id"]
    )
    stale = await tag(api.client, path)
    changed = await api.client.patch(path, json=CHANGES[noun][0], headers={"If-Match": stale})
    assert datetime.fromisoformat(changed.json()["updated_at"]) == ahead + timedelta(microseconds=1)
    problem(await api.client.delete(path, headers={"If-Match": stale}), 412, "precondition_failed")


async def test_every_payment_of_one_instant_gives_its_invoice_another_version(api: Api, psql: Any) -> None:
    student = await api.student()
    first, second = await api.invoice(student), await api.invoice(student)
    versions = []

    async def look() -> None:
        versions.append(
            [
                await psql.fetchval("select updated_at from invoices where id = $1", invoice["id"])
                for invoice in (first, second)
            ]
        )

    async with psql.transaction():
        for kind in ("PAYMENT", "REFUND"):
            await run(psql, "payments/create", **payment_values(first, kind=kind))
            await look()
        payment = await run(psql, "payments/create", **payment_values(first))
        await look()
        given = {"payment_id": payment["id"], "method_given": False, "reference_given": False}
        await run(psql, "payments/update", **given, amount=11)
        await look()
        await run(psql, "payments/update", **given, invoice_id=second["id"])
        await look()
        await run(psql, "payments/delete", payment_id=payment["id"])
        await look()
        voided = await run(psql, "invoices/void", invoice_id=first["id"], reason="Entered twice")
    of_first, of_second = (list(column) for column in zip(*versions, strict=True))
    assert of_first == [of_first[0] + timedelta(microseconds=n) for n in (0, 1, 2, 3, 4, 4)]
    assert of_second[:4] == [of_second[0]] * 4
    assert of_second[3] < of_second[4] < of_second[5]
    assert voided["updated_at"] > of_first[5]


async def test_money_still_cannot_have_moved_in_the_future(api: Api) -> None:
    payment = await api.pay(await api.invoice(), "10.00")
    path = f"/payments/{payment['id']}"
    for _ in range(3):
        soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        refused = await api.client.patch(
            path, json={"paid_at": soon}, headers={"If-Match": await tag(api.client, path)}
        )
        assert [error["field"] for error in problem(refused, 422)["errors"]] == ["paid_at"]
        assert (await api.client.patch(path, json={"paid_at": payment["paid_at"]})).status_code == 200
