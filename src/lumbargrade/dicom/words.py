"""Words of a description that people wrote, whatever the case, the accents and the punctuation."""

import re
import unicodedata

_LETTERS = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})
"""Letters that are no letter with an accent, and are written without one all the same."""


def fold_words(text: str) -> list[str]:
    """Splits a text into words of lower-case letters and digits, without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(part for part in parts if not unicodedata.combining(part)).translate(_LETTERS)
    return [word for word in re.split(r"[\W_]+", plain) if word]
