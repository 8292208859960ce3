"""school-billing: serve, migrate, rollback, distribute, reset, seed, user, ledger, psql, settings, errors.

Each command imports what it needs when it runs: only `serve` waits for the web framework.
"""

import asyncio
import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Concatenate, ParamSpec, TypeAlias
from urllib.parse import unquote, urlsplit

import click
import msgspec
import psycopg

from school_billing.platform.commands import fail
from school_billing.platform.database.connecting import wait_for_database
from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.settings import InvalidSettings, Settings, settings_table
from school_billing.serving.parent import end_with_parent

if TYPE_CHECKING:
    from school_billing.platform.database.pool import Database

_Async: TypeAlias = Coroutine[object, object, None]
_Options = ParamSpec("_Options")
_POSITIVE = click.IntRange(min=1)


class _Commands(click.Group):
    """The commands below, and those of the rooms, which are imported when they are needed."""

    _ROOMS: ClassVar = {"ledger": "ledger", "user": "users"}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._ROOMS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if room := self._ROOMS.get(cmd_name):
            group: click.Group = importlib.import_module(f"school_billing.{room}.commands").group
            return group
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands)
@click.version_option(package_name="school-billing", prog_name="school-billing")
@click.pass_context
def main(context: click.Context) -> None:
    """The School Billing API. Configured by environment variables: see `school-billing settings`."""
    context.obj = _run_on_database


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

                # A service without its database helps nobody.
                end = partial(os.kill, os.getpid(), signal.SIGTERM)
                database = embedded_postgres(Path(settings.data_dir), on_death=end)
            with database as url:
                work = command(msgspec.structs.replace(settings, database_url=url), *arguments, **options)
                if work is not None:
                    asyncio.run(work)
        except psycopg.OperationalError as error:
            fail(f"the connection to the database was lost: {str(error).strip().splitlines()[0]}")
        except (InvalidSettings, DatabaseError) as error:
            fail(str(error))
        except KeyboardInterrupt:
            sys.exit(130)

    return run


@_on_database
async def _run_on_database(settings: Settings, work: "Callable[[Database], Awaitable[None]]") -> None:
    """Run the work of a room's command, without a request's statement timeout: `ledger verify` reads everything."""
    from school_billing.schools.routing import database_of

    one = {"database_pool_min": 1, "database_pool_max": 1, "database_statement_timeout_ms": 24 * 3_600_000}
    async with database_of(msgspec.structs.replace(settings, **one)) as database:
        await work(database)


def _check_port(_context: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        from school_billing.serving import server

        try:
            server.refuse_taken_ports(Settings.from_environment(os.environ))
        except InvalidSettings as error:
            fail(str(error))
        sys.exit(0)


@main.command()
@click.option(
    "--check-port",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_check_port,
    help="Only check that the port is free, and serve nothing.",
)
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
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--drop-audit-trail", is_flag=True, help="Allow production to lose the audit trail.")
@_on_database
def rollback(settings: Settings, count: int, yes: bool, drop_audit_trail: bool) -> None:
    """Roll back the newest migrations. Names what is lost, and asks."""
    from school_billing.platform.database import migrations

    def confirm(ids: list[str], losses: dict[str, int]) -> None:
        print(f"This rolls back {', '.join(ids) or 'nothing'}.")
        for name, rows in losses.items():
            print(f"  lost: {name} ({rows} rows)")
        if settings.environment == "production" and "audit_log" in losses and not drop_audit_trail:
            fail("this drops the audit trail. In production, that needs --drop-audit-trail.")
        if ids and not yes:
            click.confirm("Roll back?", abort=True)

    for migration in migrations.rollback(settings.database_url, count, confirm=confirm):
        print(f"rolled back {migration}")


@main.command()
def reset() -> None:
    """Remove the embedded database of DATA_DIR, with all that is in it."""
    from school_billing.serving import embedded

    removed: list[Path] = []

    def tell(path: Path) -> None:
        print(f"removing {path}", flush=True)
        removed.append(path)

    try:
        data_dir = Path(Settings.from_environment(os.environ).data_dir)
        embedded.remove(data_dir, tell)
    except (InvalidSettings, DatabaseError) as error:
        fail(str(error))
    if not removed:
        print(f"nothing to remove: {data_dir.absolute()} has no embedded database")


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
    from school_billing.platform.observability.logging import configure_logging
    from school_billing.seed import seed

    configure_logging("warning", settings.log_format)  # What billing runs log, the lines below say.
    for line in await seed(settings, demo=settings.environment == "development" if demo is None else demo):
        print(line)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@_on_database
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; the arguments are psql's."""
    from school_billing.serving.embedded import binaries

    program = shutil.which("psql") or str(binaries() / "psql")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for psql, which cancels its statement.
    url, password = settings.database_url, urlsplit(settings.database_url).password
    # Every user of the machine can see the arguments of a process.
    url, secret = (url.replace(f":{password}@", "@", 1), {"PGPASSWORD": unquote(password)}) if password else (url, {})
    sys.exit(subprocess.run([program, url, *arguments], env=os.environ | secret, check=False).returncode)


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
