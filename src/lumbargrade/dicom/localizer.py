"""Localizers: quick images by which a scanner's operator plans the others. They are never graded.

They are known by ImageType, by the sequence, by their name in the languages that scanners are set to, and by a few slices in
several planes.
"""

from collections.abc import Sequence
from itertools import pairwise

from lumbargrade.dicom.words import fold_words

_STEMS = (
    "locali", "lokali", "reperage", "scout", "survey", "pilot", "topogram", "ubersicht", "uebersicht", "dreiplan",
    "threeplan", "3pl", "3ebenen", "tripilot", "planscan", "przegladow", "oversikt", "oversigt", "обзорн", "локали",
    "定位", "位置決め",
)  # fmt: skip
"""How words begin that mean a localizer: English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Swedish, Danish,
Russian, Chinese, Japanese; without accents."""
_PAIRS = {("plan", "scan"), ("3", "plan"), ("3", "plane"), ("three", "plane"), ("drei", "ebenen"), ("3", "ebenen")}
_WORDS = {"loc", "lok"}
_SINGLE_SHOT = ("haste", "ssfse", "sstse", "h2d")
_NO_SPIN_ECHO = 100.0
"""No spin echo, and so no diagnostic T1 or T2, has a repetition time below this, ms."""
_FEW = 9
"""Slices in each of several body planes, at most, that are no examination."""


def localizer_reason(
    description: str, image_type: Sequence[str], sequence_name: str, repetition: float | None
) -> str | None:
    """Says by what an image is known for a localizer; None if it is not known for one.

    Args:
        description: SeriesDescription, or ProtocolName.
        image_type: ImageType.
        sequence_name: SequenceName.
        repetition: RepetitionTime, ms.
    """
    if any("LOCALI" in value.upper() for value in image_type):
        return "ImageType says so"
    if _is_named(description):
        return "its name says so"
    if sequence_name.lower().lstrip("*_ ").startswith(_SINGLE_SHOT):
        return "its sequence takes single shots"
    if repetition is not None and repetition < _NO_SPIN_ECHO:
        return f"its repetition time of {repetition:g} ms is that of a localizer or another fast gradient echo"
    return None


def planes_reason(slices: dict[str, int]) -> str | None:
    """Says so if a series has a few slices in several body planes, as only localizers have.

    Args:
        slices: How many slices lie in each body plane.
    """
    if len(slices) > 1 and max(slices.values()) <= _FEW:
        return f"it has a few slices in {len(slices)} planes"
    return None


def _is_named(description: str) -> bool:
    words = fold_words(description)
    return any(word.startswith(_STEMS) or word in _WORDS for word in words) or bool(_PAIRS & set(pairwise(words)))
