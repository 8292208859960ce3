"""What may be told of an exception: messages of drivers and conversions quote the values that they choke on."""

from typing import Any

import asyncpg
import psycopg

from school_billing.platform.database.errors import DatabaseError

_QUOTE_VALUES = (ValueError, LookupError)


def facts_of(error: BaseException) -> str | None:
    """Return what is known of a failed query without a value of any row; None for other errors."""
    if isinstance(error, DatabaseError):
        return str(error)
    if isinstance(error, asyncpg.PostgresError):
        fields: Any = error  # The driver sets them by name, from what the server sent.
        return _sentence(fields.sqlstate, getattr(fields, "constraint_name", None), getattr(fields, "table_name", None))
    if isinstance(error, psycopg.Error):
        return _sentence(error.sqlstate, error.diag.constraint_name, error.diag.table_name)
    return None


def message_for_logs(error: BaseException) -> str:
    """Return the message where it speaks of the program, and facts or nothing where it may quote a value."""
    facts = facts_of(error)
    if facts is not None:
        return facts
    return "(not logged: it may quote a value)" if isinstance(error, _QUOTE_VALUES) else str(error)


def _sentence(sqlstate: str | None, constraint: str | None, table: str | None) -> str:
    named = {"SQLSTATE": sqlstate, "constraint": constraint, "table": table}
    return ", ".join(f"{name} {value}" for name, value in named.items() if value)
