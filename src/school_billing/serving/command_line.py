"""school-billing: serve, migrate, rollback, distribute, seed, user, ledger, settings, errors.

Each command imports what it needs when it runs: only `serve` waits for the web framework.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, NoReturn, ParamSpec, TypeAlias
from uuid import UUID

import click
import msgspec
import psycopg

from school_billing.platform.database.connecting import wait_for_database
from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.settings import InvalidSettings, Settings, settings_table
from school_billing.serving.parent import end_with_parent

if TYPE_CHECKING:
    from school_billing.platform.database.pool import Database

_Async: TypeAlias = Coroutine[object, object, None]
_Options = ParamSpec("_Options")
_POSITIVE = click.IntRange(min=1)


@click.group()
def main() -> None:
    """The School Billing API. Configured by environment variables: see `school-billing settings`."""


def _on_database(command: Callable[Concatenate[Settings, _Options], _Async | None]) -> Callable[_Options, None]:
    """Run `command` with the settings and a database that answers; a failure ends the process with a sentence."""

    @wraps(command)
    def run(*arguments: _Options.args, **options: _Options.kwargs) -> None:
        # By default SIGTERM ends the process at once. As an exception it lets the embedded server stop first.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            settings = Settings.from_environment(os.environ)
            if settings.database_url:
                wait_for_database(settings.database_url, settings.database_wait_seconds)
                database: AbstractContextManager[str] = nullcontext(settings.database_url)
            else:
                from school_billing.serving.embedded import embedded_postgres

                database = embedded_postgres(Path(settings.data_dir))
            with database as url:
                work = command(msgspec.structs.replace(settings, database_url=url), *arguments, **options)
                if work is not None:
                    asyncio.run(work)
        except psycopg.OperationalError as error:
            _fail(f"the connection to the database was lost: {str(error).strip().splitlines()[0]}")
        except (InvalidSettings, DatabaseError) as error:
            _fail(str(error))
        except KeyboardInterrupt:
            sys.exit(130)

    return run


def _fail(sentence: str) -> NoReturn:
    sys.exit(f"school-billing: {sentence}")


@main.command()
@click.option("--workers", type=_POSITIVE, default=1, show_default=True, metavar="N", help="Number of processes.")
@click.option(
    "--with-parent",
    is_flag=True,
    expose_value=False,
    callback=lambda _context, _option, given: end_with_parent(os.getppid()) if given else None,
    help="End when the process that started this one ends, however it ends (Linux); for make.",
)
@_on_database
def serve(settings: Settings, workers: int) -> None:
    """Serve the API."""
    from school_billing.serving import server

    server.serve(settings, workers)


@main.command()
@_on_database
def migrate(settings: Settings) -> None:
    """Apply the migrations that the database lacks."""
    from school_billing.platform.database import migrations

    applied = migrations.migrate(settings.database_url)
    for migration in applied:
        print(f"applied {migration}")
    if not applied:
        print("nothing to apply: the database is up to date")


@main.command()
@click.option("--count", type=_POSITIVE, default=1, show_default=True, help="How many.")
@_on_database
def rollback(settings: Settings, count: int) -> None:
    """Roll back the newest migrations."""
    from school_billing.platform.database import migrations

    for migration in migrations.rollback(settings.database_url, count):
        print(f"rolled back {migration}")


@main.command()
@_on_database
def distribute(settings: Settings) -> None:
    """Distribute the tables over the workers of a Citus cluster."""
    from school_billing.schools import distribution

    distributed = distribution.distribute(settings.database_url)
    for table in distributed:
        print(f"distributed {table} by {distribution.DISTRIBUTED[table]}")
    if distributed:
        print(f"left on the coordinator: {', '.join(distribution.LOCAL)}")
    else:
        print("nothing to distribute: every table is where it belongs")


@main.command()
@click.option("--demo/--no-demo", default=None, help="With the demo schools.  [default: only in development]")
@_on_database
async def seed(settings: Settings, demo: bool | None) -> None:
    """Make the first administrator and the demo schools."""
    from school_billing.seed import seed

    for line in await seed(settings, demo=settings.environment == "development" if demo is None else demo):
        print(line)


@main.command("settings")
def show_settings() -> None:
    """Print the table of all environment variables."""
    print(settings_table())


@main.command("errors")
def show_errors() -> None:
    """Print the table of all errors."""
    import school_billing.app  # noqa: F401 - it imports the errors of every room.
    from school_billing.platform.web.errors import errors_table

    print(errors_table())


@main.group()
def ledger() -> None:
    """Prove that the books are right."""


@ledger.command()
@click.option("--limit", type=_POSITIVE, default=20, show_default=True, help="How many differences to list.")
@_on_database
async def verify(settings: Settings, limit: int) -> None:
    """Compare every total and every audit chain; exit 1 if one differs."""
    from school_billing.ledger.repository import Ledger

    async with _database(settings) as database:
        differences = await Ledger(database).differences(limit)
        summary = await Ledger(database).summary()
    for difference in differences:
        print(difference)
    print(f"{summary}: {'THEY DIFFER, see above' if differences else 'all agree'}")
    if differences:
        sys.exit(1)


@ledger.command()
@_on_database
async def seal(settings: Settings) -> None:
    """Chain the newest entries of the audit trail."""
    from school_billing.ledger.repository import Ledger

    async with _database(settings) as database:
        print(f"sealed {await Ledger(database).seal()} audit entries")


@main.group()
def user() -> None:
    """Add, list, disable and enable users, and set passwords."""


@user.command("add")
@click.argument("username")
@click.option("--role", type=click.Choice(["admin", "accountant", "viewer"]), default="viewer", show_default=True)
@click.option("--school", type=UUID, metavar="ID", help="The only school that the user sees.  [default: all]")
@_on_database
def add_user(settings: Settings, username: str, role: str, school: UUID | None) -> _Async:
    """Add a user; asks for the password, or reads it from a pipe."""
    from school_billing.users import commands

    commands.check_username(username)
    password_hash = commands.ask_password_hash(username)
    return _print(settings, lambda database: commands.add(database, username, password_hash, role, school))


@user.command("list")
@_on_database
async def list_users(settings: Settings) -> None:
    """List the users."""
    from school_billing.users import commands

    async with _database(settings) as database:
        async for line in commands.list_all(database):
            print(line)


@user.command("disable")
@click.argument("username")
@_on_database
def disable_user(settings: Settings, username: str) -> _Async:
    """Disable a user, from the next request on."""
    from school_billing.users import commands

    return _print(settings, lambda database: commands.switch(database, username, disabled=True))


@user.command("enable")
@click.argument("username")
@_on_database
def enable_user(settings: Settings, username: str) -> _Async:
    """Enable a user, from the next request on."""
    from school_billing.users import commands

    return _print(settings, lambda database: commands.switch(database, username, disabled=False))


@user.command("password")
@click.argument("username")
@_on_database
def set_password(settings: Settings, username: str) -> _Async:
    """Set a user's password, which ends the user's sessions."""
    from school_billing.users import commands

    password_hash = commands.ask_password_hash(username)
    return _print(settings, lambda database: commands.set_password(database, username, password_hash))


async def _print(settings: Settings, command: "Callable[[Database], Awaitable[str]]") -> None:
    async with _database(settings) as database:
        print(await command(database))


def _database(settings: Settings) -> "Database":
    """Connect once, without a request's statement timeout: `ledger verify` reads everything."""
    from school_billing.platform.database.pool import Database

    one = {"database_pool_min": 1, "database_pool_max": 1, "database_statement_timeout_ms": 24 * 3_600_000}
    return Database.of(msgspec.structs.replace(settings, **one))
