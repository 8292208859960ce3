"""Money: exact amounts with two decimals, in the currency of the school.

In JSON an amount goes out as a string ("600.00") and comes in as such a string or as a number. There is no
float on the way: a JSON number is read from its digits.
"""

import re
from decimal import Decimal
from typing import Self

from school_billing.platform.web.types import Scalar

# Ten digits before the point are what numeric(12, 2) holds. [0-9] and not \d, which takes the digits of every
# script; no sign, exponent, underscore or blank, all of which Decimal would take.
_AMOUNT = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,2})?")
_MONEY = re.compile(r"-?[0-9]+\.[0-9]{2}")


def _plain(number: Decimal) -> str:
    """Write a JSON number without its exponent and without zeros that say nothing: 1e2 and 100.000 are 100."""
    return f"{number.normalize():f}" if number.is_finite() and -3 < number.adjusted() < 10 else str(number)


class Money(Scalar, Decimal):
    """An exact decimal with two places, in the currency of the school."""

    schema = {"type": "string", "pattern": f"^{_MONEY.pattern}$", "examples": ["600.00"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what the API gave.

        Raises:
            ValueError: It is not a string with two decimals.
        """
        if not isinstance(value, str | Decimal) or not _MONEY.fullmatch(str(value)):
            raise ValueError('Expected a sum such as "600.00"')
        return cls(value)


class Amount(Scalar, Decimal):
    """An amount in the currency of the school: 0.01 to 9999999999.99, as a string or a number."""

    schema = {
        "one_of": [
            {"type": "string", "pattern": f"^(?=.*[1-9]){_AMOUNT.pattern}$"},
            {"type": "number", "minimum": 0.01, "maximum": 9999999999.99, "multiple_of": 0.01},
        ],
        "examples": ["600.00", 600],
    }

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read what the JSON decoder gives: a string, an integer, or a Decimal of a number's digits.

        Raises:
            ValueError: It is no plain decimal number above zero with at most two decimals.
        """
        if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
            raise ValueError('Expected an amount such as "600.00"')
        text = _plain(value) if isinstance(value, Decimal) else str(value)
        if not _AMOUNT.fullmatch(text) or not (amount := cls(text)):
            raise ValueError("Expected an amount above zero, at most 9999999999.99, with at most two decimals")
        return amount
