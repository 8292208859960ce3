"""school-billing: serve, migrate, rollback, seed.

Each command imports what it needs when it runs: only `serve` waits for the web framework.
"""

import argparse
import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
import psycopg

from school_billing.database.errors import DatabaseError
from school_billing.database.waiting import wait_for_database
from school_billing.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from school_billing.database.pool import Database

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; exit 1 with a sentence where it cannot be done."""
    options = _parser().parse_args(arguments)
    if getattr(options, "with_parent", False):
        _end_with_parent()
    # The default ends the process where it stands; as an exception it lets the embedded server stop first.
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    try:
        settings = Settings.from_environment(os.environ)
        with _database_url(settings) as url:
            options.command(msgspec.structs.replace(settings, database_url=url), options)
    except psycopg.OperationalError as error:
        sys.exit(f"school-billing: the connection to the database was lost: {str(error).strip().splitlines()[0]}")
    except (InvalidSettings, DatabaseError) as error:
        sys.exit(f"school-billing: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="school-billing",
        description="The School Billing API. Configured by environment variables; see the README.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the API")
    serve.add_argument(
        "--with-parent",
        action="store_true",
        help="end when the process that started this one ends, however it ends (Linux); for make",
    )
    serve.set_defaults(command=_serve)

    migrate = commands.add_parser("migrate", help="apply the migrations that the database lacks")
    migrate.set_defaults(command=_migrate)

    rollback = commands.add_parser("rollback", help="roll back the newest migrations")
    rollback.add_argument("--count", type=_positive, default=1, help="how many (default: 1)")
    rollback.set_defaults(command=_rollback)

    ledger = commands.add_parser("ledger", help="prove that the books are right").add_subparsers(
        required=True, metavar="verify | seal"
    )
    verify = ledger.add_parser("verify", help="compare every total and every audit chain; exit 1 where one differs")
    verify.add_argument("--limit", type=_positive, default=20, help="how many differences to list (default: 20)")
    verify.set_defaults(command=_verify)
    seal = ledger.add_parser("seal", help="chain the newest entries of the audit trail")
    seal.set_defaults(command=_seal)

    seed = commands.add_parser("seed", help="make the first administrator and the demo schools")
    seed.add_argument(
        "--demo",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="with the demo schools (default: only in development)",
    )
    seed.set_defaults(command=_seed)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _serve(settings: Settings, _options: argparse.Namespace) -> None:
    import uvicorn

    from school_billing.app import create_app
    from school_billing.observability.logging import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,  # The application writes one line a request itself, with the request id.
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def _migrate(settings: Settings, _options: argparse.Namespace) -> None:
    from school_billing.database.migrations import migrate

    applied = migrate(settings.database_url)
    for migration in applied:
        print(f"applied {migration}")
    if not applied:
        print("nothing to apply: the database is up to date")


def _rollback(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.database.migrations import rollback

    for migration in rollback(settings.database_url, options.count):
        print(f"rolled back {migration}")


def _seed(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.seed import seed

    demo = not settings.in_production if options.demo is None else options.demo
    for line in asyncio.run(seed(settings, demo=demo)):
        print(line)


def _verify(settings: Settings, options: argparse.Namespace) -> None:
    async def verify() -> bool:
        from school_billing.ledger.repository import Ledger

        async with _patient_database(settings) as database:
            ledger = Ledger(database)
            differences = await ledger.differences(options.limit)
            extent = await ledger.extent()
        for difference in differences:
            print(difference)
        print(
            f"{extent.invoices} invoices, {extent.movements} movements, {extent.sealed_entries} sealed audit entries "
            f"({extent.unsealed_entries} not yet), head {extent.head}: "
            + ("THEY DIFFER, see above" if differences else "all agree")
        )
        return not differences

    if not asyncio.run(verify()):
        sys.exit(1)


def _seal(settings: Settings, _options: argparse.Namespace) -> None:
    async def seal() -> int:
        from school_billing.ledger.repository import Ledger

        async with _patient_database(settings) as database:
            return await Ledger(database).seal()

    print(f"sealed {asyncio.run(seal())} audit entries")


def _patient_database(settings: Settings) -> "AbstractAsyncContextManager[Database]":
    """Connect for a command that reads all there is: no statement timeout of a request's size."""
    from school_billing.database.pool import connect

    return connect(settings.database_url, pool_max=1, statement_timeout_ms=24 * 3_600_000)


@contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    """Give the configured database, or run the embedded one for as long as the command takes."""
    if settings.database_url:
        wait_for_database(settings.database_url, settings.database_wait_seconds)
        yield settings.database_url
        return
    from school_billing.database.embedded import EmbeddedUnavailable, embedded_postgres

    try:
        with embedded_postgres(Path(settings.data_dir)) as url:
            yield url
    except EmbeddedUnavailable as error:
        sys.exit(f"school-billing: {error}")


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _exit_on_sigterm(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
