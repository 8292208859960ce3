"""Two commits at once, payments during a commit, and a server that is killed in the middle of one."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import httpx
import pytest

from tests.api import Api, Json, until_waiting
from tests.server import serve

Psql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def watcher(database_url: str) -> AsyncIterator[Psql]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def billed_school(api: Api, students: int, kind: str = "FEES") -> tuple[Json, list[Json]]:
    """Return a plan of a school that numbers its invoices, and the students of the school."""
    school = await api.school(invoice_prefix="RACE")
    listed = [await api.student(school, full_name=f"Student {number}") for number in range(students)]
    await api.invoice(listed[0], "5.00")
    late_fee = {"kind": "late_fee", "amount": "50.00", "after_days": 7, "maximum_times": 2}
    plan = await api.plan(school, ("tuition", "100.00"), rules=[late_fee])
    if kind == "LATE_FEES":
        await api.commit(await api.preview(plan))
    return plan, listed


@asynccontextmanager
async def held(psql: Psql, query: str, school_id: str) -> AsyncIterator[None]:
    """Keep rows locked during the block."""
    async with psql.transaction():
        await psql.fetch(query, school_id)
        yield


COUNTERS = "select 1 from document_counters where school_id = $1 for update"
PLANS = "select 1 from fee_plans where school_id = $1 for update"


async def preview(api: Api, plan: Json, kind: str) -> Json:
    """Preview 100.00 for each student: as fees, or as late fees of invoices that are overdue."""
    if kind == "FEES":
        return await api.preview(plan, due_dates=["2026-10-01", "2026-11-01"])
    return await api.late_fees(plan, "2026-11-15")


async def totals(api: Api, plan: Json) -> list[str]:
    """Return what the runs of the plan billed, without the first invoice of the school and what is late."""
    listed = await api.get(f"/invoices?school_id={plan['school_id']}&limit=500")
    numbers = [one["number"][-6:] for one in listed]
    assert sorted(numbers) == [f"{number:06}" for number in range(1, len(listed) + 1)]
    late = {one["late_invoice_id"] for one in listed}
    return [one["total_amount"] for one in listed[1:] if one["id"] not in late]


@pytest.mark.parametrize("kind", ["FEES", "LATE_FEES"])
async def test_of_two_runs_that_are_committed_at_once_one_bills(api: Api, psql: Psql, watcher: Psql, kind: str) -> None:
    """Between the previews the payer changes, so the unique index alone would let both bill the student."""
    plan, (student,) = await billed_school(api, 1, kind)
    first = await preview(api, plan, kind)
    async with held(psql, COUNTERS, plan["school_id"]):
        commits = [asyncio.create_task(api.commit(first)) for _ in range(2)]
        await until_waiting(watcher, 2)
        payer = await api.payer({"id": plan["school_id"]})
        await api.set_payers(student, {payer["id"]: "100"})
        second = await preview(api, plan, kind)
        assert second["counts"] == {"will_create": 1}  # The first run has not committed yet.
        commits.append(asyncio.create_task(api.commit(second)))
        await until_waiting(watcher, 3)
    same, again, late = await asyncio.gather(*commits)
    assert same == again
    assert (same["counts"], late["counts"]) == ({"created": 1}, {"changed": 1})
    assert await totals(api, plan) == ["50.00"] * 2


async def test_a_commit_waits_for_a_change_of_the_plan_and_sees_it(api: Api, psql: Psql, watcher: Psql) -> None:
    plan, _ = await billed_school(api, 1)
    run = await api.preview(plan)
    async with held(psql, PLANS, plan["school_id"]):
        change = {"rules": [{"kind": "fixed", "amount": "1.00"}]}
        patch = asyncio.create_task(api.client.patch(f"/fee-plans/{plan['id']}", json=change))
        await until_waiting(watcher, 1)
        commit = asyncio.create_task(api.commit(run))
        await until_waiting(watcher, 2)
    assert (await patch).status_code == 200
    assert (await commit)["counts"] == {"changed": 1}
    assert await totals(api, plan) == []


async def test_payments_and_receipts_go_on_during_a_commit(api: Api, psql: Psql, watcher: Psql) -> None:
    plan, (student, _) = await billed_school(api, 2)
    payer = await api.payer({"id": plan["school_id"]})
    await api.set_payers(student, {payer["id"]: "100"})
    earlier = await api.invoice(student, "30.00")
    run = await api.preview(plan)
    async with held(psql, COUNTERS.replace("$1", "$1 and series = 'INVOICE'"), plan["school_id"]):
        commit = asyncio.create_task(api.commit(run))
        await until_waiting(watcher, 1)
        await api.pay(earlier, "10.00")
        receipt = await api.receipt(payer, "25.00")
    assert (await commit)["counts"] == {"created": 2}
    assert receipt["unallocated"] == "5.00"  # The invoices of the run were not there yet.
    assert (await api.reload(earlier))["status"] == "PAID"
    paid = await api.client.post(f"/receipts/{receipt['id']}/allocations", json={})
    assert paid.json()["unallocated"] == "0.00"


@pytest.mark.parametrize(("killed", "kind"), [("server", "FEES"), ("connection", "LATE_FEES")])
async def test_a_commit_that_is_killed_bills_everybody_or_nobody_and_then_everybody_once(
    database_url: str, psql: Psql, watcher: Psql, api: Api, killed: str, kind: str
) -> None:
    plan, students = await billed_school(api, 3, kind)
    run = await preview(api, plan, kind)
    path = f"/billing-runs/{run['id']}/commit"
    with serve(database_url) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.admin, timeout=30) as http:
            async with held(psql, COUNTERS, plan["school_id"]):
                request = asyncio.create_task(http.post(path, json={}))
                await until_waiting(watcher, 1)
                if killed == "server":
                    os.kill(server.process.pid, signal.SIGKILL)
                    with pytest.raises(httpx.TransportError):
                        await request
                else:
                    await watcher.fetch(
                        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and"
                        " datname = current_database()"
                    )
                    assert (await request).status_code == 503
            # Late fees that nobody has make nothing late.
            assert len(await totals(api, plan)) in {0 if kind == "FEES" else 3, 6}
    committed = await api.commit(run)
    assert committed["counts"] == {"created": 3}
    assert await totals(api, plan) == ["50.00"] * 6
    assert await api.commit(run) == committed
    assert len(students) == 3
