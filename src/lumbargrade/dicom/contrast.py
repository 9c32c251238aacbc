"""Whether a series is T1- or T2-weighted, as far as its header shows: by its timings first, then by its name."""

from typing import Literal, NamedTuple

from lumbargrade.dicom.words import fold_words

Contrast = Literal["T1", "T2", "other"]

_TIMES = "its echo, repetition and inversion times"
_NAMES: dict[str, str] = {
    "dwi": "diffusion-weighted", "adc": "a diffusion map", "flair": "FLAIR", "pd": "proton-density-weighted",
    "myelo": "a myelogram", "myelogram": "a myelogram", "mpr": "a reformat",
}  # fmt: skip
"""Words of series that are not graded, and what they mean; timings that are a T1's or a T2's outweigh the last ones."""
_WEAK = {"pd", "mpr", "flair"}
_WEIGHTINGS: dict[str, Contrast] = {
    "stir": "T2", "tirm": "T2", "t1": "T1", "t1w": "T1", "t2": "T2", "t2w": "T2",
}  # fmt: skip
_SHORT_ECHO, _MIDDLE_ECHO, _LONG_ECHO, _LONG_REPETITION = 30.0, 40.0, 60.0, 1500.0
_FAT, _T1_FLAIR, _FLUID = 300.0, (500.0, 1200.0), 1500.0
"""Inversion times, ms: below the first one fat is nulled (STIR), between the next ones T1 is weighted, above the last one
fluid is nulled (T2 FLAIR)."""


class Weighting(NamedTuple):
    """The weighting of a series.

    Attributes:
        contrast: None if the header does not show it.
        reason: Why it is "other", or that timings outweigh the name; None if there is nothing to say.
    """

    contrast: Contrast | None
    reason: str | None = None


def read_contrast(
    description: str,
    echo: float | None,
    repetition: float | None,
    inversion: float | None,
    gradient_echo: bool = False,
) -> Weighting:
    """Returns the weighting.

    STIR counts as T2: both show fluid bright. Where timings are clearly those of another weighting than the name says, the
    timings count: a name is written by people, and a wrong weighting must never be graded.

    Args:
        description: SeriesDescription.
        echo: EchoTime, ms.
        repetition: RepetitionTime, ms.
        inversion: InversionTime, ms; 0 is none.
        gradient_echo: Whether ScanningSequence has gradient echoes only, which weight otherwise.
    """
    named = _by_name(description)
    timed = _by_times(echo, repetition, inversion, gradient_echo)
    if timed is None:
        density = not inversion and not gradient_echo and _is_density(echo, repetition)
        if density and named.contrast in (None, "T2"):
            return Weighting("other", f"by {_TIMES} it is proton-density-weighted")
        return named
    if named.contrast == "other":
        weak = timed.contrast != "other" and set(fold_words(description)) & set(_NAMES) <= _WEAK
        return timed if weak else named
    if named.contrast is None or named.contrast == timed.contrast:
        return Weighting(timed.contrast, timed.reason)
    if timed.contrast == "other":
        return timed
    return Weighting(timed.contrast, f"its name says {named.contrast}, but {_TIMES} are those of a {timed.contrast}")


def _by_name(description: str) -> Weighting:
    words = fold_words(description)
    weighting = next((_WEIGHTINGS[word] for word in words if word in _WEIGHTINGS), None)
    strange = [word for word in words if word in _NAMES]
    if weighting == "T1":
        strange = [word for word in strange if word != "flair"]  # T1 FLAIR is a T1
    if strange:
        return Weighting("other", f"its name says that it is {_NAMES[strange[0]]}")
    return Weighting(weighting)


def _by_times(
    echo: float | None, repetition: float | None, inversion: float | None, gradient_echo: bool
) -> Weighting | None:
    """The weighting that timings leave no doubt of; None if they do."""
    if repetition is None or echo is None:
        return Weighting("T2") if inversion and repetition and _nulls_fat(inversion, repetition) else None
    if gradient_echo:
        return None
    if inversion and repetition > _LONG_REPETITION:
        return _inverted(echo, repetition, inversion)
    if echo < _SHORT_ECHO and repetition < _LONG_REPETITION:
        return Weighting("T1")
    if echo > _LONG_ECHO and repetition > _LONG_REPETITION:
        return Weighting("T2")
    return None


def _inverted(echo: float, repetition: float, inversion: float) -> Weighting | None:
    if _nulls_fat(inversion, repetition):
        return Weighting("T2")
    if _T1_FLAIR[0] <= inversion <= _T1_FLAIR[1]:
        return Weighting("T1") if echo < _MIDDLE_ECHO else Weighting("other", f"by {_TIMES} it is neither T1 nor T2")
    if inversion > _FLUID:
        return Weighting("other", f"its inversion time of {inversion:g} ms is that of a FLAIR, which shows fluid dark")
    return None


def _is_density(echo: float | None, repetition: float | None) -> bool:
    return echo is not None and repetition is not None and echo < _MIDDLE_ECHO and repetition > _LONG_REPETITION


def _nulls_fat(inversion: float, repetition: float) -> bool:
    return inversion < _FAT and repetition > _LONG_REPETITION
