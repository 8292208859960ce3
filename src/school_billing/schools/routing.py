"""The database on a Citus cluster, where each statement goes to the shard of its school."""

from collections.abc import AsyncGenerator
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from school_billing.platform.database.context import context
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import AnyQuery, Query
from school_billing.platform.settings import Settings

Row = TypeVar("Row")

ROWS = {
    "student_id": "students",
    "payer_id": "payers",
    "invoice_id": "invoices",
    "adjustment_id": "adjustments",
    "payment_id": "payments",
    "receipt_id": "receipts",
    "plan_id": "fee_plans",
    "award_id": "awards",
    "billing_run_id": "billing_runs",
    "closing_id": "closings",
}
"""The parameters that name a row, with its table."""
_NO_SCHOOL = UUID(int=0)


def database_of(settings: Settings) -> Database:
    """Return the database of `settings`, closed."""
    return ClusterDatabase(settings) if settings.citus else Database(settings)


class ClusterDatabase(Database):
    """A Database whose server is the coordinator of a Citus cluster.

    - A statement for a caller of all schools first finds the school of the row that it names, and then runs as for a
      caller of that school. Citus refuses to lock rows, and asks every shard, if it does not know the school.
    - A statement that names its author is a transaction. Its SET LOCAL tells all workers the names of the actor and the
      request, which the triggers there put into the audit trail.
    - An idempotency key is claimed before the write and remembered after it, because the keys are on the coordinator.
    """

    by_school = True

    async def all(self, query: Query[Row], /, **values: Any) -> list[Row]:
        """Run `query` and return all rows as the query's struct."""
        values = await self._of_one_school(query, values)
        if "request_actor" not in query.parameters:
            return await super().all(query, **values)
        arguments = [
            None if name.startswith("request_idempotency") else value
            for name, value in zip(query.parameters, query.arguments(values), strict=True)
        ]
        return await self._run(query, lambda connection: self._write(connection, query, arguments))

    async def count(self, query: AnyQuery, /, **values: Any) -> int:
        """Return the number of rows of `query`."""
        return await super().count(query, **await self._of_one_school(query, values))

    def stream(self, query: Query[Row], school_id: UUID, /, **values: Any) -> AsyncGenerator[list[Row]]:
        """Run `query` with a cursor and yield its rows in parts."""
        if values["tenant"] is None:
            values["tenant"] = school_id
        return super().stream(query, school_id, **values)

    async def _of_one_school(self, query: AnyQuery, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with the school of the statement as its tenant, if they lead to one."""
        if values.get("tenant", "") is not None:
            return values
        if school_id := values.get("school_id"):
            return values | {"tenant": school_id}
        noun, _, verb = query.name.partition("/")
        # To find the row of a GET is to read it. But over all shards, Citus loses the names of a closing's figures.
        if verb == "get" and noun != "closings":
            return values
        # First the row that the statement changes, then those that it only names.
        for name, table in sorted(ROWS.items(), key=lambda one: one[1] != noun):
            if values.get(name) is not None:
                get = Query.registered[f"{table}/get"]
                found = await super().all(get, **dict.fromkeys(get.parameters) | {name: values[name]})
                return values | {"tenant": found[0].school_id if found else _NO_SCHOOL}
        return values

    async def _write(self, connection: Any, query: Query[Row], arguments: list[Any]) -> list[Row]:
        transaction = connection.transaction()
        await transaction.start()
        try:
            rows = await self._write_as_author(connection, query, arguments)
        except asyncpg.PostgresError:
            if not connection.is_closed():
                await transaction.rollback()
            raise
        except BaseException:
            connection.terminate()  # A hung server would never answer ROLLBACK.
            raise
        await transaction.commit()
        return rows

    async def _write_as_author(self, connection: Any, query: Query[Row], arguments: list[Any]) -> list[Row]:
        request = context()
        await connection.execute(
            "set local citus.propagate_set_commands = 'local';"
            # Citus does not know how few rows its steps give, and PostgreSQL would compile each for 0.2 seconds.
            "set local jit = off;"
            f"set local school_billing.actor = {_literal(request.actor)};"
            f"set local school_billing.request_id = {_literal(request.request_id)}"
        )
        scope = (request.idempotency_scope, request.idempotency_key)
        has_key = "request_idempotency_key" in query.parameters and request.idempotency_key is not None
        if has_key:
            await connection.execute("select claim_idempotency_key($1, $2)", *scope)
        rows = [query.returns(*record) for record in await connection.fetch(query.text, *arguments)]
        if has_key and rows:
            answer = msgspec.json.encode(rows[0]).decode()
            await connection.execute("select remember_answer($1, $2, $3, $4)", *scope, request.fingerprint, answer)
        return rows


def _literal(text: str | None) -> str:
    """Quote a text, because SET takes no parameters."""
    return "'" + (text or "").replace("'", "''") + "'"
