"""The commands of `school-billing user`: each returns the lines that it prints."""

import getpass
import sys
from collections.abc import AsyncIterator
from typing import NoReturn
from uuid import UUID

import msgspec

from school_billing.auth.contracts import Role
from school_billing.auth.passwords import hash_password
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.password_rules import password_problem
from school_billing.platform.web.pages import LIMIT_MOST, NIL, Page
from school_billing.users.contracts import User, Username, UserPatch
from school_billing.users.errors import CONSTRAINT_ERRORS
from school_billing.users.repository import Users


async def add(database: Database, username: str, password_hash: str, role: str, school_id: UUID | None) -> str:
    """Add a user."""
    try:
        user = await Users(database).create(None, username, password_hash, Role(role), school_id)
    except ConstraintViolated as error:
        _fail(CONSTRAINT_ERRORS[error.constraint]().detail)
    return f"added {_described(user)}"


async def list_all(database: Database) -> AsyncIterator[str]:
    """List the users."""
    page = Page(limit=LIMIT_MOST, offset=0, after=NIL, path="", query=())
    while users := await Users(database).list(None, None, page):
        for user in users:
            state = "active" if user.disabled_at is None else f"disabled {user.disabled_at:%Y-%m-%d %H:%M} UTC"
            yield f"{_described(user)}, {state}"
        page = msgspec.structs.replace(page, after=users[-1].id)


async def switch(database: Database, username: str, *, disabled: bool) -> str:
    """Disable or enable a user."""
    user = await _existing(database, username)
    await Users(database).update(None, user.id, UserPatch(disabled=disabled))
    return f"{'disabled' if disabled else 'enabled'} {user.username}"


async def set_password(database: Database, username: str, password_hash: str) -> str:
    """Set a user's password, which ends the user's sessions."""
    user = await _existing(database, username)
    await Users(database).set_password(None, user.id, password_hash)
    return f"{user.username} has a new password and no session"


def check_username(username: str) -> None:
    """End the process with a sentence if a new user cannot have the name."""
    try:
        msgspec.convert(username, Username)
    except msgspec.ValidationError:
        _fail("a username has 1 to 100 lower-case letters, digits and . _ @ + -")


def ask_password_hash(username: str) -> str:
    """Ask for a password twice, or read one line if the input is no terminal; it is never an argument.

    Call this before the event loop runs, which would keep Ctrl-C to itself.
    """
    try:
        if sys.stdin.isatty():
            password = getpass.getpass(f"Password of {username}: ")
            if password != getpass.getpass("Again: "):
                _fail("the two passwords differ")
        else:
            password = sys.stdin.readline().rstrip("\r\n")
    except (EOFError, AttributeError):  # Ctrl-D, or no standard input at all.
        _fail("there is no password")
    if not password.isprintable():
        _fail("a password has only characters that can be printed, in UTF-8")
    if problem := password_problem(username, password):
        _fail(f"the password {problem}")
    return hash_password(password)


async def _existing(database: Database, username: str) -> User:
    user = await Users(database).find(username)
    if user is None:
        _fail(f"there is no user {username!r}")
    return user


def _described(user: User) -> str:
    scope = "all schools" if user.school_id is None else f"school {user.school_id}"
    return f"{user.username}, {user.role} of {scope}"


def _fail(sentence: str) -> NoReturn:
    sys.exit(f"school-billing: {sentence}")
