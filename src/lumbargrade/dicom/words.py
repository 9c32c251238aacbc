"""Words of a description that people wrote, whatever the case, the accents and the punctuation."""

import re
import unicodedata


def fold_words(text: str) -> list[str]:
    """Splits a text into words of lower-case letters and digits, without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return [word for word in re.split(r"[\W_]+", plain) if word]
