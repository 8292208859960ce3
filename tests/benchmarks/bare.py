"""The limit to compare with: Litestar handlers that run the same SQL with plain asyncpg and return bytes.

They know no token, no request id, no metrics, no log line, no tenant, no page, no entity tag, and no error. The pool
resets nothing when a connection goes back, which is asyncpg's fastest way.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
import uvicorn
from litestar import Litestar, MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from school_billing.invoices.repository import LIST
from school_billing.payments.repository import CREATE
from school_billing.platform.database.sql import AnyQuery
from school_billing.platform.web.pages import NIL
from school_billing.receipts.repository import ALLOCATE
from school_billing.statements.repository import ROLL_FORWARD, SCHOOL, STUDENT
from school_billing.students.repository import GET

JSON = MediaType.JSON


class NewPayment(msgspec.Struct):
    """A payment as the benchmark sends it."""

    invoice_id: UUID
    amount: Decimal
    method: str


@get("/health", media_type=JSON)
async def health() -> bytes:
    """Answer what the service answers."""
    return b'{"status":"ok"}'


@get("/students/{student_id:str}", media_type=JSON)
async def student(student_id: FromPath[UUID], state: State) -> bytes:
    """Answer with a row."""
    row = await state.pool.fetchrow(GET.text, *_ordered(GET, student_id=student_id))
    return msgspec.json.encode(dict(row))


@get("/invoices", media_type=JSON)
async def invoices(school_id: FromQuery[UUID], limit: FromQuery[int], state: State) -> bytes:
    """Answer with a list of rows."""
    values = _ordered(LIST, school_id=school_id, after=NIL, newest_first=False, limit=limit + 1, offset=0)
    rows = await state.pool.fetch(LIST.text, *values)
    return msgspec.json.encode([dict(row) for row in rows[:limit]])


@get("/students/{student_id:str}/statement", media_type=JSON)
async def student_statement(student_id: FromPath[UUID], state: State) -> bytes:
    """Answer with the document of the database."""
    document: str = await state.pool.fetchval(STUDENT.text, *_ordered(STUDENT, student_id=student_id))
    return document.encode()


@get("/schools/{school_id:str}/statement", media_type=JSON)
async def school_statement(school_id: FromPath[UUID], state: State) -> bytes:
    """Answer with the document of the database."""
    values = _ordered(SCHOOL, school_id=school_id, after=NIL, limit=100, offset=0)
    document: str = await state.pool.fetchval(SCHOOL.text, *values)
    return document.encode()


@get("/schools/{school_id:str}/roll-forward", media_type=JSON)
async def roll_forward(
    school_id: FromPath[UUID],
    state: State,
    starts_on: Annotated[date, QueryParameter(name="from")],
    ends_on: Annotated[date, QueryParameter(name="to")],
) -> bytes:
    """Answer with the document of the database."""
    values = _ordered(ROLL_FORWARD, school_id=school_id, starts_on=starts_on, ends_on=ends_on)
    document: str = await state.pool.fetchval(ROLL_FORWARD.text, *values)
    return document.encode()


@post("/payments", media_type=JSON)
async def create_payment(data: JSONBody[NewPayment], request: Request[Any, Any, Any], state: State) -> bytes:
    """Record a payment, once for each Idempotency-Key."""
    key = request.headers.get("idempotency-key")
    claimed = {"idempotency_scope": "bare", "fingerprint": sha256(await request.body()).digest()} if key else {}
    payment = {"invoice_id": data.invoice_id, "amount": data.amount, "method": data.method, "kind": "PAYMENT"}
    values = _ordered(CREATE, idempotency_key=key, **claimed, **payment)
    row = await state.pool.fetchrow(CREATE.text, *values)
    return msgspec.json.encode(dict(row))


class NewAllocation(msgspec.Struct):
    """What an invoice gets, as the benchmark sends it."""

    invoice_id: UUID
    amount: Decimal


class NewReceipt(msgspec.Struct):
    """A receipt as the benchmark sends it."""

    school_id: UUID
    amount: Decimal
    method: str
    allocate: list[NewAllocation]


@post("/receipts", media_type=JSON)
async def create_receipt(data: JSONBody[NewReceipt], state: State) -> bytes:
    """Record a receipt over the invoices of its list."""
    money = {"school_id": data.school_id, "amount": data.amount, "method": data.method, "rule": "list"}
    listed = {
        "invoice_ids": [one.invoice_id for one in data.allocate],
        "invoice_amounts": [one.amount for one in data.allocate],
    }
    row = dict(await state.pool.fetchrow(ALLOCATE.text, *_ordered(ALLOCATE, **money, **listed)))
    lists = {name: msgspec.Raw(row[name].encode()) for name in ("allocations", "refunds")}
    return msgspec.json.encode(row | lists)


def _ordered(query: AnyQuery, **values: Any) -> list[Any]:
    """Put `values` in the order of the parameters; what is missing is null."""
    return [values.get(name) for name in query.parameters]


@asynccontextmanager
async def _pool(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=10, reset=_leave_as_is) as pool:
        app.state.pool = pool
        yield


async def _leave_as_is(_connection: object) -> None:
    pass


app = Litestar(
    [health, student, invoices, student_statement, school_statement, roll_forward, create_payment, create_receipt],
    lifespan=[_pool],
    openapi_config=None,
    logging_config=None,
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )
