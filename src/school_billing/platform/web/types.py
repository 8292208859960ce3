"""The types of fields and parameters: text, instants, and scalars with other rules.

`parse` reads a Scalar. OpenAPI shows its name, its docstring and its `schema`.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self, TypeGuard

from msgspec import Meta, inspect

from school_billing.platform.password_rules import USERNAME_PATTERN

_WORDS_OF_PATTERN = {
    USERNAME_PATTERN: "lower-case letters, digits and . _ @ + -, with a letter or a digit at the beginning",
}
"""Clients should not have to read a regular expression."""

Instant = Annotated[
    datetime,
    Meta(tz=True, description="An instant with its offset from UTC (RFC 3339).", examples=["2026-01-10T13:00:00Z"]),
]

# Control characters, characters that turn the line, and characters that print nothing. The joiners U+200C and U+200D
# stay between letters of scripts that need them, such as Persian and Hindi (all scripts from Hebrew on), and in emoji.
# Variation selectors stay, but not at the beginning. So the first character of a text is always visible. The function
# is_plain_text() of the database has the same rule.
HIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff]"
    "|(?<![\u0590-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\u1fff\u2070-\U0010ffff])"
    "|^[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)

_LINE_BREAK = re.compile("\n")
_LINE_BREAKS = re.compile("\r\n?|[\x85\u2028\u2029]")
_BLANKS = re.compile("[\t\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_AROUND_LINE_BREAK = re.compile(" ?\n ?")


class Scalar:
    """The base of types that msgspec cannot check."""

    __slots__ = ()

    schema: ClassVar[Mapping[str, Any]] = {}
    """The JSON Schema of the value, without title and description. `contentSchema` is a struct."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Make the value from a decoded JSON value. Raise ValueError with the broken rule, such as "must be a day"."""
        raise NotImplementedError


class Text(Scalar, str):
    """Text without characters that nobody can see.

    A subclass says how long it can be, and whether it can have several `lines`. Names that look the same are stored as
    the same characters, so that they are found and compared as people expect.
    """

    least: ClassVar[int]
    most: ClassVar[int]
    lines: ClassVar[bool]

    def __init_subclass__(
        cls, *, least: int = 1, most: int = 255, lines: bool = False, examples: Sequence[str] = ()
    ) -> None:
        cls.least, cls.most, cls.lines = least, most, lines
        cls.schema = {"type": "string", "minLength": least, "maxLength": most, "examples": list(examples)}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a text and tidy it. ValueError if it has an invisible character, or is too short or too long."""
        if not isinstance(value, str):
            raise ValueError(f"must be text, {cls.least} to {cls.most} characters long")
        text = cls.tidy(value)
        if hidden := HIDDEN.search(text) or (not cls.lines and _LINE_BREAK.search(text)):
            kind = "a line break" if hidden[0] == "\n" else f"the invisible character U+{ord(hidden[0]):04X}"
            raise ValueError(f"must not contain {kind}")
        if len(text) < cls.least:
            raise ValueError("must not be empty")
        if len(text) > cls.most:
            raise ValueError(f"must have at most {cls.most} characters")
        return cls(text)

    @classmethod
    def tidy(cls, text: str) -> str:
        """Return the form in which a text is stored: trimmed, each run of blanks as one space, in NFC (UAX 15)."""
        if text.isascii() and text.isprintable() and "  " not in text:
            return text.strip(" ")
        text = _BLANKS.sub(" ", _LINE_BREAKS.sub("\n", unicodedata.normalize("NFC", text)))
        return _AROUND_LINE_BREAK.sub("\n", text).strip(" \n")

    @classmethod
    def sought(cls, text: str | None) -> str | None:
        """Return the stored form of a text to look for. None stays None."""
        return None if text is None else cls.tidy(text)


def rule_of(kind: inspect.Type, path: str = "") -> str:
    """Say what a value at `path` in the type `kind` must be. msgspec's own messages are for readers of Python."""
    for step in re.findall(r"\[|\.\w+", path):
        for one in alternatives(kind):
            match one:
                case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
                    kind = inner
                case inspect.StructType(fields=fields):
                    kind = next(field.type for field in fields if field.encode_name == step[1:])
    return f"must be {', or '.join(map(_words, alternatives(kind)))}"


def alternatives(kind: inspect.Type) -> Sequence[inspect.Type]:
    """Return the types that a value can have, without their annotations."""
    if isinstance(kind, inspect.Metadata):
        return alternatives(kind.type)
    return (
        [inner for one in kind.types for inner in alternatives(one)] if isinstance(kind, inspect.UnionType) else [kind]
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
        case inspect.ListType():
            return f"a list of {_bounds(kind.min_length, kind.max_length)} items" if kind.max_length else "a list"
    return _WORDS.get(type(kind), "another value")


def _bounds(least: int | None, most: int | None) -> str:
    return f"at most {most}" if least is None else f"{least} to {most}"


_WORDS: Mapping[type[inspect.Type], str] = {
    inspect.NoneType: "null",
    inspect.BoolType: "true or false",
    inspect.UUIDType: "an id such as 01980000-0000-7000-8000-000000000001",
    inspect.DateType: "a day such as 2026-02-28",
    inspect.DateTimeType: "an instant with its offset from UTC, such as 2026-01-10T13:00:00Z",
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
