from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from school_billing.platform.web.conditional import (
    TAGS_LENGTH_MOST,
    IfMatch,
    read_tags,
    tag_of_row,
    versions_of,
)
from school_billing.platform.web.errors import InvalidParameter, PreconditionFailed
from school_billing.platform.web.responses import KeptBody, tag_of_content


class Row(Struct):
    updated_at: datetime


MOMENT = datetime(2026, 1, 10, 13, 0, 0, 123456, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

moments = st.datetimes(timezones=st.just(UTC))
opaque = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'), max_size=20).filter(
    lambda text: not any(0x80 > ord(character) > 0x7E for character in text)
)
tags = st.builds(lambda weak, text: f'{weak}"{text}"', st.sampled_from(["", "W/"]), opaque)
separators = st.text(st.sampled_from(" \t"), max_size=3).map(lambda blanks: f"{blanks},{blanks}")


@given(moments)
def test_a_tag_leads_back_to_its_version_and_to_no_other(moment: datetime) -> None:
    versions = versions_of([tag_of_row(Row(moment))]).versions
    assert versions == [moment]


@given(moments, moments)
def test_two_versions_never_share_a_tag(one: datetime, other: datetime) -> None:
    assert (tag_of_row(Row(one)) == tag_of_row(Row(other))) == (one == other)


@given(st.lists(tags, min_size=1, max_size=20), separators)
def test_a_list_of_tags_is_read_as_it_stands(listed: list[str], separator: str) -> None:
    assert read_tags("If-Match", [separator.join(listed)]) == listed
    assert read_tags("If-Match", [f",{separator}{separator.join(listed)}{separator}"]) == listed


@given(st.lists(tags, min_size=2, max_size=5))
def test_a_header_that_comes_twice_is_one_list(listed: list[str]) -> None:
    assert read_tags("If-Match", listed) == listed


@given(st.text(st.characters(max_codepoint=0xFF), max_size=60) | st.text(st.sampled_from('W/",* \ta'), max_size=12))
def test_whatever_is_no_list_of_tags_is_refused(value: str) -> None:
    with suppress(InvalidParameter):
        assert all(tag == "*" or tag.endswith('"') for tag in read_tags("If-Match", [value]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", ["*"]),
        (" *\t", ["*"]),
        ('"a"', ['"a"']),
        ('""', ['""']),
        ('W/"a"', ['W/"a"']),
        ('"*"', ['"*"']),
        ('"a,b", "c"', ['"a,b"', '"c"']),
        ('"a","b"', ['"a"', '"b"']),
        (', "a",, ,\t"b" ,', ['"a"', '"b"']),
        ('"a\\"', ['"a\\"']),
        ('"\xff"', ['"\xff"']),
    ],
)
def test_what_the_grammar_allows_is_read(value: str, expected: list[str]) -> None:
    assert read_tags("If-Match", [value]) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        "a",
        '"',
        '"a',
        'a"',
        "'a'",
        '"a" "b"',
        '"a""b"',
        '"a b"',
        '"a\tb"',
        '"a\x00"',
        '\x00"a"',
        '"a"\n',
        '"\x7f"',
        'w/"a"',
        'W /"a"',
        'W/ "a"',
        'W/W/"a"',
        "W/*",
        "**",
        "*, *",
        '*, "a"',
        '"a", *',
        '"a\\"b"',
        f'"{"a" * TAGS_LENGTH_MOST}"',
        '"a",' * TAGS_LENGTH_MOST,
        "," * 1_000_000,
        '"a' * 1_000_000,
    ],
)
def test_what_the_grammar_forbids_is_refused_and_the_header_named(value: str) -> None:
    with pytest.raises(InvalidParameter) as refusal:
        read_tags("If-Match", [value])
    assert [error.field for error in refusal.value.errors] == ["If-Match"]


def test_any_beside_a_tag_is_refused_in_two_headers_too() -> None:
    with pytest.raises(InvalidParameter):
        read_tags("If-Match", ["*", '"a"'])


@pytest.mark.parametrize(
    "tag",
    [
        '""',
        '"x"',
        '"-"',
        '"00"',
        '"0x1"',
        '"1_0"',
        '"+1"',
        '"A"',
        '"-0"',
        f'"{"f" * 1_000}"',
        f'"-{"f" * 1_000}"',
        f"W/{tag_of_row(Row(MOMENT))}",
        tag_of_row(Row(MOMENT)).upper(),
        tag_of_content(b"{}"),
    ],
)
def test_a_tag_that_is_weak_or_not_ours_is_no_version(tag: str) -> None:
    assert versions_of([tag]) == IfMatch([])
    with pytest.raises(PreconditionFailed):
        versions_of([tag]).require(Row(MOMENT))


@pytest.mark.parametrize("present", [[], ["*"]])
def test_without_tags_every_version_will_do(present: list[str]) -> None:
    assert versions_of(present).versions is None
    versions_of(present).require(Row(MOMENT))


def test_one_of_several_versions_is_enough() -> None:
    listed = versions_of([tag_of_row(Row(MOMENT)), '"somebody-elses"', tag_of_row(Row(MOMENT + MICROSECOND))])
    listed.require(Row(MOMENT))
    listed.require(Row(MOMENT + MICROSECOND))
    with pytest.raises(PreconditionFailed):
        listed.require(Row(MOMENT + 2 * MICROSECOND))


def test_other_content_has_another_tag() -> None:
    assert tag_of_content(b"{}") == tag_of_content(b"{}") != tag_of_content(b"{ }")
    link = b'<?cursor=x>; rel="next"'
    assert tag_of_content(b"{}") != tag_of_content(b"{}", link)
    kept = KeptBody(b"{}")
    assert [tag_of_content(kept, link), tag_of_content(kept)] == [tag_of_content(b"{}", link), tag_of_content(b"{}")]
