"""Migrations: yoyo, run under a lock of PostgreSQL's own.

yoyo guards a run with a row in a table. A process that is killed leaves that row behind, and a second one
gives up on it after ten seconds. An advisory lock ends with its connection and can be waited for, so it is
taken first, and a row that is found under it belongs to nobody.

The lock is a transaction's, and the transaction stays open: so it holds through a PgBouncer that pools transactions,
too, where one of the session would stay behind on a connection that is somebody else's by then.
"""

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import yoyo
from psycopg import sql

from school_billing.platform.database.errors import SchemaOutdated
from school_billing.platform.paths import resource_folder

# Any fixed number will do, as long as nobody else locks the same one in the same database.
_ADVISORY_LOCK = 7_404_031_550_207_116_800
_PAUSE_SECONDS = 0.2


def migrate(url: str) -> list[str]:
    """Apply every migration that the database at `url` lacks; a second migrator waits for the first.

    Returns:
        The ids of those applied, in their order.
    """
    with _backend(url) as backend:
        waiting = backend.to_apply(_migrations())
        ids = [migration.id for migration in waiting]
        backend.apply_migrations(waiting)
        return ids


def rollback(url: str, count: int | None = None) -> list[str]:
    """Roll back the newest `count` migrations of the database at `url`; None means all.

    Returns:
        The ids of those rolled back, newest first.
    """
    with _backend(url) as backend:
        applied = backend.to_rollback(_migrations())
        chosen = applied if count is None else applied[:count]
        ids = [migration.id for migration in chosen]
        backend.rollback_migrations(chosen)
        return ids


@contextmanager
def migrated(url: str) -> Iterator[None]:
    """Keep migrators away from the database at `url` for as long as this is open.

    Raises:
        SchemaOutdated: It lacks a migration.
    """
    with _backend(url) as backend:
        if backend.to_apply(_migrations()):
            raise SchemaOutdated("The database is not migrated: run `school-billing migrate` first.")
        yield


def _migrations() -> Any:
    # schema.sql is beside them: the schema of today in one file, for people to read.
    return yoyo.read_migrations(str(resource_folder("migrations"))).filter(lambda migration: migration.id != "schema")


@contextmanager
def _backend(url: str) -> Iterator[Any]:
    _name_the_user()
    with psycopg.connect(url, application_name="school-billing migrate") as lock:
        _take_lock(lock)
        backend = yoyo.get_backend(_yoyo_url(url))
        # psycopg prepares what it sends often, and a pooler may send it on to another connection.
        backend.connection.prepare_threshold = None
        try:
            backend.break_lock()
            yield backend
        finally:
            backend.connection.close()


def _take_lock(connection: "psycopg.Connection[Any]") -> None:
    """Wait for the lock, and leave the connection in the transaction that has it.

    It is asked for again and again: who waits for it inside PostgreSQL has a snapshot, and `create index concurrently`,
    run by the migrator that has the lock, would wait for that snapshot to go. For the same reason nothing here has
    parameters: with those, psycopg leaves a portal open, and the portal keeps its snapshot.
    """
    ask = sql.SQL("select pg_try_advisory_xact_lock({})").format(_ADVISORY_LOCK)
    while True:
        # It idles for as long as migrations take.
        connection.execute("set local idle_in_transaction_session_timeout = 0")
        answer = connection.execute(ask).fetchone()
        if answer and answer[0]:
            return
        connection.rollback()
        time.sleep(_PAUSE_SECONDS)


def _yoyo_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in {"postgresql", "postgres"}:
        raise ValueError("DATABASE_URL must begin with postgresql://")
    return f"postgresql+psycopg://{rest}"


def _name_the_user() -> None:
    """Give yoyo a user name where the system has none, such as a container with an arbitrary uid.

    yoyo asks for it after it applied a migration and before it marks it: without a name the two would differ.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = "school-billing"
