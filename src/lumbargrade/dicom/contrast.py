"""Whether a series is T1- or T2-weighted, as far as its header tells."""

import re
from typing import Literal

Contrast = Literal["T1", "T2", "other"]

_WORDS: dict[str, Contrast] = {
    "loc": "other", "localizer": "other", "localiser": "other", "scout": "other", "survey": "other", "dwi": "other",
    "adc": "other", "flair": "other", "pd": "other", "myelo": "other", "myelogram": "other", "mpr": "other",
    "stir": "T2", "tirm": "T2", "t1": "T1", "t1w": "T1", "t2": "T2", "t2w": "T2",
}  # fmt: skip
_SHORT_ECHO, _LONG_ECHO, _LONG_REPETITION = 30.0, 60.0, 1500.0


def read_contrast(
    description: str, echo: float | None, repetition: float | None, inversion: float | None
) -> Contrast | None:
    """Returns the weighting; nothing if the header does not tell.

    STIR counts as T2: both show fluid bright.

    Args:
        description: SeriesDescription, which people wrote; where it names a weighting, it is believed.
        echo: EchoTime, ms.
        repetition: RepetitionTime, ms.
        inversion: InversionTime, ms.
    """
    words = re.split(r"[^a-z0-9]+", description.lower())
    told = [_WORDS[word] for word in words if word in _WORDS]
    if "other" in told:
        return "other"
    if told:
        return told[0]
    if inversion is not None and repetition is not None and repetition > _LONG_REPETITION:
        return "T2"
    if echo is None or repetition is None:
        return None
    if echo < _SHORT_ECHO and repetition < _LONG_REPETITION:
        return "T1"
    return "T2" if echo > _LONG_ECHO and repetition > _LONG_REPETITION else None
