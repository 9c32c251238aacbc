"""Fonts that have every script's letters, embedded as far as a report uses them.

Most letters are DejaVu's, which matplotlib brings; those of other scripts are of Noto (packages ``manimgx-fonts`` and
``manimgx-fonts-cjk``, SIL Open Font License). Chinese, Japanese and Korean have outlines there that PDF writers cannot
embed, so that the letters of a report are drawn again as a small font of its own.
"""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path

import matplotlib
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont as FontFile
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

FONT, BOLD = "LumbargradeSans", "LumbargradeSans-Bold"
_NOTO = "manimgx_fonts"
_CJK, _CJK_FILE = "manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc"
_JAPANESE, _KOREAN, _CHINESE = 0, 1, 2
"""Places in the file: many letters look otherwise in each of the three languages."""
_REGULAR = {"wght": 400.0}
_LARGEST_ERROR = 1.0
_lock = threading.RLock()


@cache
def register_fonts() -> None:
    """Makes the two usual fonts known to the PDF writer."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont(FONT, folder / "DejaVuSans.ttf", shapable=False))
    pdfmetrics.registerFont(TTFont(BOLD, folder / "DejaVuSans-Bold.ttf", shapable=False))


class ReportFonts:
    """The fonts of one report.

    Attributes:
        missing: Letters that no font has, in the order in which they were asked for.
    """

    def __init__(self) -> None:
        register_fonts()
        self.missing: dict[str, None] = {}
        self._cjk: TTFont | None = None

    @staticmethod
    def is_usual(letter: str) -> bool:
        """Whether the usual fonts write it, from left to right and unjoined."""
        return _usual(letter) or letter.isspace()

    def font_of(self, letter: str, bold: bool = False) -> str | None:
        """The name of the font that has a letter; None if there is none."""
        if _usual(letter):
            return BOLD if bold else FONT
        noto = next((name for name, letters in _noto_letters().items() if ord(letter) in letters), None)
        if noto is not None:
            return _register_noto(noto)
        if self._cjk is not None and ord(letter) in self._cjk.face.charToGlyph:
            return str(self._cjk.fontName)
        self.missing.setdefault(letter)
        return None


@contextmanager
def report_fonts(text: str) -> Iterator[ReportFonts]:
    """The fonts of a report with these letters, as long as it is written; one is written at a time."""
    with _lock:
        fonts = ReportFonts()
        letters = sorted({letter for letter in text if not _usual(letter) and ord(letter) in _cjk_letters()})
        if letters:
            file = io.BytesIO(_cjk_font(letters, _language(text)))
            fonts._cjk = TTFont(f"LumbargradeCJK{_digest(letters)}", file, shapable=False)
            pdfmetrics.registerFont(fonts._cjk)
        try:
            yield fonts
        finally:
            if fonts._cjk is not None:
                fonts._cjk.unregister()


@cache
def _usual_letters() -> frozenset[int]:
    register_fonts()
    return frozenset(pdfmetrics.getFont(FONT).face.charToGlyph)


def is_right_to_left_script(letter: str) -> bool:
    """Whether a letter is of Hebrew, Arabic or a script beside them: DejaVu has these, but its letters do not join."""
    return 0x590 <= ord(letter) <= 0x8FF or 0xFB1D <= ord(letter) <= 0xFEFC


def _usual(letter: str) -> bool:
    return ord(letter) in _usual_letters() and not is_right_to_left_script(letter)


@cache
def _noto_letters() -> dict[str, frozenset[int]]:
    """The letters of each font by the name of its file; that of a script alone before those of many."""
    files = [file.name for file in resources.files(_NOTO).iterdir() if file.name.endswith(".ttf")]
    order = sorted(
        (name for name in files if "Italic" not in name), key=lambda name: ("Emoji" in name, "Symbols" in name)
    )
    found = {}
    for name in order:
        with resources.as_file(resources.files(_NOTO) / name) as path, FontFile(path, lazy=True) as font:
            found[name] = frozenset(font.getBestCmap())
    return found


@cache
def _register_noto(file: str) -> str:
    name = f"Lumbargrade{file.partition('[')[0]}"
    with resources.as_file(resources.files(_NOTO) / file) as path:
        pdfmetrics.registerFont(TTFont(name, path, shapable=True))
    return name


def _digest(letters: list[str]) -> str:
    return hashlib.sha256("".join(letters).encode()).hexdigest()[:12]


@cache
def _cjk_letters() -> frozenset[int]:
    with _open_cjk(_JAPANESE) as font:
        return frozenset(font.getBestCmap())


def _language(text: str) -> int:
    if any(0x3040 <= ord(letter) <= 0x30FF for letter in text):
        return _JAPANESE
    is_korean = any(0xAC00 <= ord(letter) <= 0xD7A3 or 0x1100 <= ord(letter) <= 0x11FF for letter in text)
    return _KOREAN if is_korean else _CHINESE


@contextmanager
def _open_cjk(language: int) -> Iterator[FontFile]:
    with (
        resources.as_file(resources.files(_CJK) / _CJK_FILE) as path,
        FontFile(path, fontNumber=language, lazy=True) as font,
    ):
        yield font


def _cjk_font(letters: list[str], language: int) -> bytes:
    """A TrueType font of these letters, drawn with quadratic curves from the package's cubic ones."""
    with _open_cjk(language) as font:
        names = {
            ord(letter): font.getBestCmap()[ord(letter)] for letter in letters if ord(letter) in font.getBestCmap()
        }
        glyphs = [".notdef", *dict.fromkeys(names.values())]
        outlines = font.getGlyphSet(location=_REGULAR)
        drawn, widths = {}, {}
        for name in glyphs:
            pen = TTGlyphPen(None)
            outlines[name].draw(Cu2QuPen(pen, _LARGEST_ERROR, reverse_direction=True))
            drawn[name] = pen.glyph()
            widths[name] = round(outlines[name].width)
        builder = FontBuilder(font["head"].unitsPerEm, isTTF=True)
        builder.setupGlyphOrder(glyphs)
        builder.setupCharacterMap(names)
        builder.setupGlyf(drawn)
        builder.setupHorizontalMetrics({name: (width, drawn[name].xMin or 0) for name, width in widths.items()})
        builder.setupHorizontalHeader(ascent=font["hhea"].ascent, descent=font["hhea"].descent)
        family = f"LumbargradeCJK{_digest(letters)}"
        builder.setupNameTable({"familyName": family, "styleName": "Regular", "psName": family})
        builder.setupOS2()
        builder.setupPost()
    builder.font.recalcTimestamp = False  # the same report is the same file
    builder.font["head"].created = builder.font["head"].modified = 0
    file = io.BytesIO()
    builder.save(file)
    return file.getvalue()
