"""What the real server writes to its log, and what it never writes there."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import msgspec

from school_billing.auth.contracts import Role
from tests.api import Api, Json, problem, until_waiting
from tests.server import serve


def lines_of(log: Path) -> list[Json]:
    """Return the lines, each of which must be JSON."""
    return [msgspec.json.decode(line) for line in log.read_text().splitlines()]


async def test_each_request_is_one_line_with_who_asked_and_every_line_of_the_server_is_json(
    database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with serve(database_url, log) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin) as client:
            school = await Api(client).school()
            own = server.logged_in(Role.ACCOUNTANT, school["id"], "otto")
            answer = await client.get(f"/schools/{school['id']}", headers=own | {"X-Request-Id": "mine-1"})
            assert answer.headers["x-request-id"] == "mine-1"
            await client.get("/nowhere", headers={"X-Request-Id": "mine-2"})
            refused = await client.post("/invoices", json={}, headers={"X-Request-Id": "mine-3"})
            assert problem(refused, 422)["request_id"] == "mine-3"
            await client.get("/health", headers={"X-Request-Id": 'forged"\n'.strip()})
    lines = lines_of(log)
    by_id = {line["request_id"]: line for line in lines if line["event"] == "request"}
    assert len(by_id) == len([line for line in lines if line["event"] == "request"])
    mine = by_id["mine-1"]
    assert mine.pop("duration_ms") > 0
    assert mine.pop("timestamp").endswith("Z")
    assert mine == {
        "event": "request",
        "level": "info",
        "logger": "school_billing.access",
        "method": "GET",
        "route": "/schools/{school_id}",
        "path": f"/schools/{school['id']}",
        "status": 200,
        "user": "otto",
        "school": school["id"],
        "request_id": "mine-1",
    }
    assert (by_id["mine-2"]["route"], by_id["mine-2"]["path"], by_id["mine-2"]["status"]) == ("unmatched", None, 404)
    assert (by_id["mine-3"]["user"], by_id["mine-3"]["school"]) == ("admin", None)
    assert any(line["logger"] == "uvicorn.error" and "startup complete" in line["event"] for line in lines)
    assert not any('forged"' in identifier for identifier in by_id)


async def test_no_secret_no_token_and_no_persons_name_is_logged(
    new_database: Callable[[], str], surprised: Callable[[str], Json], tmp_path: Path
) -> None:
    log, database_url = tmp_path / "log", new_database()
    with serve(database_url, log, LOG_LEVEL="debug", LOG_SLOW_QUERY_MS="1", INTERNAL_TOKEN="internal-x" * 5) as server:
        headers = server.admin
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
            student = await Api(client).student(full_name="Lisa Simpson")
            await client.get(f"/students/{student['id']}?full_name=Lisa%20Simpson")
            await client.get("/students?q=Lisa%20Simpson")
            await client.get("/students/Lisa%20Simpson")
            await client.get("/Lisa%20Simpson/invoices")
            await client.request("Simpson", "/students")
            await client.post("/auth/login", json={"username": "Lisa Simpson", "password": "hunter2hunter2"})
            await client.post("/students", json={"full_name": "Lisa Simpson", "school_id": "Simpson"})
            await client.post("/students", json={"full_name": "x"}, headers={"Idempotency-Key": "Simpson-1"})
            await client.get("/metrics", headers={"Authorization": "Bearer " + "internal-x" * 5})
            await client.get("/schools", headers={"Authorization": "Bearer sbk_Simpson"})
            await client.post("/auth/refresh", json={"refresh_token": "sbr_Simpson"})
            await client.post(
                "/invoices", json={"student_id": student["id"], "total_amount": "1", "due_date": "Simpson"}
            )
            # The driver's own words quote the row that was refused.
            bug = await client.post("/students", json=surprised(database_url), headers={"X-Request-Id": "bug-1"})
            problem(bug, 500, "internal_error")
    text = log.read_text()
    for secret in ("Simpson", "hunter2", headers["Authorization"][7:], "internal-x", "sbk_", "sbr_"):
        assert secret not in text
    (logged,) = [line for line in lines_of(log) if line["event"] == "unhandled error"]
    assert logged["request_id"] == "bug-1"
    assert [error["exc_type"] for error in logged["exception"]] == ["ConstraintViolated", "CheckViolationError"]
    assert logged["exception"][1]["exc_value"] == "SQLSTATE 23514, constraint surprise, table students"
    assert logged["exception"][0]["frames"][-1]["filename"].endswith("pool.py")


async def test_a_slow_query_is_logged_by_its_name_without_its_values(database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serve(database_url, log, LOG_SLOW_QUERY_MS="50") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin) as client:
            api = Api(client)
            invoice = await api.invoice(total="9000.00")
            psql = await asyncpg.connect(database_url)
            async with psql.transaction():
                await psql.execute("select from invoices where id = $1 for update", invoice["id"])
                paying = asyncio.create_task(api.pay(invoice, "6041.99", reference="REF-41", method="cheque"))
                await until_waiting(psql)
                await psql.execute("select pg_sleep(0.06)")
            await paying
            await psql.close()
    slow = [line for line in lines_of(log) if line["event"] == "slow query"]
    # On a busy machine others may be slow as well, but none is logged that is not.
    assert all(line["duration_ms"] >= 50 for line in slow)
    (line,) = [line for line in slow if line["query"] == "payments/create"]
    assert line["duration_ms"] >= 60
    assert line["level"] == "warning"
    assert line["request_id"] in {known["request_id"] for known in lines_of(log) if known["event"] == "request"}
    text = log.read_text()
    assert "6041.99" not in text  # No time has four digits before its point.
    assert "REF-41" not in text
    assert "cheque" not in text
