"""The tables of a Citus cluster: each school's rows lie together on one shard; docs/scaling.md says what follows."""

from typing import Any

import psycopg
from psycopg import sql

from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.database.migrations import migrated

DISTRIBUTED = {
    "schools": "id",
    "students": "school_id",
    "invoices": "school_id",
    "payments": "school_id",
    "audit_log": "school_id",
}
"""The tables that are distributed, each by its column, in their order: whom a foreign key points at comes first."""

LOCAL = {
    "users": "a username is unique over all schools, and administrators have none",
    "api_keys": "as users",
    "sessions": "they are their user's",
    "refresh_tokens": "they are their session's",
    "login_throttles": "they are counted before anybody knows the school",
    "idempotency_keys": "a key is claimed before anybody knows the school",
}
"""The tables that stay on the coordinator, and why."""

GIVEN_UP = {"users_school_id_fkey": "users", "api_keys_school_id_fkey": "api_keys"}
"""Foreign keys, each with its table, that no cluster can have: from a table of the coordinator into the shards."""

FUNCTIONS = (
    "written_by(text, text)",
    "amount_text(numeric)",
    "instant_text(timestamp with time zone)",
    "end_of_day(date, text)",
    "counts_from(timestamp with time zone, timestamp with time zone, timestamp with time zone)",
    "ageing_bucket(integer)",
    "ageing_of(numeric, numeric, numeric, numeric, numeric)",
    "statement_totals_of(numeric, numeric, numeric, numeric, numeric)",
    "statement_line_of(uuid, uuid, numeric, timestamp with time zone, date, text, numeric, numeric, numeric, text)",
)
"""The functions that only queries and views call.

A shard runs them too, so the workers need them. Citus creates there by itself only the functions that a table needs:
those of its triggers, checks, defaults and generated columns.
"""

_SETTINGS = (
    "set local lock_timeout = '5s'",
    # Otherwise shards are made over several connections, and one does not see the keys that another has just made.
    "set local citus.multi_shard_modify_mode = 'sequential'",
    # Citus refuses triggers unless it is told that they write nowhere but on the row's own shard, as ours do.
    "set local citus.enable_unsafe_triggers = on",
)


class CannotDistribute(DatabaseError):
    """The tables cannot be distributed; the message says why."""


def distribute(url: str) -> list[str]:
    """Distribute the tables of the database at `url` over its cluster, all of them or none.

    A table that is distributed already is left as it is. Migrators wait meanwhile.

    Returns:
        The tables that were distributed, in their order.

    Raises:
        SchemaOutdated: The database lacks a migration.
        CannotDistribute: It has no Citus, or Citus refuses.
    """
    with migrated(url), psycopg.connect(url, application_name="school-billing distribute") as connection:
        if not connection.execute("select from pg_extension where extname = 'citus'").rowcount:
            raise CannotDistribute(
                "The extension citus is not in this database: `create extension citus` on the coordinator "
                "and its workers, see docs/scaling.md."
            )
        try:
            return _distribute(connection)
        except psycopg.Error as error:
            raise CannotDistribute(f"The cluster refuses, and nothing was done: {error}") from error


def _distribute(connection: "psycopg.Connection[Any]") -> list[str]:
    there = {
        row[0]
        for row in connection.execute(
            "select relname from pg_dist_partition join pg_class on pg_class.oid = logicalrelid"
        )
    }
    missing = [table for table in DISTRIBUTED if table not in there]
    if not missing:
        return []
    for setting in _SETTINGS:
        connection.execute(sql.SQL(setting))
    for constraint, table in GIVEN_UP.items():
        connection.execute(
            sql.SQL("alter table {} drop constraint if exists {}").format(
                sql.Identifier(table), sql.Identifier(constraint)
            )
        )
    first = next(iter(DISTRIBUTED))
    for table in missing:
        connection.execute(
            "select create_distributed_table(%s::regclass, %s, colocate_with => %s)",
            (table, DISTRIBUTED[table], "none" if table == first else first),
        )
    for function in FUNCTIONS:
        connection.execute("select create_distributed_function(%s::regprocedure)", (function,))
    return missing
