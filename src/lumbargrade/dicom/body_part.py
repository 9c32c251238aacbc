"""Which part of the spine a series shows, as far as its name says it: only what may show the lumbar part is graded."""

import re
from itertools import pairwise

from lumbargrade.dicom.words import fold_words

_LUMBAR_INSIDE = re.compile("l[ou]mb|^l[1-6]$|^s[12]$|^l[1-6]s[12]$")
_LUMBAR = (
    "ledz", "bel", "lende", "sacr", "sakr", "krzyz", "whole", "total", "full", "ganz", "complet", "entera", "entier",
    "toda", "intera", "hele", "cala", "tumu", "butun", "zenchou", "zensekitsui", "youtsui", "yotsui", "koshi", "yaozhui",
)  # fmt: skip
_LUMBAR_WORDS = {
    "l",
    "ls",
    "lws",
    "lwk",
    "lspine",
    "lsspine",
    "lsp",
    "tl",
    "ctl",
    "clt",
    "gws",
    "wks",
    "isg",
    "ls1",
    "lwz",
}
_PARTS: dict[str, tuple[str, ...]] = {
    "cervical": (
        "cervi", "zervi", "servik", "szyjn", "boyun", "halswirbel", "keitsui", "jingzhui", "nekwervel", "cspine", "hws",
    ),
    "thoracic": (
        "thora", "torac", "torak", "dorsal", "brustwirbel", "piersiow", "kyoutsui", "kyotsui", "xiongzhui", "borstwervel",
        "tspine", "bws",
    ),
}  # fmt: skip
"""How words begin that name another part of the spine: English, German, French, Spanish, Portuguese, Italian, Dutch, Polish,
Turkish, and Japanese and Chinese in Latin letters; without accents."""
_SPINE = {"spine", "sp", "wirbelsaeule", "wirbelsaule", "ws", "rachis", "columna", "coluna", "colonna", "kregoslup"}
_LETTERS = {"c": "cervical", "t": "thoracic", "th": "thoracic"}


NAMES = ("SeriesDescription", "ProtocolName", "BodyPartExamined")
"""Tags that name what a series shows; the first that says anything counts."""


def other_part(*names: str) -> str | None:
    """Names the part of the spine that a series' name says, if it says no lumbar one; None if it says none.

    Args:
        names: The values of :data:`NAMES`.
    """
    description = next(filter(str.strip, names), "")
    words = fold_words(description)
    if any(word.startswith(_LUMBAR) or word in _LUMBAR_WORDS or _LUMBAR_INSIDE.search(word) for word in words):
        return None
    for part, stems in _PARTS.items():
        if any(word.startswith(stems) for word in words):
            return part
    contrast_given = "+c" in description.lower().replace(" ", "")
    for letter, spine in pairwise(words):
        if spine in _SPINE and letter in _LETTERS and not (letter == "c" and contrast_given):
            return _LETTERS[letter]
    return None
