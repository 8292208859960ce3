"""The check digits of IBANs and of payment references (ISO 7064, mod 97-10)."""

import re

_BLANKS = re.compile(r"\s+")


def compact(code: str) -> str:
    """Return a code without blanks and in capitals, as it is stored."""
    return _BLANKS.sub("", code).upper()


def in_fours(code: str) -> str:
    """Return a code in groups of four, as people read it from paper."""
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))


def check_digits(head: str, tail: str) -> str:
    """Return the two digits between `head`, such as RF, and `tail`. Both are capital letters and digits."""
    # A counts as 10 and Z as 35.
    number = int("".join(str(int(sign, 36)) for sign in f"{tail}{head}00"))
    return f"{98 - number % 97:02}"


def has_check_digits(code: str) -> bool:
    """Tell whether the third and fourth character of a code are right."""
    return code[2:4] == check_digits(code[:2], code[4:])
