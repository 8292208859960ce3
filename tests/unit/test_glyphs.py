from pathlib import Path

from school_billing.statements.printed import glyphs, typeset

FONTS = Path(typeset.__file__).parent / "fonts"


def missing(text: str, *names: str) -> set[str]:
    return glyphs.without_glyph(text, [(FONTS / f"{name}.ttf", 0) for name in names])


def test_each_character_is_looked_up_in_every_font_until_one_has_it() -> None:
    text = "Lisa Ñ ﷺ\t\N{ZERO WIDTH JOINER} 山 뷁 🎓 ก"  # Thai is in none of ours.
    assert missing(text) == set(text) - set(" \t\N{ZERO WIDTH JOINER}")
    assert missing(text, "DejaVuSansCondensed") == set("ﷺ山뷁🎓ก")
    assert missing(text, "DejaVuSansCondensed", "DroidSansFallback") == set("ﷺ🎓ก")
    assert missing(text, "DejaVuSansCondensed", "DroidSansFallback", "NotoEmoji-Regular") == set("ﷺก")


def test_a_broken_font_of_the_machine_has_nothing(tmp_path: Path) -> None:
    for content in (b"", b"ttcf", b"\0\1\0\0\0\1" + b"\0" * 20, (FONTS / "DejaVuSansCondensed.ttf").read_bytes()[:500]):
        (tmp_path / "broken.ttf").write_bytes(content)
        assert glyphs.without_glyph("a", [(tmp_path / "broken.ttf", 0), (tmp_path / "none.ttf", 0)]) == {"a"}
