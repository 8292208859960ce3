"""The tables on a Citus cluster: one shard holds all rows of a school. docs/scaling.md explains the consequences."""

from typing import Any, TypeAlias

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

_NODE_SETTINGS = {
    "citus.enable_unsafe_triggers": "Our triggers write only to the shard of their row.",
    "citus.allow_nested_distributed_execution": "Our triggers read only what is on the shard of their row.",
}
"""What must be on at every node, and why it is safe. Citus refuses triggers, and statements in triggers, without it."""

_Connection: TypeAlias = psycopg.Connection[Any]


class CannotDistribute(DatabaseError):
    """The tables cannot be distributed. The message says why."""


def distribute(url: str) -> list[str]:
    """Distribute the tables that are not yet distributed, all or none, and return their names. Migrators wait.

    Run it after each migration, too: new functions have to be made on the workers.
    """
    with migrated(url), psycopg.connect(url, application_name="school-billing distribute") as connection:
        if not connection.execute("select from pg_extension where extname = 'citus'").rowcount:
            raise CannotDistribute(
                "The extension citus is not in this database: run `create extension citus` on the coordinator "
                "and its workers, see docs/scaling.md."
            )
        try:
            _check_nodes(connection)
            rows = connection.execute("select logicalrelid::regclass::text from pg_dist_partition").fetchall()
            missing = [table for table in DISTRIBUTED if (table,) not in rows]
            connection.execute("set local lock_timeout = '5s'")
            # Otherwise Citus uses several connections for the shards, and one does not see what another made.
            connection.execute("set local citus.multi_shard_modify_mode = 'sequential'")
            _plan_for_each_school(connection)
            if missing:
                _distribute(connection, missing)
            # Citus itself makes only those functions on the workers that tables need.
            connection.execute(
                """
                select create_distributed_function(oid::regprocedure)
                from pg_proc
                where pronamespace = 'public'::regnamespace
                  and prorettype <> 'trigger'::regtype
                  and not exists (select 1 from pg_depend where objid = pg_proc.oid and deptype = 'e')
                order by oid
                """
            )
        except psycopg.Error as error:
            raise CannotDistribute(f"The cluster refuses, and nothing was done: {error}") from error
    return missing


def _check_nodes(connection: _Connection) -> None:
    for setting, reason in _NODE_SETTINGS.items():
        nodes = connection.execute("select result from run_command_on_all_nodes(%s)", (f"show {setting}",)).fetchall()
        if any(node != ("on",) for node in nodes):
            raise CannotDistribute(
                f"{setting} is not on at every node. {reason} Run `alter system set {setting} = on` and "
                "`select pg_reload_conf()` on each of them."
            )


def _plan_for_each_school(connection: _Connection) -> None:
    """Have functions plan their statements with the values: a plan for all values asks the shards of all schools."""
    functions = connection.execute(
        """
        select oid::regprocedure::text
        from pg_proc
        where pronamespace = 'public'::regnamespace and 'plan_cache_mode=force_generic_plan' = any(proconfig)
        """
    )
    for (function,) in functions.fetchall():
        connection.execute(sql.SQL(f"alter function {function} set plan_cache_mode = force_custom_plan"))


def _distribute(connection: _Connection, tables: list[str]) -> None:
    for constraint, table in GIVEN_UP.items():
        drop = sql.SQL("alter table {} drop constraint if exists {}")
        connection.execute(drop.format(sql.Identifier(table), sql.Identifier(constraint)))
    # Where two of them refer to each other, the key of the first one is added when both are there.
    ahead = connection.execute(
        """
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        from pg_constraint
        cross join (select %s::text[]) as distributed (tables)
        where contype = 'f'
          and array_position(tables, conrelid::regclass::text) < array_position(tables, confrelid::regclass::text)
        """,
        (tables,),
    ).fetchall()
    for table, key, _ in ahead:
        connection.execute(sql.SQL("alter table {} drop constraint {}").format(*map(sql.Identifier, (table, key))))
    for table in tables:
        connection.execute(
            "select create_distributed_table(%s::regclass, %s, colocate_with => %s)",
            (table, DISTRIBUTED[table], "none" if table == "schools" else "schools"),
        )
    for table, key, definition in ahead:
        add = sql.SQL("alter table {} add constraint {} {}")
        connection.execute(add.format(sql.Identifier(table), sql.Identifier(key), sql.SQL(definition)))
