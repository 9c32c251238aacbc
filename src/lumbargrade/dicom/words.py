"""Words of a description that people wrote, whatever the case, the accents and the punctuation."""

import re
import unicodedata

_LETTERS = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})
"""Letters that are no letter with an accent, and are written without one all the same."""
_KANA_MARKS = "\u3099\u309a"
"""They are combining as accents are, but make other letters."""


def fold_text(text: str) -> str:
    """The text in lower case, without accents and in letters of usual width; its punctuation is kept."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(part for part in parts if part in _KANA_MARKS or not unicodedata.combining(part))
    return unicodedata.normalize("NFC", plain).translate(_LETTERS)


def fold_words(text: str) -> list[str]:
    """Splits a text into words of lower-case letters and digits, without accents."""
    return [word for word in re.split(r"[\W_]+", fold_text(text)) if word]
