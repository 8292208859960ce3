from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from school_billing.money import Amount
from school_billing.platform.web.errors import InvalidBody
from school_billing.platform.web.json_body import decode


class Body(msgspec.Struct):
    amount: Amount


def read(json: str) -> Decimal:
    return decode(b'{"amount":%s}' % json.encode(), Body).amount


@given(st.integers(min_value=1, max_value=10**12 - 1))
def test_every_amount_that_the_column_can_store_is_read_exactly(cents: int) -> None:
    amount = Decimal(cents).scaleb(-2)
    assert read(f'"{amount:.2f}"') == amount
    assert read(f"{amount:.2f}") == amount


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_other_values_are_not_amounts(value: Decimal) -> None:
    is_amount = value.is_finite() and 0 < value < 10**10 and value == value.quantize(Decimal("0.01"))
    try:
        taken = read(f'"{value}"')
    except InvalidBody:
        # An amount with an exponent or a third decimal is refused. With two decimals it is accepted.
        assert not is_amount or read(f'"{value:.2f}"') == value
    else:
        assert is_amount
        assert taken == value


@pytest.mark.parametrize(
    "json",
    [
        "0", "0.00", '"0"', "-1", '"-1.00"', "0.001", '"0.001"', "1e10", '"1e10"', '"1e2"', "1E400", "1e-3",
        "1e-400", '"1e400"',
        '"NaN"', '"sNaN"', '"Infinity"', '"abc"', '""', '" 1"', '"1 "', '"1_000"', '"+1"', '"1."', '".5"',
        '"٣"', '"1\\u0000"',
        '"10000000000.00"', "10000000000.00", "10000000000", "99999999999999999999999999", "true", "null", "[]", "{}",
        "100.00000000000000001", "0.1000000000000000055511151231257827", '"1\\n"',
    ],
)  # fmt: skip
def test_a_wrong_amount_names_its_field(json: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        read(json)
    assert [error.field for error in refused.value.errors] == ["amount"]


def test_a_number_keeps_its_digits() -> None:
    assert read("1234567890.12") == Decimal("1234567890.12")
    assert str(read("10.1")) == "10.1"


@pytest.mark.parametrize(
    ("json", "amount"), [("1e2", 100), ("100.000", 100), ("1.5E1", 15), ("0.10000", Decimal("0.1"))]
)
def test_equal_numbers_are_equal_amounts(json: str, amount: Decimal) -> None:
    assert read(json) == amount
