"""The tables on a Citus cluster: one shard holds all rows of a school. docs/scaling.md explains the consequences."""

import psycopg
from psycopg import sql

from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.database.migrations import migrated

DISTRIBUTED = {
    "schools": "id",
    "students": "school_id",
    "payers": "school_id",
    "student_payers": "school_id",
    "fee_plans": "school_id",
    "fee_plan_items": "school_id",
    "awards": "school_id",
    "billing_runs": "school_id",
    "billing_run_rows": "school_id",
    "invoices": "school_id",
    "invoice_lines": "school_id",
    "adjustments": "school_id",
    "adjustment_lines": "school_id",
    "receipts": "school_id",
    "payments": "school_id",
    "receipt_refunds": "school_id",
    "document_counters": "school_id",
    "closings": "school_id",
    "audit_log": "school_id",
}
"""The distribution column of each table. The target of a foreign key stands before the table that refers to it."""

LOCAL = {
    "users": "a username is unique over all schools, and administrators have no school",
    "api_keys": "as users",
    "sessions": "a session belongs to its user",
    "refresh_tokens": "a token belongs to its session",
    "login_throttles": "attempts are counted before the school is known",
    "idempotency_keys": "a key is claimed before the school is known",
}
"""The tables that stay on the coordinator, each with the reason."""

GIVEN_UP = {"users_school_id_fkey": "users", "api_keys_school_id_fkey": "api_keys"}
"""The foreign keys that Citus cannot keep, with their tables: they point from the coordinator into the shards."""

FUNCTIONS = (
    "written_by(text, text)",
    "amount_text(numeric)",
    "instant_text(timestamp with time zone)",
    "start_of_day(date, text)",
    "end_of_day(date, text)",
    "updated_at_after(timestamp with time zone, integer)",
    "last_movement_of(uuid, uuid)",
    "last_standing_payment_of(uuid, uuid)",
    "start_of_movement(date, uuid, uuid)",
    "document_number(text, text, integer, bigint)",
    "take_numbers(uuid, text, timestamp with time zone, integer)",
    "take_number(uuid, text, timestamp with time zone)",
    "instalment_of(numeric, bigint, integer, integer)",
    "discount_lines(numeric[], text[], jsonb, integer)",
    "bill_students(uuid, uuid, integer, text, date[], date, text, uuid[])",
    "bill_late_fees(uuid, uuid, integer, date[], date, text, uuid[])",
    "bill_run(text, uuid, uuid, integer, text, date[], date, text, uuid[])",
    "lines_of_plan(uuid, uuid, integer, boolean)",
    "lines_of_invoice(uuid, uuid)",
    "lines_of_adjustment(uuid, uuid)",
    "release_allocations(uuid, uuid, numeric, timestamp with time zone, text)",
    "split_by_shares(numeric, numeric[], integer)",
    "creditor_reference(bigint)",
    "payment_reference(uuid)",
    "counts_from(timestamp with time zone, timestamp with time zone, timestamp with time zone)",
    "ageing_bucket(integer)",
    "ageing_of(numeric, numeric, numeric, numeric, numeric)",
    "invoice_status(boolean, numeric, numeric)",
    "statement_totals_of(numeric, numeric, numeric, numeric, numeric)",
    "statement_totals_of(numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric)",
    "search_words(text)",
    "first_id_of(date)",
    "search_query(uuid, text)",
    "roll_forward_of(uuid, timestamp with time zone, timestamp with time zone, date)",
    "first_open_day(timestamp with time zone, text)",
    "open_receipts_of(uuid, timestamp with time zone)",
    "open_runs_of(uuid, timestamp with time zone)",
    "statement_line_of(uuid, uuid, numeric, timestamp with time zone, date, text, numeric, numeric, numeric, text)",
    "statement_line_of(uuid, uuid, numeric, timestamp with time zone, date, text, numeric, numeric, numeric, numeric, "
    "numeric, numeric, text)",
)
"""The functions that only queries, views and the functions of triggers call.

The workers need them as well. Citus itself creates only the functions of triggers, checks, defaults and generated
columns there.
"""

_SETTINGS = (
    "set local lock_timeout = '5s'",
    # Otherwise Citus uses several connections for the shards, and one does not see the keys that another created.
    "set local citus.multi_shard_modify_mode = 'sequential'",
    # Citus refuses triggers without this setting. Our triggers write only to the shard of their row, so it is safe.
    "set local citus.enable_unsafe_triggers = on",
)


class CannotDistribute(DatabaseError):
    """The tables cannot be distributed. The message says why."""


def distribute(url: str) -> list[str]:
    """Distribute the tables that are not yet distributed, all or none, and return their names. Migrators wait."""
    with migrated(url), psycopg.connect(url, application_name="school-billing distribute") as connection:
        if not connection.execute("select from pg_extension where extname = 'citus'").rowcount:
            raise CannotDistribute(
                "The extension citus is not in this database: run `create extension citus` on the coordinator "
                "and its workers, see docs/scaling.md."
            )
        try:
            rows = connection.execute("select logicalrelid::regclass::text from pg_dist_partition").fetchall()
            missing = [table for table in DISTRIBUTED if (table,) not in rows]
            if missing:
                _distribute(connection, missing)
        except psycopg.Error as error:
            raise CannotDistribute(f"The cluster refuses, and nothing was done: {error}") from error
    return missing


def _distribute(connection: "psycopg.Connection[tuple[object, ...]]", tables: list[str]) -> None:
    for setting in _SETTINGS:
        connection.execute(sql.SQL(setting))
    for constraint, table in GIVEN_UP.items():
        drop = sql.SQL("alter table {} drop constraint if exists {}")
        connection.execute(drop.format(sql.Identifier(table), sql.Identifier(constraint)))
    for table in tables:
        connection.execute(
            "select create_distributed_table(%s::regclass, %s, colocate_with => %s)",
            (table, DISTRIBUTED[table], "none" if table == "schools" else "schools"),
        )
    for function in FUNCTIONS:
        connection.execute("select create_distributed_function(%s::regprocedure)", (function,))
