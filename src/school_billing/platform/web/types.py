"""The types of fields and parameters: text, instants, and scalars with other rules.

`parse` reads a Scalar. OpenAPI shows its name, its docstring and its `schema`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self, TypeGuard

from msgspec import Meta, inspect

from school_billing.platform.password_rules import USERNAME_PATTERN

NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
# No control characters, no characters that reverse the text, and no invisible characters.
PRINTABLE_PATTERN = r"^(?!\s)[^\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+$(?![\s\S])(?<!\s)"
_NO_NUL = r"^[^\x00]*$"

_WORDS_OF_PATTERN = {
    NOT_BLANK: "text that is not blank and has no NUL character",
    _NO_NUL: "text without a NUL character",
    PRINTABLE_PATTERN: "visible text that does not begin or end with a blank",
    USERNAME_PATTERN: "lower-case letters, digits and . _ @ + -, with a letter or a digit at the beginning",
}
"""Clients should not have to read a regular expression."""

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

    schema: ClassVar[Mapping[str, Any]] = {}
    """The JSON Schema of the value, without title and description. `contentSchema` is a struct."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Make the value from a decoded JSON value. Raise ValueError with the broken rule, such as "must be a day"."""
        raise NotImplementedError


def rule_of(kind: inspect.Type, path: str = "") -> str:
    """Say what a value at `path` in the type `kind` must be. msgspec's own messages are for readers of Python."""
    for step in re.findall(r"\[|\.\w+", path):
        match next(one for one in _alternatives(kind) if not isinstance(one, inspect.NoneType)):
            case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
                kind = inner
            case inspect.StructType(fields=fields):
                kind = next(field.type for field in fields if field.encode_name == step[1:])
    return f"must be {', or '.join(map(_words, _alternatives(kind)))}"


def _alternatives(kind: inspect.Type) -> Sequence[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return _alternatives(kind.type)
    return (
        [inner for one in kind.types for inner in _alternatives(one)] if isinstance(kind, inspect.UnionType) else [kind]
    )


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.EnumType() | inspect.LiteralType():
            values = [one.value for one in kind.cls] if isinstance(kind, inspect.EnumType) else kind.values
            return f"one of {', '.join(map(str, values))}"
        case inspect.StrType():
            text = _WORDS_OF_PATTERN.get(kind.pattern or "", "text")
            return f"{text}, {_bounds(kind.min_length, kind.max_length)} characters long" if kind.max_length else text
        case inspect.IntType():
            return f"a whole number, {_bounds(kind.ge, kind.le)}" if kind.le else "a whole number"
    return _WORDS.get(type(kind), "another value")


def _bounds(least: int | None, most: int | None) -> str:
    return f"at most {most}" if least is None else f"{least} to {most}"


_WORDS: Mapping[type[inspect.Type], str] = {
    inspect.NoneType: "null",
    inspect.BoolType: "true or false",
    inspect.UUIDType: "an id such as 01980000-0000-7000-8000-000000000001",
    inspect.DateType: "a day such as 2026-02-28",
    inspect.DateTimeType: "an instant with its offset from UTC, such as 2026-01-10T13:00:00Z",
    inspect.ListType: "a list",
    inspect.StructType: "a JSON object",
    inspect.DictType: "a JSON object",
}


def is_scalar(kind: object) -> TypeGuard[type[Scalar]]:
    """Tell whether `kind` is a Scalar."""
    return isinstance(kind, type) and issubclass(kind, Scalar)


def decode_scalar(kind: type[Any], value: object) -> Any:
    """Read a value of the Scalar `kind`. This is the dec_hook of msgspec."""
    if issubclass(kind, Scalar):
        return kind.parse(value)
    raise TypeError(f"{kind} cannot be read from JSON")
