"""Migrations: yoyo, run under a lock of PostgreSQL.

yoyo guards a run with a row in a table. A killed process leaves that row behind, and the next one gives up on it after
ten seconds. An advisory lock ends with its connection, and another migrator can wait for it. So this module takes one
first, and then removes the row that a killed process may have left.

The lock belongs to a transaction, which stays open. A lock of the session would not work through a PgBouncer that pools
transactions: it would stay on a connection that another client has by then.
"""

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import yoyo

from school_billing.platform.database.errors import SchemaOutdated
from school_billing.platform.paths import resource_folder


def migrate(url: str) -> list[str]:
    """Apply every migration that the database at `url` lacks, and return their ids; a second migrator waits."""
    with _backend(url) as (backend, migrations):
        lacking = backend.to_apply(migrations)
        ids = [migration.id for migration in lacking]
        backend.apply_migrations(lacking)
        return ids


def rollback(url: str, count: int | None = None) -> list[str]:
    """Roll back the newest `count` migrations of the database at `url`, or all, and return their ids, newest first."""
    with _backend(url) as (backend, migrations):
        chosen = backend.to_rollback(migrations)[:count]
        ids = [migration.id for migration in chosen]
        backend.rollback_migrations(chosen)
        return ids


@contextmanager
def migrated(url: str) -> Iterator[None]:
    """Keep migrators away from the database at `url` for as long as this is open.

    Raises:
        SchemaOutdated: It lacks a migration.
    """
    with _backend(url) as (backend, migrations):
        if backend.to_apply(migrations):
            raise SchemaOutdated("The database is not migrated: run `school-billing migrate` first.")
        yield


@contextmanager
def _backend(url: str) -> Iterator[tuple[Any, Any]]:
    """Yield yoyo's backend for the database and its list of migrations, which have no types, under the lock."""
    _name_the_user()
    with psycopg.connect(url, application_name="school-billing migrate") as lock:
        _take_lock(lock)
        backend = yoyo.get_backend(f"postgresql+psycopg://{url.partition('://')[2]}")
        # psycopg prepares a statement that it sends often, and a pooler may run it on another connection.
        backend.connection.prepare_threshold = None
        # schema.sql lies beside the migrations: the schema of today in one file, for people to read.
        migrations = yoyo.read_migrations(str(resource_folder("migrations"))).filter(lambda one: one.id != "schema")
        try:
            backend.break_lock()
            yield backend, migrations
        finally:
            backend.connection.close()


def _take_lock(connection: "psycopg.Connection[Any]") -> None:
    """Wait for the lock, and leave the connection in the transaction that has it.

    This asks again and again. A session that waits inside PostgreSQL has a snapshot, and a `create index concurrently`
    of the migrator that has the lock would wait for that snapshot to go. For the same reason the query has no
    parameters: with those, psycopg leaves a portal open, which keeps its snapshot.
    """
    while True:
        # The transaction idles for as long as the migrations take.
        connection.execute("set local idle_in_transaction_session_timeout = 0")
        # Any fixed number will do if no other program locks the same one in this database.
        answer = connection.execute("select pg_try_advisory_xact_lock(7404031550207116800)").fetchone()
        if answer and answer[0]:
            return
        connection.rollback()
        time.sleep(0.2)


def _name_the_user() -> None:
    """Give yoyo a user name if the system has none, as in a container with an arbitrary user id.

    yoyo asks for it between applying a migration and marking it as applied, and must not fail there.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = "school-billing"
