"""What a new password must be: long, and not one that is tried first (NIST SP 800-63B section 3.1.1.2).

There is no rule about digits and signs: people meet such a rule with "Password123!".
"""

from functools import cache
from pathlib import Path

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 128
_FEWEST_DIFFERENT_CHARACTERS = 5

_COMMON = Path(__file__).with_name("common_passwords.txt")
_PADDING = "0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ "


def password_fault(username: str, password: str) -> str | None:
    """Tell what is wrong with `password` for the user of that name, in a sentence; None where nothing is."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return f"Expected {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
    folded = password.casefold()
    if folded.strip() == username.casefold():
        return "Expected something else than the username"
    # A common word with digits around it, or twice, is what is tried right after the word.
    core = folded.strip(_PADDING)
    half = folded[: len(folded) // 2]
    if {folded, core} & _common_passwords() or (folded == half * 2 and half in _common_passwords()):
        return "This is one of the most common passwords"
    if len(set(folded)) < _FEWEST_DIFFERENT_CHARACTERS:
        return f"Expected at least {_FEWEST_DIFFERENT_CHARACTERS} different characters"
    return None


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(_COMMON.read_text(encoding="ascii").split())
