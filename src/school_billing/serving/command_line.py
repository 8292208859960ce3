"""school-billing: serve, migrate, rollback, distribute, seed, user, ledger, settings.

Each command imports what it needs when it runs: only `serve` waits for the web framework.
"""

import argparse
import asyncio
import ctypes
import getpass
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

import msgspec
import psycopg

from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.database.waiting import wait_for_database
from school_billing.platform.settings import InvalidSettings, Settings, settings_table

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from school_billing.platform.database.pool import Database
    from school_billing.users.contracts import User
    from school_billing.users.repository import Users

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name; exit 1 with a sentence where it cannot be done."""
    options = _parser().parse_args(arguments)
    if options.command is None:  # `settings`, which needs neither a configuration nor a database.
        print(settings_table())
        return
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
        description="The School Billing API. Configured by environment variables: see `school-billing settings`.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the API")
    serve.add_argument("--workers", type=_positive, default=1, metavar="N", help="by so many processes (default: 1)")
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

    distribute = commands.add_parser("distribute", help="distribute the tables over the workers of a Citus cluster")
    distribute.set_defaults(command=_distribute)

    _add_user_commands(commands.add_parser("user", help="add, list, disable and enable users, and set passwords"))

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

    settings = commands.add_parser("settings", help="print the table of all environment variables")
    settings.set_defaults(command=None)
    return parser


def _add_user_commands(user: argparse.ArgumentParser) -> None:
    verbs = user.add_subparsers(required=True, metavar="add | list | disable | enable | password")

    add = verbs.add_parser("add", help="add a user; asks for the password, or reads it from a pipe")
    add.add_argument("username")
    add.add_argument("--role", choices=["admin", "accountant", "viewer"], default="viewer", help="(default: viewer)")
    add.add_argument("--school", type=UUID, metavar="ID", help="the only school that the user sees (default: all)")
    add.set_defaults(command=_add_user)

    verbs.add_parser("list", help="list the users").set_defaults(command=_list_users)

    for verb, disabled in (("disable", True), ("enable", False)):
        switch = verbs.add_parser(verb, help=f"{verb} a user, from the next request on")
        switch.add_argument("username")
        switch.set_defaults(command=_switch_user, disabled=disabled)

    password = verbs.add_parser("password", help="set a user's password, which ends the user's sessions")
    password.add_argument("username")
    password.set_defaults(command=_set_password)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _serve(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.serving.server import serve
    from school_billing.serving.workers import WorkerFailed

    try:
        serve(settings, options.workers)
    except WorkerFailed as error:
        sys.exit(f"school-billing: {error}")


def _migrate(settings: Settings, _options: argparse.Namespace) -> None:
    from school_billing.platform.database.migrations import migrate

    applied = migrate(settings.database_url)
    for migration in applied:
        print(f"applied {migration}")
    if not applied:
        print("nothing to apply: the database is up to date")


def _rollback(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.platform.database.migrations import rollback

    for migration in rollback(settings.database_url, options.count):
        print(f"rolled back {migration}")


def _distribute(settings: Settings, _options: argparse.Namespace) -> None:
    from school_billing.platform.database.distribution import DISTRIBUTED, LOCAL, distribute

    for table in (distributed := distribute(settings.database_url)):
        print(f"distributed {table} by {DISTRIBUTED[table]}")
    if distributed:
        print(f"left on the coordinator: {', '.join(LOCAL)}")
    else:
        print("nothing to distribute: every table is where it belongs")


def _seed(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.seed import seed

    demo = settings.environment == "development" if options.demo is None else options.demo
    for line in asyncio.run(seed(settings, demo=demo)):
        print(line)


def _add_user(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.auth.contracts import Role
    from school_billing.auth.passwords import hash_password

    username = _check_username(options.username)
    password_hash = hash_password(_new_password(username))

    async def add(users: "Users") -> None:
        user = await users.create(None, username, password_hash, Role(options.role), options.school)
        print(f"added {_described(user)}")

    _with_users(settings, add)


def _list_users(settings: Settings, _options: argparse.Namespace) -> None:
    from school_billing.platform.web.pages import LIMIT_MOST, NIL, Page

    async def list_all(users: "Users") -> None:
        page = Page(limit=LIMIT_MOST, offset=0, after=NIL, path="", query=())
        while found := await users.list(None, None, page):
            for user in found:
                state = "active" if user.disabled_at is None else f"disabled {user.disabled_at:%Y-%m-%d %H:%M} UTC"
                print(f"{_described(user)}, {state}")
            page = msgspec.structs.replace(page, after=found[-1].id)

    _with_users(settings, list_all)


def _switch_user(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.users.contracts import UserPatch

    async def switch(users: "Users") -> None:
        user = await _existing_user(users, options.username)
        await users.update(None, user.id, UserPatch(disabled=options.disabled))
        print(f"{'disabled' if options.disabled else 'enabled'} {user.username}")

    _with_users(settings, switch)


def _set_password(settings: Settings, options: argparse.Namespace) -> None:
    from school_billing.auth.passwords import hash_password

    # Before the event loop runs, which would keep Ctrl-C to itself while somebody is asked.
    password_hash = hash_password(_new_password(options.username))

    async def set_password(users: "Users") -> None:
        user = await _existing_user(users, options.username)
        await users.set_password(None, user.id, password_hash)
        print(f"{user.username} has a new password and no session")

    _with_users(settings, set_password)


def _with_users(settings: Settings, work: "Callable[[Users], Coroutine[object, object, None]]") -> None:
    from school_billing.platform.database.errors import ConstraintViolated
    from school_billing.platform.database.pool import Database
    from school_billing.users.errors import MEANINGS
    from school_billing.users.repository import Users

    async def run() -> None:
        async with Database(
            settings.database_url, pool_max=1, prepared_statements=settings.database_prepared_statements
        ) as database:
            try:
                await work(Users(database))
            except ConstraintViolated as error:
                sys.exit(f"school-billing: {MEANINGS[error.constraint]().detail}")

    asyncio.run(run())


async def _existing_user(users: "Users", username: str) -> "User":
    user = await users.find(username)
    if user is None:
        sys.exit(f"school-billing: there is no user {username!r}")
    return user


def _check_username(username: str) -> str:
    from school_billing.users.contracts import Username

    try:
        return msgspec.convert(username, Username)
    except msgspec.ValidationError:
        sys.exit("school-billing: a username has 1 to 100 lower-case letters, digits and . _ @ + -")


def _new_password(username: str) -> str:
    """Ask for a password twice, or read one line where nobody sits at the keyboard; it is never an argument."""
    from school_billing.platform.password_rules import password_problem

    try:
        if sys.stdin.isatty():
            password = getpass.getpass(f"Password of {username}: ")
            if password != getpass.getpass("Again: "):
                sys.exit("school-billing: the two are not the same")
        else:
            password = sys.stdin.readline().rstrip("\r\n")
    except (EOFError, AttributeError):  # Ctrl-D, and no standard input at all.
        sys.exit("school-billing: there is no password")
    if not password.isprintable():
        sys.exit("school-billing: a password has only characters that can be printed, in UTF-8")
    if problem := password_problem(username, password):
        sys.exit(f"school-billing: {problem}")
    return password


def _described(user: "User") -> str:
    from school_billing.auth.contracts import Role

    scope = "all schools" if user.school_id is None else f"school {user.school_id}"
    # A row's values are those of the database, which knows the role as text.
    return f"{user.username}, {Role(user.role).value} of {scope}"


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
    from school_billing.platform.database.pool import Database

    return Database(
        settings.database_url,
        pool_max=1,
        statement_timeout_ms=24 * 3_600_000,
        prepared_statements=settings.database_prepared_statements,
    )


@contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    """Give the configured database, or run the embedded one for as long as the command takes."""
    if settings.database_url:
        wait_for_database(settings.database_url, settings.database_wait_seconds)
        yield settings.database_url
        return
    from school_billing.serving.embedded import EmbeddedUnavailable, embedded_postgres

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
