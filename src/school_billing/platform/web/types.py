"""The types of fields and parameters: text, instants, and scalars with other rules.

`parse` reads a Scalar. OpenAPI shows its name, its docstring and its `schema`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self, TypeGuard

from msgspec import Meta

from school_billing.platform.password_rules import USERNAME_PATTERN

NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
# No control characters, no characters that reverse the text, and no invisible characters.
PRINTABLE_PATTERN = r"^(?!\s)[^\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$(?![\s\S])(?<!\s)"
_NO_NUL = r"^[^\x00]*$"

PATTERN_SENTENCES = {
    NOT_BLANK: "Expected text that is not blank and has no NUL character",
    _NO_NUL: "Expected text without a NUL character",
    PRINTABLE_PATTERN: "Expected visible text that does not begin or end with a blank",
    USERNAME_PATTERN: "Expected lower-case letters, digits and . _ @ + -, and a letter or a digit at the beginning",
}
"""The error text for each pattern, because clients should not have to read a regular expression."""

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=NOT_BLANK)]
ShortText = Annotated[str, Meta(min_length=1, max_length=50, pattern=NOT_BLANK)]
LongText = Annotated[str, Meta(max_length=500, pattern=_NO_NUL)]

Instant = Annotated[
    datetime,
    Meta(tz=True, description="An instant with its offset from UTC (RFC 3339).", examples=["2026-01-10T13:00:00Z"]),
]


class Scalar:
    """The base of types that msgspec cannot check."""

    __slots__ = ()

    schema: ClassVar[Mapping[str, object]] = {}
    """The JSON Schema of the value, without title and description."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Make the value from a decoded JSON value. Raise ValueError with the broken rule as its message."""
        raise NotImplementedError


def is_scalar(kind: object) -> TypeGuard[type[Scalar]]:
    """Tell whether `kind` is a Scalar."""
    return isinstance(kind, type) and issubclass(kind, Scalar)


def decode_scalar(kind: type[Any], value: object) -> Any:
    """Read a value of the Scalar `kind`. This is the dec_hook of msgspec."""
    if issubclass(kind, Scalar):
        return kind.parse(value)
    raise TypeError(f"{kind} cannot be read from JSON")
