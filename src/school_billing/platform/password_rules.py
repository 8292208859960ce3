"""The rules for a new password: it is long, and not among the first guesses (NIST SP 800-63B section 3.1.1.2).

No rule demands digits or signs, because people satisfy such a rule with "Password123!".
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 128
# Without a colon and a blank, no username looks like a database role or an API key in the audit trail.
# (?!\n) is there because $ alone also matches before a final newline.
USERNAME_PATTERN = r"^[a-z0-9][a-z0-9._@+-]*$(?!\n)"
_FEWEST_DIFFERENT_CHARACTERS = 5

_COMMON = Path(__file__).with_name("common_passwords.txt")
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "qwertyuiopasdfghjklzxcvbnm" * 2,
    "qwertzuiopasdfghjklyxcvbnm" * 2,
    "0123456789" * 14,
    "9876543210" * 14,
)
_PLAIN = str.maketrans("@013$5", "aoiess")
_AROUND_A_WORD = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_AGAIN_AND_AGAIN = re.compile(r"(.+?)\1+")


def password_problem(username: str, password: str) -> str | None:
    """Return a sentence that says why the user may not take `password`, or None if the user may."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return f"must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
    folded = unicodedata.normalize("NFKC", password).casefold()
    words = _words(folded)
    name = username.casefold()
    if folded.strip() == name or words & (_words(name) | _words(name.partition("@")[0])):
        return "must not be the username"
    if words & _common_passwords() or any(len(word) > 2 and word in row for word in words for row in _ROWS):
        return "must not be one of the most common passwords"
    if len(set(folded)) < _FEWEST_DIFFERENT_CHARACTERS:
        return f"must have at least {_FEWEST_DIFFERENT_CHARACTERS} different characters"
    return None


def _words(text: str) -> set[str]:
    """Return the words from which the text may be made.

    Attackers try a word, the word repeated, the word with a year or signs around it, and the word with 0 in place of o.
    """
    unspaced = re.sub(r"[\W_]+", "", text)
    repeated = _AGAIN_AND_AGAIN.fullmatch(unspaced)
    words = {text, unspaced, repeated[1] if repeated else unspaced}
    words |= {_AROUND_A_WORD.sub("", word) for word in words}
    bare = _AROUND_A_WORD.sub("", text)
    repeated = _AGAIN_AND_AGAIN.fullmatch(re.sub(r"[\W_]+", "", bare))
    words |= {bare, repeated[1] if repeated else bare}
    return {form for word in words if word for form in (word, word.translate(_PLAIN))}


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(_COMMON.read_text(encoding="ascii").split())
