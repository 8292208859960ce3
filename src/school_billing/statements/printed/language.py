"""The languages of printed statements, and how each writes amounts, days and moments."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Self
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_datetime_format
from babel.numbers import NumberPattern, get_currency_name, get_currency_precision, parse_pattern

from school_billing.platform.web.types import Scalar

_LABELS = Path(__file__).parent / "labels"

LANGUAGES = tuple(sorted(path.stem for path in _LABELS.glob("*.json")))
"""The languages of the labels. Any other falls back to English as a whole, because half a translation reads worse."""

_LANGUAGE = re.compile(rf"({'|'.join(LANGUAGES)})(-([A-Z]{{2}}|[0-9]{{3}}))?")
# A browser may send a script and more: es-Latn-MX-u-nu-latn.
_TAG = re.compile(r"([A-Za-z]{2,8})(?:-[A-Za-z]{4})?(?:-([A-Za-z]{2}|[0-9]{3}))?(?:-[A-Za-z0-9]+)*")
_RANGE = re.compile(r"\s*([A-Za-z0-9-]+)\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?")
_RANGES_MOST = 20


class Language(Scalar, str):
    """A language of the statements, alone or with the region whose number and date formats it follows (BCP 47)."""

    schema = {"type": "string", "pattern": f"^{_LANGUAGE.pattern}$", "examples": ["en", "es-MX"]}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a language.

        Raises:
            ValueError: It is not one of LANGUAGES, alone or with a region.
        """
        if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
            raise ValueError(f"must be one of {', '.join(LANGUAGES)}, alone or with a region, such as es-MX")
        return cls(value)

    @property
    def base(self) -> str:
        """The language without its region."""
        return self.partition("-")[0]


ENGLISH = Language("en")


def language_of_paper(chosen: Language | None, of_payer: str | None, of_client: Language) -> Language:
    """Return the language of an invoice or receipt: the chosen one, else the payer's, else the client's."""
    return chosen or (accepted_language(of_payer) if of_payer else of_client)


def accepted_language(header: str) -> Language:
    """Return the language that an Accept-Language header prefers (RFC 9110 section 12.5.4), else English.

    A part that cannot be read is ignored, because browsers send the header by themselves.
    """
    best, best_weight = ENGLISH, Decimal(0)
    for part in header.split(",")[:_RANGES_MOST]:
        language_range = _RANGE.fullmatch(part)
        tag = _TAG.fullmatch(language_range[1]) if language_range else None
        if language_range and tag and (base := tag[1].lower()) in LANGUAGES:
            weight = Decimal(language_range[2] or 1)
            if weight > best_weight:
                best, best_weight = Language(f"{base}-{tag[2].upper()}" if tag[2] else base), weight
    return best


class Formats:
    """The formats of a language, a currency and a time zone."""

    def __init__(self, language: Language, currency: str, time_zone: str) -> None:
        self.language = language
        self.direction = _locale(language).text_direction
        self._locale = _locale(language)
        self._labels = labels(language.base)
        self._currency = currency
        self._zone = ZoneInfo(time_zone)
        self._precision = get_currency_precision(currency)
        self._with_symbol = self._locale.currency_formats["standard"]
        self._without_symbol = parse_pattern(re.sub(r"\s*¤\s*", "", self._with_symbol.pattern))

    def label(self, name: str) -> str:
        """Return the label called `name`."""
        return self._labels[name]

    def method(self, method: str) -> str:
        """Return the name of a method of payment, or its own words if the labels lack it."""
        return self._labels.get(f"method_{method}", method.replace("_", " "))

    def money(self, amount: Decimal) -> str:
        """Write an amount with its currency."""
        # CLDR separates letters from digits ("KWD 1.000"), which Babel does not.
        return re.sub(r"(?<=[^\W\d_])(?=\d)", "\N{NO-BREAK SPACE}", self._amount(self._with_symbol, amount), count=1)

    def number(self, amount: Decimal) -> str:
        """Write an amount without its currency, for a column."""
        return self._amount(self._without_symbol, amount)

    def currency(self) -> str:
        """Return the currency's name and code."""
        return f"{get_currency_name(self._currency, locale=self._locale)} ({self._currency})"

    def day(self, day: date) -> str:
        """Write a day in its short form, for a column."""
        return format_date(day, "medium", self._locale)

    def school_day(self, moment: datetime) -> str:
        """Write the day of a moment in the time zone of the school, in its short form."""
        return self.day(self.school_date(moment))

    def school_date(self, moment: datetime) -> date:
        """Return the day of a moment in the time zone of the school."""
        return moment.astimezone(self._zone).date()

    def long_day(self, day: date) -> str:
        """Write a day with its month's name."""
        return format_date(day, "long", self._locale)

    def moment(self, moment: datetime) -> str:
        """Write a moment in the time zone of the school, to the minute, or to the second if it has one."""
        local = moment.astimezone(self._zone)
        time = format_time(local.timetz(), "medium" if local.second else "short", locale=self._locale)
        pattern = str(get_datetime_format("long", self._locale)).replace("'", "")
        return f"{pattern.replace('{0}', time).replace('{1}', self.long_day(local.date()))} ({self._zone.key})"

    def _amount(self, pattern: NumberPattern, amount: Decimal) -> str:
        # Babel would round decimals of yen away; an amount that has some shows them.
        exponent = amount.normalize().as_tuple().exponent
        is_whole = isinstance(exponent, int) and -exponent <= self._precision
        text = str(pattern.apply(amount, self._locale, currency=self._currency, currency_digits=is_whole))
        # Among words from right to left, a minus would else stand behind its number (UAX #9).
        return re.sub(r"-(?=\d)", "\N{LEFT-TO-RIGHT MARK}-", text) if self.direction == "rtl" else text


@cache
def labels(language: str) -> Mapping[str, str]:
    """Return the labels of one of LANGUAGES."""
    return MappingProxyType(msgspec.json.decode((_LABELS / f"{language}.json").read_bytes(), type=dict[str, str]))


@cache
def _locale(language: Language) -> Locale:
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale(language.base)
