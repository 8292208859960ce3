"""The body of /health."""

from typing import Literal

from msgspec import Struct


class Health(Struct, frozen=True):
    """The answer of a part that works."""

    status: Literal["ok"]
    """A part that does not work answers 503."""
