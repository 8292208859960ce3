"""What each role is allowed to do."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from school_billing.app import create_app
from school_billing.auth.contracts import Role
from school_billing.auth.errors import WrongCredentials
from school_billing.auth.passwords import hash_password
from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.users.repository import Users
from tests.api import NOBODY, Api, client_of, problem, wrong_fields
from tests.conftest import running

MakeClient = Callable[..., httpx.AsyncClient]


@pytest.fixture(scope="module")
async def user(database_url: str) -> tuple[str, str]:
    async with Database(Settings(database_url=database_url)) as database:
        await Users(database).create(None, "Lisa", hash_password("saxophone forever"), Role.ACCOUNTANT, None)
    return "lisa", "saxophone forever"


async def test_a_log_in_gives_a_token_that_allows_writes(
    anonymous: httpx.AsyncClient, user: tuple[str, str], api: Api
) -> None:
    response = await anonymous.post("/auth/login", json={"username": "LISA", "password": user[1]})
    assert response.status_code == 200
    token = response.json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 900)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    body = {"school_id": (await api.school())["id"], "full_name": "Bart"}
    assert (await anonymous.post("/students", json=body, headers=headers)).status_code == 201
    problem(await anonymous.post("/schools", json={"name": "x"}, headers=headers), 403, "forbidden")


@pytest.mark.parametrize("body", [{"password": "wrong"}, {"username": "nobody"}, {"password": ""}, {"username": ""}])
async def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(
    anonymous: httpx.AsyncClient, user: tuple[str, str], body: dict[str, str]
) -> None:
    credentials = {"username": user[0], "password": user[1]} | body
    response = await anonymous.post("/auth/login", json=credentials)
    assert problem(response, 401)["detail"] == WrongCredentials.__doc__
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_malformed_log_in_names_its_wrong_fields(anonymous: httpx.AsyncClient) -> None:
    assert wrong_fields(await anonymous.post("/auth/login", json={"username": 1})) == ["username", "password"]
    response = await anonymous.post("/auth/login", json={"username": "a\x00", "password": "x"})
    assert wrong_fields(response) == ["username"]


WRITES = [
    ("POST", "/schools"), ("PATCH", f"/schools/{NOBODY}"), ("DELETE", f"/schools/{NOBODY}"),
    ("POST", "/students"), ("PATCH", f"/students/{NOBODY}"), ("DELETE", f"/students/{NOBODY}"),
    ("POST", "/invoices"), ("PATCH", f"/invoices/{NOBODY}"), ("DELETE", f"/invoices/{NOBODY}"),
    ("POST", "/payments"), ("PATCH", f"/payments/{NOBODY}"), ("DELETE", f"/payments/{NOBODY}"),
    ("POST", "/fee-plans"), ("PATCH", f"/fee-plans/{NOBODY}"), ("DELETE", f"/fee-plans/{NOBODY}"),
    ("POST", "/awards"), ("PATCH", f"/awards/{NOBODY}"), ("DELETE", f"/awards/{NOBODY}"),
    ("POST", f"/billing-runs/{NOBODY}/commit"), ("POST", f"/billing-runs/{NOBODY}/abandon"),
    ("POST", f"/billing-runs/{NOBODY}/revert"),
]  # fmt: skip
READS = ["/schools", "/students", "/invoices", "/payments", "/fee-plans", "/awards", "/billing-runs",
         f"/schools/{NOBODY}/statement", f"/invoices/{NOBODY}"]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_write_without_a_token_is_401_whatever_its_body(
    anonymous: httpx.AsyncClient, method: str, path: str
) -> None:
    response = await anonymous.request(method, path, content=b"{broken")
    problem(response, 401, "not_authenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="school-billing"'


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_viewer_cannot_change_anything(make_client: MakeClient, method: str, path: str) -> None:
    async with make_client(Role.VIEWER) as viewer:
        problem(await viewer.request(method, path, json={}), 403, "forbidden")
        assert (await viewer.get("/schools")).status_code == 200


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_an_accountant_can_change_the_books_but_not_schools(
    make_client: MakeClient, method: str, path: str
) -> None:
    async with make_client(Role.ACCOUNTANT) as accountant:
        response = await accountant.request(method, path, json={})
    assert (response.status_code == 403) == path.startswith("/schools")


@pytest.mark.parametrize("path", READS)
async def test_reads_are_open_in_development(anonymous: httpx.AsyncClient, path: str) -> None:
    assert (await anonymous.get(path)).status_code in {200, 404}


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi", "", "Token x"])
async def test_a_bad_token_is_refused_even_if_none_is_needed(anonymous: httpx.AsyncClient, header: str) -> None:
    response = await anonymous.get("/schools", headers={"Authorization": header})
    problem(response, 401, "not_authenticated")
    assert (await anonymous.get("/health", headers={"Authorization": header})).status_code == 200


async def test_production_reads_need_a_token(settings: Settings) -> None:
    production = Settings(
        environment="production", database_url=settings.database_url, jwt_secret="0123456789abcdef0123456789abcdef"
    )
    service = create_app(production)
    async with running(service), client_of(service) as client:
        for path in READS:
            problem(await client.get(path), 401, "not_authenticated")
        for path in ("/health", "/health/db", "/metrics", "/docs", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        security = (await client.get("/openapi.json")).json()["paths"]["/schools"]["get"]["security"]
        assert security == [{"bearer": []}]


async def test_a_user_of_one_school_sees_and_changes_only_that_school(api: Api, make_client: MakeClient) -> None:
    mine, other = await api.school(), await api.school()
    my_student, student = await api.student(mine), await api.student(other)
    my_invoice, invoice = await api.invoice(my_student), await api.invoice(student)
    await api.pay(my_invoice, "1.00")
    payment = await api.pay(invoice, "1.00")
    before = await api.get(f"/schools/{other['id']}/statement")
    async with make_client(Role.ADMIN, UUID(mine["id"])) as bound:
        for path, expected in {
            "/schools": [mine["id"]],
            "/students": [my_student["id"]],
            "/invoices": [my_invoice["id"]],
            f"/students?school_id={other['id']}": [],
            f"/invoices?school_id={other['id']}": [],
            f"/invoices?student_id={student['id']}": [],
            f"/payments?school_id={other['id']}": [],
            f"/payments?invoice_id={invoice['id']}": [],
        }.items():
            assert [row["id"] for row in (await bound.get(path)).json()] == expected, path
        assert {row["school_id"] for row in (await bound.get("/payments")).json()} == {mine["id"]}
        assert (await bound.get(f"/schools/{mine['id']}/statement")).status_code == 200
        for path in (
            f"/schools/{other['id']}", f"/schools/{other['id']}/students", f"/schools/{other['id']}/statement",
            f"/students/{student['id']}", f"/students/{student['id']}/invoices", f"/students/{student['id']}/statement",
            f"/invoices/{invoice['id']}", f"/invoices/{invoice['id']}/payments", f"/payments/{payment['id']}",
        ):  # fmt: skip
            problem(await bound.get(path), 404)
        for noun, row in (("schools", other), ("students", student), ("invoices", invoice), ("payments", payment)):
            problem(await bound.patch(f"/{noun}/{row['id']}", json={}), 404)
            problem(await bound.delete(f"/{noun}/{row['id']}"), 404)
        due = {"total_amount": "1.00", "due_date": "2026-01-01"}
        problem(await bound.post("/students", json={"school_id": other["id"], "full_name": "x"}), 404)
        problem(await bound.post("/invoices", json={"student_id": student["id"]} | due), 404)
        problem(await bound.post("/payments", json={"invoice_id": invoice["id"], "amount": "1.00"}), 404)
        problem(await bound.post("/schools", json={"name": "mine too"}), 403)
        my_payment = (await bound.get("/payments")).json()[0]
        moved = await bound.patch(f"/payments/{my_payment['id']}", json={"invoice_id": invoice["id"]})
        problem(moved, 404, "invoice_not_found")
        moved = await bound.patch(f"/invoices/{my_invoice['id']}", json={"student_id": student["id"]})
        assert moved.status_code in {404, 409}
    assert await api.get(f"/schools/{other['id']}/statement") == before
