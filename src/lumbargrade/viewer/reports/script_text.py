"""Text of any script in a PDF: letters joined as their script joins them, words in the direction in which it is read.

The PDF writer shapes words (by HarfBuzz) and lays out only scripts that are read from the left. What a reader or a header
brings may be of another: its lines are broken and ordered here (Unicode's bidirectional algorithm, without embeddings).
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import ShapedStr, shapeStr
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from lumbargrade.viewer.reports.fonts import BOLD, ReportFonts

_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_LEFT, _RIGHT, _NUMBER, _NEUTRAL, _SPACE = "L", "R", "N", "o", " "
_OPENING, _CLOSING = tuple("([{<«"), tuple(")]}>»")
_BRACKETS = _OPENING + _CLOSING
_JOINERS = "\u200c\u200d"
_KINDS = {"L": _LEFT, "R": _RIGHT, "AL": _RIGHT, "EN": _NUMBER, "AN": _NUMBER, "WS": _SPACE, "B": _SPACE, "S": _SPACE}


class Piece(NamedTuple):
    """Letters that are drawn together.

    Attributes:
        kind: Whether they are read from the left or the right, a number, of neither direction, or a space.
        alone: Whether a line may break before and after it, as between Chinese letters.
    """

    text: str
    kind: str
    font: str
    alone: bool = False


class ScriptText(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A paragraph of any script."""

    def __init__(self, text: str, style: ParagraphStyle, fonts: ReportFonts) -> None:
        super().__init__()
        self.style = style
        self._pieces = split_pieces(text, fonts, style.fontName == BOLD)
        self._lines: list[list[Piece]] = []
        self._rtl = next((piece.kind == _RIGHT for piece in self._pieces if piece.kind in (_LEFT, _RIGHT)), False)
        self.spaceAfter = style.spaceAfter

    def wrap(self, width: float, _: float) -> tuple[float, float]:
        """Breaks the text into lines of a width, points."""
        self._width = width
        self._lines = [*self._broken(width)]
        return width, len(self._lines) * self.style.leading

    def split(self, width: float, height: float) -> list[Flowable]:
        """It is not split over pages: comments are short."""
        return []

    def draw(self) -> None:
        """Draws the lines; what is read from the right begins at the right."""
        self.canv.setFillColor(self.style.textColor)
        for number, line in enumerate(self._lines, start=1):
            pieces = order_pieces(line, self._rtl)
            y = (len(self._lines) - number) * self.style.leading + 0.25 * self.style.fontSize
            x = self._width - sum(map(self._width_of, pieces)) if self._rtl else 0.0
            for piece in pieces:
                self._draw_piece(self.canv, piece, x, y)
                x += self._width_of(piece)

    def _draw_piece(self, canvas: Canvas, piece: Piece, x: float, y: float) -> None:
        """Draws letters with what they stand for, since shapes are no letters to whoever searches or copies.

        Readers of PDF turn what is read from the right themselves, so that they get it from left to right.
        """
        text = piece.text[::-1] if piece.kind == _RIGHT else piece.text
        canvas.addLiteral(f"/Span <</ActualText <FEFF{text.encode('utf-16-be').hex().upper()}>>> BDC")
        canvas.setFont(piece.font, self.style.fontSize)
        canvas.drawString(x, y, self._shaped(piece))
        canvas.addLiteral("EMC")

    def _shaped(self, piece: Piece) -> str:
        shapes = pdfmetrics.getFont(piece.font).shapable
        return cast(str, shapeStr(piece.text, piece.font, self.style.fontSize)) if shapes else piece.text

    def _width_of(self, piece: Piece) -> float:
        size = self.style.fontSize
        text = self._shaped(piece)
        if isinstance(text, ShapedStr):
            return float(sum(each.x_advance for each in text.__shapeData__) * size / 1000)
        return float(pdfmetrics.stringWidth(text, piece.font, size))

    def _broken(self, width: float) -> Iterator[list[Piece]]:
        line: list[Piece] = []
        used = 0.0
        pieces = [part for piece in self._pieces for part in _cut(piece, self._width_of(piece) > width)]
        for word in _words(pieces):
            wide = sum(map(self._width_of, word))
            if line and used + wide > width:
                yield _trimmed(line)
                line, used = [], 0.0
            line += word
            used += sum(map(self._width_of, word))
        if line:
            yield _trimmed(line)


def split_pieces(text: str, fonts: ReportFonts, bold: bool = False) -> list[Piece]:
    """Splits a text where font or direction change; a letter that no font has becomes its Unicode number in brackets."""
    pieces: list[Piece] = []
    for letter in text:
        category = unicodedata.category(letter)
        if pieces and (category.startswith("M") or letter in _JOINERS):
            pieces[-1] = pieces[-1]._replace(text=pieces[-1].text + letter)
            continue
        if category == "Cf":  # marks of direction: what they would say is worked out here
            continue
        kind = _KINDS.get(unicodedata.bidirectional(letter), _NEUTRAL)
        letter = " " if kind == _SPACE else letter
        font = fonts.font_of(letter, bold)
        if font is None:
            letter, kind, font = f"[U+{ord(letter):04X}]", _LEFT, str(fonts.font_of("U", bold))
        alone = (
            kind == _LEFT
            and len(letter) == 1
            and unicodedata.east_asian_width(letter) == "W"
            and not _is_hangul(letter)
        )
        last = pieces[-1] if pieces else None
        apart = alone or letter in _BRACKETS or last is None or last.alone or last.text in _BRACKETS
        if last is not None and not apart and (last.kind, last.font) == (kind, font):
            pieces[-1] = last._replace(text=last.text + letter)
        else:
            pieces.append(Piece(letter, kind, font, alone))
    return pieces


