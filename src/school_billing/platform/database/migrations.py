"""Migrations: yoyo, run under a lock of PostgreSQL.

yoyo guards a run with a row in a table. A killed process leaves this row behind, and the next process gives up after
ten seconds. So this module first takes an advisory lock, which ends with its connection and for which another migrator
can wait. Then it removes the row that a killed process may have left.

The lock belongs to a transaction that stays open. Through a PgBouncer that pools transactions, a lock of the session
would stay on a connection that another client uses later.
"""

import getpass
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import yoyo
from psycopg.sql import SQL, Identifier

from school_billing.platform.database.errors import SchemaOutdated
from school_billing.platform.database.sql import resource_folder

_DROPPED_TABLE = re.compile(r"\bdrop table (?:if exists )?(\w+)", re.IGNORECASE)
_CUT_TABLE = re.compile(r"\balter table (?:if exists )?(\w+)[^;]*?\bdrop column\b", re.IGNORECASE)


def migrate(url: str) -> list[str]:
    """Apply the missing migrations and return their ids. A second migrator waits."""
    with _backend(url) as (backend, migrations):
        missing = backend.to_apply(migrations)
        ids = [migration.id for migration in missing]
        backend.apply_migrations(missing)
        return ids


def rollback(
    url: str, count: int | None = None, *, confirm: Callable[[list[str], dict[str, int]], object] | None = None
) -> list[str]:
    """Roll back the newest `count` migrations, or all, and return their ids, newest first.

    `confirm` gets the ids and what is lost: the tables, or "columns of" them, and their numbers of rows. It raises an
    exception to stop the rollback. Meanwhile other migrators wait.
    """
    with _backend(url) as (backend, migrations):
        newest = backend.to_rollback(migrations)[:count]
        ids = [migration.id for migration in newest]
        if confirm is not None:
            confirm(ids, _losses(url, ids))
        backend.rollback_migrations(newest)
        return ids


def _losses(url: str, ids: list[str]) -> dict[str, int]:
    folder = resource_folder("migrations")
    code = "".join((folder / f"{id_}.rollback.sql").read_text(encoding="utf-8") for id_ in ids)
    dropped = _DROPPED_TABLE.findall(code)
    names = {name: name for name in dropped} | {
        f"columns of {name}": name for name in _CUT_TABLE.findall(code) if name not in dropped
    }
    losses = {}
    # A connection of its own, because the one with the lock would keep the tables locked.
    with psycopg.connect(url, autocommit=True) as psql:
        for label, name in names.items():
            if psql.execute("select to_regclass(%s)", [name]).fetchone() != (None,):
                count = psql.execute(SQL("select count(*) from {}").format(Identifier(name))).fetchone()
                losses[label] = count[0] if count else 0
    return losses


@contextmanager
def migrated(url: str) -> Iterator[None]:
    """Lock out migrators until the end of the block. Raise SchemaOutdated if a migration is missing."""
    with _backend(url) as (backend, migrations):
        if backend.to_apply(migrations):
            raise SchemaOutdated
        yield


@contextmanager
def _backend(url: str) -> Iterator[tuple[Any, Any]]:
    """Take the lock and yield yoyo's backend and list of migrations, which have no types."""
    _name_the_user()
    with psycopg.connect(url, application_name="school-billing migrate") as lock:
        _take_lock(lock)
        backend = yoyo.get_backend(f"postgresql+psycopg://{url.partition('://')[2]}")
        # psycopg prepares a statement that it sends often, but a pooler may run it on another connection.
        backend.connection.prepare_threshold = None
        # schema.sql in the same folder is no migration. It shows readers the current schema in one file.
        migrations = yoyo.read_migrations(str(resource_folder("migrations"))).filter(lambda one: one.id != "schema")
        try:
            backend.break_lock()
            yield backend, migrations
        finally:
            backend.connection.close()


def _take_lock(connection: "psycopg.Connection[Any]") -> None:
    """Ask for the lock until it is free. The connection stays in the transaction that has the lock.

    A session that waits inside PostgreSQL has a snapshot, and a `create index concurrently` of the other migrator would
    wait for this snapshot to end. For the same reason the query has no parameters: with parameters, psycopg leaves a
    portal open, which keeps the snapshot.
    """
    while True:
        # The transaction idles for as long as the migrations take.
        connection.execute("set local idle_in_transaction_session_timeout = 0")
        # Any fixed number works if no other program locks the same number in this database.
        answer = connection.execute("select pg_try_advisory_xact_lock(7404031550207116800)").fetchone()
        if answer and answer[0]:
            return
        connection.rollback()
        time.sleep(0.2)


def _name_the_user() -> None:
    """Set a user name if the system has none, as in a container with an arbitrary user id.

    yoyo reads it after it applied a migration and before it marks the migration as applied, so it must not fail there.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = "school-billing"
