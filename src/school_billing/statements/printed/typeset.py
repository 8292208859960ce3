"""The program that makes one PDF document. Its input is the job in JSON.

Its output is a line with the number of characters that no font has, and then the document.

It is a process of its own, so it can be killed, and its memory is free when it ends.
"""

import json
import os
import re
import resource
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typst

from school_billing.statements.printed.glyphs import without_glyph

_HERE = Path(__file__).parent
_MEMORY_MOST_BYTES = 2 * 2**30
_CPU_SECONDS_MOST = 60
_UNBROKEN_MOST = 24
_UNBROKEN_INSTRUCTION_MOST = 34  # An IBAN stays whole. It has more room than a cell.
_BROKEN_EVERY = 6
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


def main() -> None:
    """Make the document."""
    if sys.platform == "linux":  # Other systems cannot limit the address space, or measure it in another way.
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MOST_BYTES, _MEMORY_MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS_MOST, _CPU_SECONDS_MOST))
    os.nice(10)  # Short requests come first.
    given = json.load(sys.stdin.buffer)
    job = json.dumps(_breakable(given))
    # Our fonts come first. The system's fonts add scripts that ours lack, such as Thai.
    fonts = typst.Fonts(include_system_fonts=True, include_embedded_fonts=False, font_paths=[_HERE / "fonts"])
    document = typst.compile(
        _HERE / "templates" / "statement.typ", font_paths=fonts, sys_inputs={"job": job}, format="pdf"
    )
    places = {(Path(font.path), font.index) for font in fonts.fonts() if font.path}
    ours_first = sorted(places, key=lambda place: (_HERE not in place[0].parents, place))
    missing = without_glyph(json.dumps(given, ensure_ascii=False), ours_first)
    sys.stdout.buffer.write(b"%d\n%b" % (len(missing), document))


def _breakable(value: Any, unbroken_most: int = _UNBROKEN_MOST) -> Any:
    """Allow line breaks in words that are too long for their column."""
    match value:
        case str():
            return re.sub(rf"\S{{{unbroken_most + 1},}}", lambda word: "".join(_with_breaks(word[0])), value)
        case list():
            return [_breakable(item) for item in value]
        case dict():
            most = {"instructions": _UNBROKEN_INSTRUCTION_MOST}
            return {
                name: item if name == "svg" else _breakable(item, most.get(name, unbroken_most))
                for name, item in value.items()
            }
    return value


def _with_breaks(word: str) -> Iterator[str]:
    length = 0
    previous = ""
    for character in word:
        # Not inside a letter and its accents, or an emoji that consists of several characters.
        is_joined = unicodedata.category(character) in {"Mn", "Mc", "Me", "Sk"} or character in _JOINERS
        if length >= _BROKEN_EVERY and not is_joined and previous != "\N{ZERO WIDTH JOINER}":
            yield "\N{ZERO WIDTH SPACE}"
            length = 0
        yield character
        previous = character
        length += 1


if __name__ == "__main__":
    main()