def _is_hangul(letter: str) -> bool:
    return 0x1100 <= ord(letter) <= 0x11FF or 0xAC00 <= ord(letter) <= 0xD7FF


def _cut(piece: Piece, too_wide: bool) -> Iterator[Piece]:
    """A piece, or its letters with their marks, if it is wider than a line: scripts without spaces have such words."""
    if not too_wide:
        yield piece
        return
    start = 0
    for end in range(1, len(piece.text) + 1):
        last = end == len(piece.text)
        if last or not (unicodedata.category(piece.text[end]).startswith("M") or piece.text[end] in _JOINERS):
            yield piece._replace(text=piece.text[start:end], alone=True)
            start = end


def _words(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Pieces between which no line may break."""
    word: list[Piece] = []
    for piece in pieces:
        before = word[-1] if word else None
        free = before is not None and (before.alone or piece.alone) and piece.kind != _NEUTRAL
        if before is not None and piece.kind != _SPACE and (before.kind == _SPACE or free):
            yield word
            word = []
        word.append(piece)
    if word:
        yield word


def _trimmed(line: list[Piece]) -> list[Piece]:
    return line[:-1] if line[-1].kind == _SPACE else line


def order_pieces(line: Sequence[Piece], rtl: bool) -> list[Piece]:
    """A line's pieces from left to right, as they are drawn (UAX #9, rules W4 to W7, N0 to N2, I1, I2, L2 and L4)."""
    base = _RIGHT if rtl else _LEFT
    kinds = _brackets(_numbers([piece.kind for piece in line], line, base), line, base)
    kinds = [*_resolved(kinds, base)]
    levels = [{_LEFT: 2 if rtl else 0, _RIGHT: 1, _NUMBER: 2}[kind] for kind in kinds]
    ordered = [
        piece._replace(text=piece.text.translate(_MIRRORED)[::-1]) if piece.kind == _NEUTRAL and level % 2 else piece
        for piece, level in zip(line, levels, strict=True)
    ]
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(levels):
            end = start
            while end < len(levels) and levels[end] >= level:
                end += 1
            ordered[start:end] = ordered[start:end][::-1]
            levels[start:end] = levels[start:end][::-1]
            start = max(end, start + 1)
    return ordered


def _numbers(kinds: list[str], line: Sequence[Piece], base: str) -> list[str]:
    """Signs within and beside numbers belong to them; numbers after letters that are read from the left do so too."""
    for at, piece in enumerate(line):
        around = [kinds[beside] if 0 <= beside < len(kinds) else base for beside in (at - 1, at + 1)]
        signs = {unicodedata.bidirectional(letter) for letter in piece.text}
        inside = len(piece.text) == 1 and signs <= {"CS", "ES"} and around == [_NUMBER, _NUMBER]
        if piece.kind == _NEUTRAL and (inside or (signs == {"ET"} and _NUMBER in around)):
            kinds[at] = _NUMBER
    strong = base
    for at, kind in enumerate(kinds):
        if kind in (_LEFT, _RIGHT):
            strong = kind
        elif kind == _NUMBER and strong == _LEFT:
            kinds[at] = _LEFT
    return kinds


def _brackets(kinds: list[str], line: Sequence[Piece], base: str) -> list[str]:
    """A pair of brackets goes with what it holds, if that is the paragraph's direction or that of what is before it."""
    opened: list[int] = []
    for at, piece in enumerate(line):
        if piece.text in _OPENING:
            opened.append(at)
        elif piece.text in _CLOSING and opened:
            start = opened.pop()
            sides = [_RIGHT if kind == _NUMBER else kind for kind in kinds]
            inside = {side for side in sides[start + 1 : at] if side in (_LEFT, _RIGHT)}
            before = next((side for side in reversed(sides[:start]) if side in (_LEFT, _RIGHT)), base)
            if inside:
                kinds[start] = kinds[at] = base if base in inside or before == base else before
    return kinds


def _resolved(kinds: Sequence[str], base: str) -> Iterator[str]:
    """Neutral letters and spaces go with what is on both of their sides, else with the paragraph."""
    sides = [_RIGHT if kind == _NUMBER else kind for kind in kinds]
    for at, kind in enumerate(kinds):
        if kind not in (_NEUTRAL, _SPACE):
            yield kind
            continue
        before = next((side for side in reversed(sides[:at]) if side in (_LEFT, _RIGHT)), base)
        after = next((side for side in sides[at + 1 :] if side in (_LEFT, _RIGHT)), base)
        yield before if before == after else base
