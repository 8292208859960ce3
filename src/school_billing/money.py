"""Money: exact amounts with two decimals, in the currency of the school.

An answer has amounts as strings ("600.00"). A request may send strings or numbers; a number is read from its digits and
never becomes a float.
"""

import re
from decimal import Decimal
from typing import Self

from school_billing.platform.web.types import Scalar

# numeric(12, 2) holds ten digits before the point. \d would accept the digits of every script, and Decimal alone would
# accept signs, exponents, underscores and blanks.
_AMOUNT = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,2})?")
_MONEY = re.compile(r"-?[0-9]+\.[0-9]{2}")


def digits_of(value: object, what: str) -> str:
    """Return the digits of a string, an integer or a Decimal from the JSON decoder. ValueError for another type.

    A number is written without exponent and trailing zeros: 1e2 and 100.000 become 100.
    """
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value.is_finite() and -3 < value.adjusted() < 10 else str(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"must be {what}")
    return str(value)


class Money(Scalar, Decimal):
    """An exact decimal with two places, in the currency of the school."""

    schema = {"type": "string", "pattern": f"^{_MONEY.pattern}$", "examples": ["600.00"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read an amount of an answer. ValueError if it is not a string with two decimals."""
        if not isinstance(value, str | Decimal) or not _MONEY.fullmatch(str(value)):
            raise ValueError('must be a sum such as "600.00"')
        return cls(value)


class SignedAmount(Scalar, Decimal):
    """An amount in the currency of the school, which may be negative: -9999999999.99 to 9999999999.99."""

    schema = {"type": "string", "pattern": f"^-?{_AMOUNT.pattern}$", "examples": ["-25.00"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a string or a number. ValueError if it breaks a rule."""
        text = digits_of(value, 'an amount such as "-25.00"')
        if not _AMOUNT.fullmatch(text.removeprefix("-")):
            raise ValueError("must be an amount between -9999999999.99 and 9999999999.99, with at most two decimals")
        return cls(text)


class Amount(Scalar, Decimal):
    """An amount in the currency of the school: 0.01 to 9999999999.99."""

    # Generated clients send strings. A hand-written one may send a number.
    schema = {"type": "string", "pattern": f"^(?=.*[1-9]){_AMOUNT.pattern}$", "examples": ["50.00"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a string or a number. ValueError if it breaks a rule."""
        text = digits_of(value, 'an amount such as "600.00"')
        if not _AMOUNT.fullmatch(text) or not (amount := cls(text)):
            raise ValueError("must be an amount above zero, at most 9999999999.99, with at most two decimals")
        return amount
