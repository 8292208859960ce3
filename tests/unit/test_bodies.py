from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import school_billing.app  # noqa: F401 - it imports every contract.
from school_billing.invoices.contracts import InvoicePatch
from school_billing.money import Amount
from school_billing.platform.web.errors import FieldError, InvalidBody, MalformedBody
from school_billing.platform.web.json_body import decode
from school_billing.platform.web.types import Instant, Text
from tests.api import is_plain


class Name(Text):
    """A name."""


class Lines(Text, least=0, most=20, lines=True):
    """A text of several lines."""


class Part(msgspec.Struct, forbid_unknown_fields=True):
    share: int


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: Name
    id: UUID
    amount: Amount
    at: Instant | None = None
    tags: list[Annotated[str, msgspec.Meta(max_length=3)]] = []
    parts: list[Part] | None = None


GOOD = b'{"name":"Lisa","id":"01980000-0000-7000-8000-000000000001","amount":"1.00"}'


def fields_of(body: bytes) -> list[str]:
    with pytest.raises(InvalidBody) as refused:
        decode(body, Body)
    return [error.field for error in refused.value.errors]


def test_a_good_body_becomes_the_struct() -> None:
    assert decode(GOOD, Body).name == "Lisa"


def test_every_wrong_field_is_named_at_once() -> None:
    assert fields_of(b'{"nmae":"x","id":"zz","amount":0,"at":"2026-01-01T00:00:00"}') == [
        "nmae",
        "name",
        "id",
        "amount",
        "at",
    ]


def test_the_path_leads_into_a_list() -> None:
    assert fields_of(GOOD[:-1] + b',"tags":["abc","abcd"]}') == ["tags[1]"]


@pytest.mark.parametrize(
    "name",
    [
        '""', '" \\t"', '"a\\u0000b"', "null", "1", f'"{"x" * 256}"',
        # Nobody can see these, or they turn the line: alone, and inside of a name.
        '"\\u200b"', '"\\ufe0f"', '"\\u3164"', '"a\\u0007b"', '"a\\u202eb"', '"a\\u2066b"', '"a\\u00adb"',
        '"a\\ufeffb"', '"a\\ud83d\\udda4\\udb40\\udc41"', '"a\\nb"', '"a\\u0085b"',
        # A joiner joins nothing at the end of a word, between Latin letters, or beside another joiner.
        '"Lisa\\u200d"', '"Li\\u200csa"', '"\\u0645\\u200c\\u200c\\u062e"', '"\\u200d\\u0915"',
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_refused(name: str) -> None:
    assert fields_of(GOOD.replace(b'"Lisa"', name.encode())) == ["name"]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (" Lisa ", "Lisa"),
        ("\u3000Lisa\u00a0\t Simpson\n", "Lisa Simpson"),
        ("Se\u0061\u0301n", "Se\u00e1n"),  # Names that look the same are the same.
        ("می\u200cروم", "می\u200cروم"),  # Persian needs its non-joiner, and Hindi its joiner.
        ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d🏫 ❤\ufe0f", "👩\u200d🏫 ❤\ufe0f"),
        ("x" * 255 + "  ", "x" * 255),
    ],
)
def test_a_text_is_stored_as_people_see_it(sent: str, stored: str) -> None:
    assert decode(msgspec.json.encode({**msgspec.json.decode(GOOD), "name": sent}), Body).name == stored
    assert Name.tidy(stored) == stored


def test_a_text_of_several_lines_keeps_its_line_breaks() -> None:
    assert Lines.parse("  Tuition \r\n\u2028 second  line\n") == "Tuition\n\nsecond line"
    assert Lines.parse(" ") == ""
    for text in ("a\x0bb", "\u200b", "x" * 21):
        with pytest.raises(ValueError, match=r"^must "):
            Lines.parse(text)


def test_types_are_not_guessed() -> None:
    assert fields_of(GOOD.replace(b'"Lisa"', b"5")) == ["name"]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"1"])
def test_a_body_that_is_no_object_is_told_so(body: bytes) -> None:
    assert fields_of(body) == [""]


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff", b'{"name":', b"{}}", b"[" * 100_000, b'{"name":"\xff"}', b'{"name":"\\ud800"}']
)
def test_what_is_no_json_is_told_so(body: bytes) -> None:
    with pytest.raises((MalformedBody, InvalidBody)):
        decode(body, Body)


def test_patch_tells_absent_null_and_value_apart() -> None:
    assert decode(b"{}", InvoicePatch).description is msgspec.UNSET
    assert decode(b'{"description":null}', InvoicePatch).description is None
    assert decode(b'{"description":"x"}', InvoicePatch).description == "x"


def test_an_instant_needs_an_offset() -> None:
    body = decode(GOOD[:-1] + b',"at":"2026-01-10T13:00:00+02:00"}', Body)
    assert body.at == datetime.fromisoformat("2026-01-10T11:00:00+00:00")
    assert fields_of(GOOD[:-1] + b',"at":"2026-01-10T13:00:00"}') == ["at"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "must not be empty"),
        ("name", None, "must be text, 1 to 255 characters long"),
        ("id", "x", "must be an id such as 01980000-0000-7000-8000-000000000001"),
        ("amount", 0, "must be an amount above zero, at most 9999999999.99, with at most two decimals"),
        ("at", 1, "must be an instant with its offset from UTC, such as 2026-01-10T13:00:00Z, or null"),
        ("tags", "x", "must be a list"),
        ("tags[1]", ["a", "abcd"], "must be text, at most 3 characters long"),
        ("parts[0].share", [{}], "is required"),
        ("parts[0].share", [{"share": "x"}], "must be a whole number"),
        ("parts[0].more", [{"share": 1, "more": 1}], "is not a field of this request"),
    ],
)
def test_a_message_says_what_the_field_must_be(field: str, value: object, message: str) -> None:
    body = msgspec.json.decode(GOOD) | {field.partition("[")[0]: value}
    with pytest.raises(InvalidBody) as refused:
        decode(msgspec.json.encode(body), Body)
    assert [(error.field, error.message) for error in refused.value.errors] == [(field, message)]
    assert refused.value.detail == f"{field} {message}."


def contracts(base: type[msgspec.Struct] = msgspec.Struct) -> Iterator[type[msgspec.Struct]]:
    for struct in base.__subclasses__():
        if struct.__module__.startswith("school_billing.") and struct.__struct_config__.forbid_unknown_fields:
            yield struct
        yield from contracts(struct)


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["", "x" * 2000, 1.5, "2026-02-30"])
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(), SCALARS, max_size=2)


@pytest.mark.parametrize("contract", [*contracts()], ids=lambda contract: contract.__name__)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_message_of_any_contract_speaks_of_types(contract: Any, data: st.DataObject) -> None:
    names = [*contract.__struct_encode_fields__, "surplus"]
    body = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES)) | VALUES)
    errors: list[FieldError] = []
    try:
        decode(msgspec.json.encode(body), contract)
    except InvalidBody as refused:
        errors = refused.errors
    assert all(is_plain(error.message) for error in errors), errors
