from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from school_billing.schools.days import Day, Moment


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)))
def test_every_day_of_the_calendar_is_read_as_itself(day: date) -> None:
    assert Day.parse(day.isoformat()) == day
    assert Moment.parse(day.isoformat()).day == day


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "today", "2026-02-30", "2026-13-01", "1899-12-31", "3000-01-01", "0001-01-01", "9999-12-31",
        "20260131", "2026-1-1", "2026-W05-1", "2026-01-31 ", " 2026-01-31", "٢٠٢٦-01-31", "2026-01-31T00:00:00Z",
        "1767225600",
    ],
)  # fmt: skip
def test_what_is_no_day_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a date"):
        Day.parse(text)


def test_an_instant_keeps_its_microseconds_and_its_offset() -> None:
    assert Moment.parse("2026-03-31T12:00:00.000001Z").instant == datetime(2026, 3, 31, 12, 0, 0, 1, tzinfo=UTC)
    assert Moment.parse("2026-03-31T12:00:00+02:00").instant == datetime(2026, 3, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-31T12:00:00", "2026-03-31T12:00:00 02:00", "2026-03-31T", "now", "", "2026-02-30", "infinity",
        "1899-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a date"):
        Moment.parse(text)
