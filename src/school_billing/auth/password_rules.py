"""What a new password must be: long, and not one that is tried first (NIST SP 800-63B section 3.1.1.2).

There is no rule about digits and signs: people meet such a rule with "Password123!".
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 128
_FEWEST_DIFFERENT_CHARACTERS = 5

_COMMON = Path(__file__).with_name("common_passwords.txt")
_ROWS = ("abcdefghijklmnopqrstuvwxyz" * 2, "qwertyuiopasdfghjklzxcvbnm" * 2, "qwertzuiopasdfghjklyxcvbnm" * 2)
_AROUND_A_WORD = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_AGAIN_AND_AGAIN = re.compile(r"(.+?)\1+")


def password_fault(username: str, password: str) -> str | None:
    """Tell what is wrong with `password` for the user of that name, in a sentence; None where nothing is."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return f"Expected {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
    folded = unicodedata.normalize("NFKC", password).casefold()
    word = _word(folded)
    name = username.casefold()
    if folded.strip() == name or (word and word in {_word(name), _word(name.partition("@")[0])}):
        return "Expected something else than the username"
    if {folded, word} & _common_passwords() or (len(word) > 2 and any(word in row for row in _ROWS)):
        return "This is one of the most common passwords"
    if len(set(folded)) < _FEWEST_DIFFERENT_CHARACTERS:
        return f"Expected at least {_FEWEST_DIFFERENT_CHARACTERS} different characters"
    return None


def _word(text: str) -> str:
    """Return what is left without the digits and signs around a word, and without its repetitions.

    A common word with a year behind it, or three times, is what is tried right after the word.
    """
    word = _AROUND_A_WORD.sub("", text)
    unspaced = re.sub(r"[\W_]+", "", word)
    repeated = _AGAIN_AND_AGAIN.fullmatch(unspaced)
    return _AROUND_A_WORD.sub("", repeated[1]) if repeated else word


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(_COMMON.read_text(encoding="ascii").split())
