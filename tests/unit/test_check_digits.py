"""The check digits of IBANs and payment references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from school_billing.payers.contracts import PaymentReference
from school_billing.schools.check_digits import check_digits
from school_billing.schools.contracts import Iban

NUMBERS = st.text("0123456789", min_size=12, max_size=12)


@pytest.mark.parametrize(
    "published",
    ["RF18 5390 0754 7034", "RF18000000000539007547034", "rf712348231", "RF45G72UUR", "RF18 5390\t0754\u00a07034 "],
)
def test_a_valid_reference_is_read_in_any_case_and_with_any_blanks(published: str) -> None:
    assert PaymentReference.parse(published) == "".join(published.split()).upper()


@pytest.mark.parametrize("iban", ["DE89 3704 0044 0532 0130 00", "gb29nwbk60161331926819", "NO93 8601 1117 947"])
def test_a_valid_iban_is_read_as_it_is_stored(iban: str) -> None:
    assert Iban.parse(iban) == "".join(iban.split()).upper()


@pytest.mark.parametrize(
    "wrong",
    # The last two leave the right rest, too, but check digits are 02 to 98.
    ["DE89 3704 0044 0532 0130 01", "DE98 3704 0044 0532 0130 00", "DE1", "", 5, None, "DE89-3704-0044-0532-0130-00",
     "DE89" + "0" * 31, "DE89" + " " * 90 + "370400440532013000", "DE00370400440532013050", "DE01370400440532013032"],
)  # fmt: skip
def test_what_is_no_iban_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="must be an IBAN"):
        Iban.parse(wrong)


@pytest.mark.parametrize(
    "wrong", ["RF18", "FR18 5390 0754 7034", "RF18" + "5" * 22, "RF18-5390", "5390 0754 7034", "", 7, None]
)
def test_what_is_no_reference_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="must be a payment reference such as"):
        PaymentReference.parse(wrong)


def is_refused(reference: str) -> bool:
    try:
        PaymentReference.parse(reference)
    except ValueError as error:
        return str(error) == "has a wrong check digit; it was mistyped"
    return False


@given(number=NUMBERS, place=st.integers(2, 15), digit=st.sampled_from("0123456789"))
def test_one_mistyped_digit_or_two_swapped_neighbours_are_always_found(number: str, place: int, digit: str) -> None:
    reference = f"RF{check_digits('RF', number)}{number}"
    assert PaymentReference.parse(reference) == reference
    mistyped = reference[:place] + digit + reference[place + 1 :]
    assert is_refused(mistyped) == (mistyped != reference)
    swapped = reference[:place] + reference[place : place + 2][::-1] + reference[place + 2 :]
    assert is_refused(swapped) == (swapped != reference)
