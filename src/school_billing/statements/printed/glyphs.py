"""The characters that a font has a glyph for, read from its table `cmap` (OpenType).

fontTools reads a font in 0.1 s and more, as long as a whole document takes; this asks for the few characters of one.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import error as StructError  # noqa: N812 - it is a class.
from struct import iter_unpack, unpack_from
from unicodedata import category

_BMP, _FULL = 4, 12
"""The two formats that fonts use for Unicode: the older one ends at U+FFFF."""


def without_glyph(text: str, fonts: Iterable[tuple[Path, int]]) -> set[str]:
    """Return the visible characters of `text` that no font has; a font is a file and the font's index in it."""
    # Controls, joiners and blanks need no glyph.
    missing = {character for character in set(text) if category(character)[0] not in "CZ"}
    for path, index in fonts:
        if not missing:
            break
        try:
            font = path.read_bytes()
            missing -= {chr(code) for code in _codes(font, index, {ord(character) for character in missing})}
        except (OSError, StructError, KeyError):
            continue  # A broken font of the machine prints nothing either.
    return missing


def _codes(font: bytes, index: int, wanted: set[int]) -> Iterator[int]:
    start = unpack_from(">I", font, 12 + 4 * index)[0] if font.startswith(b"ttcf") else 0
    (count,) = unpack_from(">H", font, start + 4)
    tables = {tag: offset for tag, _, offset, _ in iter_unpack(">4sIII", font[start + 12 : start + 12 + 16 * count])}
    cmap = tables[b"cmap"]
    (count,) = unpack_from(">H", font, cmap + 2)
    for _, _, offset in iter_unpack(">HHI", font[cmap + 4 : cmap + 4 + 8 * count]):
        (kind,) = unpack_from(">H", font, cmap + offset)
        if kind == _FULL:
            yield from _full(font, cmap + offset, wanted)
        elif kind == _BMP:
            yield from _bmp(font, cmap + offset, wanted)


def _full(font: bytes, offset: int, wanted: set[int]) -> Iterator[int]:
    (count,) = unpack_from(">I", font, offset + 12)
    for first, last, _ in iter_unpack(">III", font[offset + 16 : offset + 16 + 12 * count]):
        yield from (code for code in wanted if first <= code <= last)


def _bmp(font: bytes, offset: int, wanted: set[int]) -> Iterator[int]:
    (size,) = unpack_from(">H", font, offset + 6)
    columns = (offset + 14, offset + 16 + size, offset + 16 + 2 * size, offset + 16 + 3 * size)
    segments = zip(*(unpack_from(f">{size // 2}H", font, column) for column in columns), strict=True)
    for number, (last, first, delta, distance) in enumerate(segments):
        for code in wanted:
            if first <= code <= last:
                glyph = code
                if distance:
                    # The distance counts from where it stands itself.
                    (glyph,) = unpack_from(">H", font, columns[3] + 2 * number + distance + 2 * (code - first))
                if glyph and (glyph + delta) & 0xFFFF:
                    yield code
