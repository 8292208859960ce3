"""The API in the words of the domain: factories with good defaults, so that a test spells out what matters."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import httpx

from school_billing.platform.observability.middleware import Observed

Json = dict[str, Any]
NOBODY = "01980000-0000-7000-8000-00000000dead"
"""An id that nothing has."""


class Api:
    """Creates things through HTTP and returns them as the API gave them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def school(self, **fields: Any) -> Json:
        """Add a school."""
        return await self._post("/schools", {"name": "Springfield Elementary"} | fields)

    async def student(self, school: Json | None = None, **fields: Any) -> Json:
        """Add a student, to a new school unless one is given."""
        school = school or await self.school()
        return await self._post("/students", {"school_id": school["id"], "full_name": "Lisa Simpson"} | fields)

    async def payer(self, school: Json | None = None, **fields: Any) -> Json:
        """Add a payer, to a new school unless one is given."""
        school = school or await self.school()
        return await self._post("/payers", {"school_id": school["id"], "name": "Marge Simpson"} | fields)

    async def set_payers(self, student: Json, shares: dict[str, Any]) -> list[Json]:
        """Set the payers of a student: the share of each by the payer's id."""
        payers = [{"payer_id": payer, "share": share} for payer, share in shares.items()]
        response = await self.client.put(f"/students/{student['id']}/payers", json={"payers": payers})
        assert response.status_code == 200, response.text
        listed: list[Json] = response.json()
        return listed

    async def invoice(self, student: Json | None = None, total: str | None = "100.00", **fields: Any) -> Json:
        """Raise an invoice, on a new student of a new school unless one is given."""
        student = student or await self.student()
        body = {"student_id": student["id"], "total_amount": total, "due_date": "2026-02-28"}
        return await self._post("/invoices", body | fields)

    async def pay(self, invoice: Json, amount: str, **fields: Any) -> Json:
        """Record a payment."""
        return await self._post("/payments", {"invoice_id": invoice["id"], "amount": amount} | fields)

    async def refund(self, invoice: Json, amount: str, **fields: Any) -> Json:
        """Record a refund."""
        return await self.pay(invoice, amount, kind="REFUND", **fields)

    async def receipt(self, payer: Json, amount: str, **fields: Any) -> Json:
        """Record money of a payer, and pay his invoices with it, oldest due date first."""
        return await self._post("/receipts", {"payer_id": payer["id"], "amount": amount} | fields)

    async def plan(self, school: Json, *items: tuple[str, str], rules: Any = (), **fields: Any) -> Json:
        """Add a fee plan with items, each a category and an amount."""
        listed = [{"category": one, "description": one.title(), "amount": amount} for one, amount in items]
        body = {"school_id": school["id"], "name": "Term", "items": listed, "rules": list(rules)}
        return await self._post("/fee-plans", body | fields)

    async def award(self, student: Json, **fields: Any) -> Json:
        """Give a student an award."""
        given = {"valid_from": "2026-01-01", "reason": "Merit", "approved_by": "Board"}
        return await self._post("/awards", {"student_id": student["id"]} | given | fields)

    async def preview(self, plan: Json, period: str = "T1", **fields: Any) -> Json:
        """Preview a billing run of a plan, with one due date."""
        body = {"plan_id": plan["id"], "period": period, "due_dates": ["2026-10-15"], "issued_at": "2026-09-01"}
        return await self._post(f"/schools/{plan['school_id']}/billing-runs", body | fields)

    async def late_fees(self, plan: Json, issued_at: str, **fields: Any) -> Json:
        """Preview a run of the late fees of a plan."""
        body = {"plan_id": plan["id"], "due_date": "2099-12-31", "issued_at": issued_at}
        return await self._post(f"/schools/{plan['school_id']}/late-fee-runs", body | fields)

    async def commit(self, run: Json, **fields: Any) -> Json:
        """Commit a billing run."""
        response = await self.client.post(f"/billing-runs/{run['id']}/commit", json=fields)
        assert response.status_code == 200, response.text
        committed: Json = response.json()
        return committed

    async def rows(self, run: Json) -> dict[str, Json]:
        """Return the rows of a billing run, by the student's id."""
        return {row["student_id"]: row for row in await self.get(f"/billing-runs/{run['id']}/rows?limit=500")}

    async def get(self, path: str) -> Any:
        """Return what is at `path`."""
        response = await self.client.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def reload(self, invoice: Json) -> Json:
        """Return the invoice as it is now."""
        found: Json = await self.get(f"/invoices/{invoice['id']}")
        return found

    async def _post(self, path: str, body: Json) -> Json:
        response = await self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        created: Json = response.json()
        return created


def problem(response: httpx.Response, status: int, code: str = "") -> Json:
    """Check that the answer is a problem document of that status, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: Json = response.json()
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    if code:
        assert document["code"] == code
    return document


def figures(problem: Json) -> tuple[str, ...]:
    """Return the figures of the invoice that a problem document tells."""
    names = ("total_amount", "payments_total", "refunds_total", "paid_total", "balance_due")
    return tuple(problem[name] for name in names)


def wrong_fields(response: httpx.Response) -> list[str]:
    """Return the fields that a 422 names."""
    return [error["field"] for error in problem(response, 422)["errors"]]


def is_plain(message: str) -> bool:
    """Tell whether the message of a wrong field is the rest of a sentence, without a word of a type checker."""
    machine = r"`|expected|invalid|\b(got|str|int|float|bool|dict|array|enum|datetime|regex|decimal|struct)\b"
    return re.match(r"(must|is|comes|cannot) ", message) is not None and not re.search(machine, message, re.IGNORECASE)


def client_of(service: Observed, **headers: str) -> httpx.AsyncClient:
    """Return an HTTP client of an application in this process, which must be running."""
    # A 500 is an answer to be looked at, as a client would get it, not an exception in the test.
    transport = httpx.ASGITransport(service, raise_app_exceptions=False)  # type: ignore[arg-type] # ASGI by other names
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)


async def until_waiting(psql: Any, sessions: int = 1, seconds: float = 10) -> None:
    """Wait until so many sessions of the connection's database wait for a lock."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(seconds):
        while await psql.fetchval(waiting) < sessions:
            await asyncio.sleep(0.01)
            await psql.execute("select pg_stat_clear_snapshot()")  # Else a transaction sees only who was there before.


async def in_turn(psql: Any, table: str, row: Json, *requests: Coroutine[Any, Any, httpx.Response]) -> Json:
    """Let requests that change a row wait for it, one behind the other. Return the answer with the last change."""
    async with psql.transaction():
        await psql.execute(f"select 1 from {table} where id = $1 for no key update", row["id"])
        sent = []
        for request in requests:
            sent.append(asyncio.create_task(request))
            await until_waiting(psql, len(sent))
    answers = [await one for one in sent]
    assert all(answer.is_success for answer in answers), [answer.text for answer in answers]
    last: Json = max((answer.json() for answer in answers), key=lambda answer: answer["updated_at"])
    return last
