"""Splitting an amount by shares, beside exact fractions in Python."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SPLIT = "select split_by_shares($1, $2, $3)"


@st.composite
def shares(draw: st.DrawFn) -> list[Decimal]:
    """One to seven shares with four decimals that sum to 100."""
    cuts = draw(st.sets(st.integers(1, 999_999), max_size=6))
    return [Decimal(upper - lower).scaleb(-4) for lower, upper in pairwise([0, *sorted(cuts), 1_000_000])]


@pytest.mark.parametrize(
    ("amount", "parts", "decimals", "expected"),
    [
        ("100.01", ["33.3333", "33.3333", "33.3334"], 2, ["33.34", "33.33", "33.34"]),  # 33.3366, 33.3366, 33.3367
        ("100.00", ["33.3333", "33.3333", "33.3334"], 2, ["33.33", "33.33", "33.34"]),
        ("0.01", ["50", "50"], 2, ["0.01", "0.00"]),
        ("101.00", ["50", "50"], 0, ["51.00", "50.00"]),
        ("465.50", ["100"], 2, ["465.50"]),
    ],
)
async def test_a_part_is_rounded_by_its_remainder(
    psql: "asyncpg.Connection[asyncpg.Record]", amount: str, parts: list[str], decimals: int, expected: list[str]
) -> None:
    found = await psql.fetchval(SPLIT, Decimal(amount), [Decimal(part) for part in parts], decimals)
    assert [str(part) for part in found] == expected


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(units=st.integers(1, 10**12), parts=shares(), decimals=st.sampled_from([2, 2, 0]))
async def test_the_parts_sum_to_the_amount_and_the_largest_remainders_are_rounded_up(
    psql: "asyncpg.Connection[asyncpg.Record]", units: int, parts: list[Decimal], decimals: int
) -> None:
    unit = Decimal(1).scaleb(-decimals)
    found = await psql.fetchval(SPLIT, units * unit, parts, decimals)
    assert sum(found) == units * unit
    exact = [Fraction(units) * Fraction(part) / 100 for part in parts]
    by_remainder = sorted(range(len(parts)), key=lambda place: (exact[place] // 1 - exact[place], place))
    left = units - sum(part // 1 for part in exact)
    rounded_up = set(by_remainder[:left])
    assert found == [(part // 1 + (place in rounded_up)) * unit for place, part in enumerate(exact)]
