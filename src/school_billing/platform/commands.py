"""What the commands of all rooms share."""

import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias

from school_billing.platform.database.pool import Database

OnDatabase: TypeAlias = Callable[[Callable[[Database], Awaitable[None]]], None]
"""Runs the work of a command on the configured database. Each command of a room gets it as click's `obj`."""


def fail(sentence: str) -> NoReturn:
    """End the process with a sentence and exit code 1."""
    sys.exit(f"school-billing: {sentence}")
