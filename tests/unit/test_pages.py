from contextlib import suppress
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from school_billing.platform.web.errors import InvalidParameter
from school_billing.platform.web.pages import Page, decode_cursor, encode_cursor


@given(st.uuids())
def test_a_cursor_leads_back_to_where_it_was_made(after: UUID) -> None:
    assert decode_cursor(encode_cursor(after.bytes)) == after.bytes


@given(st.text(max_size=64))
def test_a_cursor_of_somebody_elses_is_refused_or_one_of_ours(text: str) -> None:
    with suppress(InvalidParameter):
        assert encode_cursor(decode_cursor(text)) == text


def test_the_next_page_keeps_the_filters_and_drops_the_offset() -> None:
    query = (("status", "PAID"), ("offset", "10"), ("cursor", "old"))
    page = Page(limit=2, offset=10, after=UUID(int=0), path="/invoices", query=query)
    link = page.link(UUID(int=7))["Link"]
    assert link == f'</invoices?status=PAID&cursor={encode_cursor(UUID(int=7).bytes)}>; rel="next"'
    assert page.link(None) == {}
