"""Fields that every noun has: names, text, instants.

PostgreSQL holds every character but NUL, a name of blanks is no name, and a time without an offset is no instant.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
# No colon and no blank, so that no user can be called like a role of the database or an API key in the audit trail.
# The end once more, because $ alone lets a newline follow.
USERNAME_PATTERN = r"^[a-z0-9][a-z0-9._@+-]*$(?!\n)"
# Nothing that a terminal obeys, that reverses the text or that nobody sees.
PRINTABLE_PATTERN = r"^(?!\s)[^\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$(?![\s\S])(?<!\s)"
_NO_NUL = r"^[^\x00]*$"

PATTERN_SENTENCES = {
    NOT_BLANK: "Expected text that is not blank and has no NUL character",
    _NO_NUL: "Expected text without a NUL character",
    PRINTABLE_PATTERN: "Expected visible text that does not begin or end with a blank",
    USERNAME_PATTERN: "Expected lower-case letters, digits and . _ @ + -, the first of them a letter or a digit",
}
"""What to tell a person instead of a regular expression."""

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=NOT_BLANK)]
ShortText = Annotated[str, Meta(min_length=1, max_length=50, pattern=NOT_BLANK)]
LongText = Annotated[str, Meta(max_length=500, pattern=_NO_NUL)]

Instant = Annotated[
    datetime,
    Meta(
        tz=True,
        description="An instant with its offset from UTC (RFC 3339).",
        examples=["2026-01-10T13:00:00Z"],
    ),
]
