"""The commands `school-billing user`."""

import getpass
import sys
from uuid import UUID

import click
import msgspec

from school_billing.auth.contracts import Role
from school_billing.auth.passwords import hash_password
from school_billing.platform.commands import OnDatabase, fail
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.password_rules import password_problem
from school_billing.platform.web.pages import first_page
from school_billing.schools.errors import SchoolNotFound
from school_billing.users.contracts import User, Username, UserPatch
from school_billing.users.errors import CONSTRAINT_ERRORS
from school_billing.users.repository import LIST, Users


@click.group()
def group() -> None:
    """Add, list, disable, enable and unlock users, and set passwords."""


@group.command()
@click.argument("username")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="viewer", show_default=True)
@click.option("--school", type=UUID, metavar="ID", help="The only school that the user sees.  [default: all]")
@click.pass_obj
def add(on_database: OnDatabase, username: str, role: str, school: UUID | None) -> None:
    """Add a user; asks for the password, or reads it from a pipe."""
    try:
        msgspec.convert(username, Username)
    except msgspec.ValidationError:
        fail("a username has 1 to 100 lower-case letters, digits and . _ @ + -")
    password_hash = _ask_password_hash(username)

    async def add_user(database: Database) -> None:
        try:
            added = await Users(database).create(None, username, password_hash, Role(role), school)
        except ConstraintViolated as error:
            fail(CONSTRAINT_ERRORS[error.constraint]().detail)
        except SchoolNotFound as error:
            fail(error.detail)
        print(f"added {_described(added)}")

    on_database(add_user)


@group.command("list")
@click.pass_obj
def list_users(on_database: OnDatabase) -> None:
    """List the users."""

    async def print_users(database: Database) -> None:
        page = first_page()
        while users := await page.items(database, LIST, tenant=None, school_id=None):
            for user in users:
                state = "active" if user.disabled_at is None else f"disabled {user.disabled_at:%Y-%m-%d %H:%M} UTC"
                print(f"{_described(user)}, {state}")
            page = msgspec.structs.replace(page, after=users[-1].id)

    on_database(print_users)


@group.command()
@click.argument("username")
@click.pass_obj
def disable(on_database: OnDatabase, username: str) -> None:
    """Disable a user, from the next request on."""
    on_database(lambda database: _switch(database, username, disabled=True))


@group.command()
@click.argument("username")
@click.pass_obj
def enable(on_database: OnDatabase, username: str) -> None:
    """Enable a user, from the next request on."""
    on_database(lambda database: _switch(database, username, disabled=False))


@group.command()
@click.argument("username")
@click.pass_obj
def unlock(on_database: OnDatabase, username: str) -> None:
    """Let a user log in again at once after too many attempts."""

    async def lift_throttles(database: Database) -> None:
        user = await _existing(database, username)
        print(f"lifted {await Users(database).unlock(user.username)} throttles of {user.username}")

    on_database(lift_throttles)


@group.command()
@click.argument("username")
@click.pass_obj
def password(on_database: OnDatabase, username: str) -> None:
    """Set a user's password, which ends the user's sessions."""
    password_hash = _ask_password_hash(username)

    async def set_password(database: Database) -> None:
        user = await _existing(database, username)
        await Users(database).set_password(None, user.id, password_hash)
        print(f"{user.username} has a new password and no session")

    on_database(set_password)


async def _switch(database: Database, username: str, *, disabled: bool) -> None:
    user = await _existing(database, username)
    try:
        await Users(database).update(None, user.id, UserPatch(disabled=disabled))
    except ConstraintViolated as error:
        fail(CONSTRAINT_ERRORS[error.constraint]().detail)
    print(f"{'disabled' if disabled else 'enabled'} {user.username}")


async def _existing(database: Database, username: str) -> User:
    return await Users(database).find(username) or fail(f"there is no user {username!r}")


def _ask_password_hash(username: str) -> str:
    """Ask for a password twice, or read one line if the input is no terminal; it is never an argument.

    Call this before the event loop runs, which would keep Ctrl-C to itself.
    """
    try:
        if sys.stdin.isatty():
            password = getpass.getpass(f"Password of {username}: ")
            if password != getpass.getpass("Again: "):
                fail("the two passwords differ")
        else:
            password = sys.stdin.readline().rstrip("\r\n")
    except (EOFError, AttributeError):  # Ctrl-D, or no standard input at all.
        fail("there is no password")
    if not password.isprintable():
        fail("a password has only characters that can be printed, in UTF-8")
    if problem := password_problem(username, password):
        fail(f"the password {problem}")
    return hash_password(password)


def _described(user: User) -> str:
    scope = "all schools" if user.school_id is None else f"school {user.school_id}"
    return f"{user.username}, {user.role} of {scope}"
