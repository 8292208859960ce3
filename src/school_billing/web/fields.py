"""Fields that every noun has: names, text, instants.

PostgreSQL holds every character but NUL, a name of blanks is no name, and a time without an offset is no instant.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

_NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
_NO_NUL = r"^[^\x00]*$"

PATTERN_SENTENCES = {
    _NOT_BLANK: "Expected text that is not blank and has no NUL character",
    _NO_NUL: "Expected text without a NUL character",
}
"""What to tell a person instead of a regular expression."""

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=_NOT_BLANK)]
ShortText = Annotated[str, Meta(min_length=1, max_length=50, pattern=_NOT_BLANK)]
LongText = Annotated[str, Meta(max_length=500, pattern=_NO_NUL)]

Instant = Annotated[
    datetime,
    Meta(
        tz=True,
        description="An instant with its offset from UTC (RFC 3339).",
        examples=["2026-01-10T13:00:00Z"],
    ),
]
