"""Conditional requests (RFC 9110 section 13): entity tags, If-Match and If-None-Match.

The tag of a row is its updated_at. Every change of the row makes updated_at greater, so no tag is used twice. The
statement that changes the row also compares the tag, so no other change can happen in between.

If the answer shows names of other rows, the tag ends with their checksum. If-Match does not compare the checksum,
because a change of the row overwrites no name.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Protocol, TypeAlias
from zlib import crc32

import msgspec
from litestar import Request

from school_billing.platform.web.errors import FieldError, InvalidParameter, PreconditionFailed
from school_billing.platform.web.requests import header_values

IF_MATCH_HEADER = "If-Match"
IF_NONE_MATCH_HEADER = "If-None-Match"

# RFC 9110 section 8.8.3: a tag has no blanks and no quotes. Commas and backslashes are ordinary characters.
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# Section 5.6.1.2: empty elements of a list are ignored.
_TAGS = rf"(?:\*|[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*)"

TAGS_PATTERN = f"^{_TAGS}$"
"""The pattern of either header in OpenAPI."""
TAGS_LENGTH_MOST = 2_000
"""Enough for a hundred of our tags. A longer header is refused."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Versions: TypeAlias = list[datetime] | None
"""The updated_at of each version that a query accepts. None means any version."""


class Versioned(Protocol):
    """A row of a table."""

    @property
    def updated_at(self) -> datetime:
        """The version of the row."""


class IfMatch(msgspec.Struct, frozen=True):
    """The versions of a row that the client allows to change (RFC 9110 section 13.1.1)."""

    versions: Versions

    def require(self, row: Versioned) -> None:
        """Raise PreconditionFailed if `row` is another version."""
        if self.versions is not None and row.updated_at not in self.versions:
            raise PreconditionFailed


ANY_VERSION = IfMatch(None)
"""The meaning of a request without If-Match."""


def tag_of_row(row: Versioned) -> str:
    """Return the entity tag of the row."""
    names = "\n".join(getattr(row, "names_of_others", ()))
    return _tag_of_version(row.updated_at, f".{crc32(names.encode()):x}" if names else "")


def has_current(request: Request[Any, Any, Any], etag: str) -> bool:
    """Tell whether If-None-Match has the tag `etag`, so the client has this version (RFC 9110 section 13.1.2)."""
    tags = read_tags(IF_NONE_MATCH_HEADER, header_values(request, b"if-none-match"))
    # A proxy that compresses answers makes tags weak, so a weak tag counts as well (section 8.8.3.2).
    return any(tag in {"*", etag, f"W/{etag}"} for tag in tags)


async def provide_if_match(request: Request[Any, Any, Any]) -> IfMatch:
    """Read the versions in If-Match."""
    return versions_of(read_tags(IF_MATCH_HEADER, header_values(request, b"if-match")))


def versions_of(tags: Sequence[str]) -> IfMatch:
    """Return the versions with these tags. Weak tags, and tags of other services, match no version."""
    if not tags or "*" in tags:
        return ANY_VERSION
    return IfMatch([version for tag in tags if (version := _version_of_tag(tag)) is not None])


def read_tags(header: str, values: Sequence[str]) -> list[str]:
    """Return the entity tags, with quotes, in the `values` of a header, or ["*"]. Raise InvalidParameter otherwise.

    A header that comes twice is one list (RFC 9110 section 5.3).
    """
    if not values:
        return []
    value = ",".join(values).strip(" \t")
    if len(value) > TAGS_LENGTH_MOST or not re.fullmatch(_TAGS, value):
        rule = f'must be * or entity tags in quotes, such as "62a1f", in at most {TAGS_LENGTH_MOST} characters'
        raise InvalidParameter(FieldError(header, rule))
    return ["*"] if value == "*" else re.findall(_TAG, value)


def _tag_of_version(version: datetime, names: str) -> str:
    return f'"{(version - _EPOCH) // _MICROSECOND:x}{names}"'


def _version_of_tag(tag: str) -> datetime | None:
    number, dot, checksum = tag.strip('"').partition(".")
    try:
        version = _EPOCH + int(number, 16) * _MICROSECOND
    except (ValueError, OverflowError):
        return None
    # Tags are compared by character, so the same number in another notation is another tag.
    return version if _tag_of_version(version, dot + checksum) == tag else None


def refuse_change(current: Versioned, if_match: IfMatch, error: Exception) -> NoReturn:
    """Raise the reason why a statement did not change an existing row: its version, or otherwise `error`.

    Versions never repeat, so `current` may be read after the statement.
    """
    if_match.require(current)
    raise error
