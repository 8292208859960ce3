from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from school_billing.statements.printed.language import LANGUAGES, Formats, Language, accepted_language, labels


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_label(language: str) -> None:
    assert labels(language).keys() == labels("en").keys()
    assert all(labels(language).values())
    assert "{to}" in labels(language)["until"]
    assert all("{day}" in labels(language)[name] for name in ("forecast", "is_overdue", "early_discount"))
    assert "{amount}" in labels(language)["early_discount"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("es", "es"),
        ("ES-mx", "es-MX"),
        ("zh-Hans-CN, ja;q=0.9, de-CH;q=0.8, en;q=0.7", "de-CH"),
        ("en;q=0.2, ar;q=0.9, de;q=0.9", "ar"),
        ("es;q=0, de;q=0.001", "de"),
        ("es;q=0", "en"),
        ("*", "en"),
        ("es-419", "es-419"),
        ("es-Latn-MX-u-nu-latn", "es-MX"),
        ("nonsense;;q=;,=, \x00", "en"),
        ("es;q=2", "en"),
        (f"{'xx,' * 1_000}es", "en"),  # nobody reads that many
    ],
)
def test_a_browser_gets_the_language_that_its_owner_likes_best_of_those_there_are(header: str, language: str) -> None:
    assert accepted_language(header) == language


def test_a_method_of_payment_is_told_in_the_readers_language_or_in_its_own_words() -> None:
    german = Formats(Language("de"), "EUR", "Europe/Berlin")
    assert [german.method(method) for method in ("bank_transfer", "standing_order", "page")] == [
        "Überweisung", "standing order", "page",
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["", "xx", "e", "es_MX", "es-", "zh", "es\n", "ES", "es-mx", "en-US-x", None, 1])
def test_what_is_no_language_of_ours_is_refused(language: object) -> None:
    with pytest.raises(ValueError, match="must be one of ar, de, en, es, fr"):
        Language.parse(language)


@pytest.mark.parametrize(
    ("currency", "language", "amount", "written"),
    [
        ("USD", "en", "12345.50", "$12,345.50"),
        ("USD", "es", "12345.50", "12.345,50 US$"),
        ("USD", "es-US", "12345.50", "$12,345.50"),
        ("USD", "en", "-0.05", "-$0.05"),
        ("EUR", "de", "12345.50", "12.345,50 €"),
        ("EUR", "de-AT", "12345.50", "€ 12.345,50"),
        ("EUR", "fr", "12345.50", "12\u202f345,50 €"),
        ("EUR", "en", "12345.50", "€12,345.50"),
        ("JPY", "en", "12345.00", "¥12,345"),
        ("JPY", "de", "12345.00", "12.345 ¥"),
        ("KWD", "en", "12345.50", "KWD 12,345.500"),
        ("KWD", "en", "-12345.50", "-KWD 12,345.500"),
        ("KWD", "ar", "12345.50", "\u200f12,345.500 د.ك.\u200f"),
        ("KWD", "ar", "-12345.50", "\u200f\u200e-12,345.500 د.ك.\u200f"),  # so that the minus stands before it
        ("USD", "en", "0.00", "$0.00"),
        ("USD", "en-ZZ", "0.00", "$0.00"),  # no such region: the language alone
    ],
)
def test_an_amount_is_written_as_its_reader_would(currency: str, language: str, amount: str, written: str) -> None:
    formats = Formats(Language.parse(language), currency, "UTC")
    assert formats.money(Decimal(amount)).replace("\N{NO-BREAK SPACE}", " ") == written


def test_no_decimal_is_ever_rounded_away() -> None:
    # Whole yen are the custom, but the books hold two decimals, and a sum without them would be another sum.
    yen = Formats(Language("en"), "JPY", "UTC")
    assert [yen.money(Decimal(amount)) for amount in ("600.50", "600.00")] == ["¥600.50", "¥600"]
    assert [yen.number(Decimal(amount)) for amount in ("0.01", "1000.00", "-0.50")] == ["0.01", "1,000", "-0.50"]
    most = Decimal("99999999999999999999.99")
    assert Formats(Language("en"), "USD", "UTC").number(most) == "99,999,999,999,999,999,999.99"


def test_a_column_has_the_numbers_of_the_language_without_the_currency() -> None:
    written = {
        language: Formats(Language(language), "EUR", "UTC").number(Decimal("12345.50")) for language in LANGUAGES
    }
    assert written == {
        "ar": "\u200f12,345.50",
        "de": "12.345,50",
        "en": "12,345.50",
        "es": "12.345,50",
        "fr": "12\u202f345,50",
    }


def test_a_moment_is_told_by_the_clock_of_the_school() -> None:
    moment = datetime(2026, 3, 1, 5, 30, tzinfo=UTC)
    assert (
        Formats(Language("de"), "EUR", "America/Chicago").moment(moment) == "28. Februar 2026, 23:30 (America/Chicago)"
    )
    assert Formats(Language("de"), "EUR", "Asia/Kolkata").moment(moment) == "1. März 2026, 11:00 (Asia/Kolkata)"
    assert Formats(Language("de"), "EUR", "America/Chicago").school_day(moment) == "28.02.2026"
    assert Formats(Language("es"), "EUR", "UTC").long_day(date(2026, 3, 1)) == "1 de marzo de 2026"
