"""What a series is by what the scanner measured with: sequence, echo, repetition and inversion time, field, flip angle.

Fat is nulled at about T1 x ln 2, and T1 rises with the field. Published STIR protocols have 85 to 110 ms at 0.2 to 0.35 T,
130 to 180 ms at 1.5 T and 180 to 250 ms at 3 T; with T1 taken for 230 ms at 1.5 T, rising with the field's power of 0.4,
they lie between 0.6 and 1.6 of its null.
"""

import math
from typing import NamedTuple

from lumbargrade.dicom.kind.image_kind import Weighting
from lumbargrade.dicom.kind.names import find_computed
from lumbargrade.dicom.kind.tags import KindTags
from lumbargrade.dicom.words import fold_words

TIMES = "its echo, repetition and inversion times"

_SHORT_ECHO, _DENSITY_ECHO, _INVERTED_ECHO, _LONG_ECHO = 30.0, 40.0, 45.0, 60.0
"""ms: T1 has at most the first; proton density less than the second; a T1 FLAIR at most the third; T2 at least the last."""
_LONG_REPETITION, _VOLUME_REPETITION, _USUAL_T1 = 1500.0, 700.0, 1200.0
"""ms: a slice's T2 has at least the first; a volume's, whose magnetisation is driven back, the second; T1 stays below the last
one nearly always."""
_NO_SPIN_ECHO = 100.0
"""No spin echo, and so no diagnostic T1 or T2, has a repetition time below this, ms."""
_INVERTED_REPETITION, _LOW_FIELD = 1000.0, 0.5
_LONG_TRAIN = 30
_FAT_T1, _FAT_POWER, _FAT_NULL = 230.0, 0.4, (0.6, 1.6)
_ANY_FAT_NULL = (50.0, 300.0)
"""Inversion times that null fat at one field or another, ms."""
_FLAIR_REPETITION, _FLUID_NULL = 3500.0, 1400.0
_PROJECTION_ECHO = 250.0
"""Only fluid has signal left at such an echo time, ms."""
_GRADIENT_FLIP, _SMALL_FLIP = 50.0, 20.0
"""Degrees: gradient echoes excite with less than the first, and nothing else with less than the second."""
_GRADIENT_NAMES = (
    "fl2d", "fl3d", "fl_", "me2d", "me3d", "tfi", "tfl", "ci2d", "ci3d", "de3d", "qfl", "fi2d", "fi3d", "ffe", "mffe",
    "tfe", "btfe", "gre", "fgre", "spgr", "efgre", "merge", "fe_", "fe2d", "fe3d",
)  # fmt: skip
_SINGLE_SHOT_NAMES = ("haste", "ssfse", "sstse", "h2d", "hs2d", "sshtse")
_PHASES = {"PHASE", "PHASE MAP", "P", "R", "REAL", "I", "IMAGINARY"}
_FRACTIONS = {"FF"}
"""Codes of ImageType that are no words."""


class PhysicalKind(NamedTuple):
    """What the tags that were measured by leave no doubt of.

    Attributes:
        weighting: None if they leave some.
        sure: 0 to 1.
        because: Why it is not graded, in words; None if it is, or if the weighting says it.
        source: ``tags`` where a code says so, ``times`` where times do.
    """

    weighting: Weighting | None = None
    sure: float = 0.0
    because: str | None = None
    source: str = "times"


def read_physics(tags: KindTags) -> PhysicalKind:
    """Says what is measured; SequenceName counts as measured by, descriptions do not."""
    sequence = tags.sequence_name.lower().lstrip("*_ ")
    if any("LOCALI" in kind for kind in tags.image_type):
        return PhysicalKind("localizer", 1.0, "ImageType says so", "tags")
    if _is_diffusion(tags, sequence):
        return PhysicalKind("diffusion", 0.95, None, "tags")
    echo, repetition = tags.echo, tags.repetition
    if sequence.startswith(_SINGLE_SHOT_NAMES):
        if echo is not None and echo >= _PROJECTION_ECHO:
            return PhysicalKind("myelogram", 0.9)
        return PhysicalKind("localizer", 0.8, "its sequence takes single shots", "tags")
    if _is_low_field_stir(tags):
        return PhysicalKind("STIR", 0.7)
    if is_gradient_echo(tags, sequence):
        if repetition is not None and repetition < _NO_SPIN_ECHO and not tags.three_d:
            fast = f"its repetition time of {repetition:g} ms is that of a localizer or another fast gradient echo"
            return PhysicalKind("localizer", 0.8, fast)
        return PhysicalKind("gradient echo", 0.9, None, "tags")
    if tags.inverted:
        return _inverted(tags)
    return _spin_echo(tags, echo, repetition)


def is_gradient_echo(tags: KindTags, sequence: str) -> bool:
    """Whether gradients make the echo; where ScanningSequence does not tell, by the sequence's name or its times."""
    repetition = tags.repetition
    if repetition is not None and repetition < _NO_SPIN_ECHO:
        return True
    if "SE" in tags.scanning and "GR" not in tags.scanning:
        return False
    if "GR" in tags.scanning and "SE" not in tags.scanning:
        return True
    if sequence.startswith(_GRADIENT_NAMES):
        return True
    if tags.flip is not None and tags.flip <= _SMALL_FLIP:
        return True
    known = tags.scanning & {"SE", "IR"}
    short = (
        tags.echo is not None
        and tags.echo <= _DENSITY_ECHO
        and repetition is not None
        and repetition < _LONG_REPETITION
    )
    single = tags.echo_train is None or tags.echo_train <= 1
    return not known and short and single and tags.flip is not None and tags.flip <= _GRADIENT_FLIP


def _is_low_field_stir(tags: KindTags) -> bool:
    """Whether fat is nulled before a gradient echo, as low fields do it: the whole magnetisation is excited."""
    if (
        tags.inversion is None
        or tags.field is None
        or tags.field > _LOW_FIELD
        or (tags.flip is not None and tags.flip < _GRADIENT_FLIP)
    ):
        return False
    slow = tags.repetition is not None and tags.repetition >= 5 * tags.inversion
    return slow and nulls_fat(tags.inversion, tags.field)


def nulls_fat(inversion: float, field: float | None) -> bool:
    """Whether an inversion time, ms, is a STIR's.

    Args:
        field: Tesla; without it any field's inversion time counts.
    """
    if field is None:
        return _ANY_FAT_NULL[0] <= inversion <= _ANY_FAT_NULL[1]
    null = math.log(2) * _FAT_T1 * math.pow(field / 1.5, _FAT_POWER)
    return _FAT_NULL[0] * null <= inversion <= _FAT_NULL[1] * null


def read_computed(tags: KindTags) -> str | None:
    """What an image is, in words, that was computed from others or shows a phase; None if it is neither."""
    codes = (*tags.image_type[2:], tags.calculated)
    if not _PHASES.isdisjoint((*codes, tags.component)):
        return "a phase image"
    if not _FRACTIONS.isdisjoint(codes):
        return "a map"
    return next((words for code in codes if (words := find_computed(fold_words(code)))), None)


def _is_diffusion(tags: KindTags, sequence: str) -> bool:
    if set(tags.image_type) & {"ADC", "EADC", "FA", "TRACEW", "DIFFUSION", "TENSOR", "DIFFUSION_ANISO"}:
        return True
    planar = "EP" in tags.scanning or sequence.startswith(("ep_b", "ep2d", "epi", "dwi"))
    return planar or (tags.b_value is not None and tags.b_value > 0)


def _inverted(tags: KindTags) -> PhysicalKind:
    """Of an inversion recovery: fat is nulled by a short inversion time, fluid by a long one; between them T1 is weighted."""
    inversion, echo, repetition = tags.inversion, tags.echo, tags.repetition
    if inversion is None:
        long = repetition is not None and repetition >= _FLAIR_REPETITION
        if echo is not None and echo >= _SHORT_ECHO and not (long and echo > _LONG_ECHO):
            return PhysicalKind("STIR", 0.6)
        return PhysicalKind()
    if repetition is not None and repetition < _INVERTED_REPETITION:
        return _spin_echo(tags, echo, repetition)
    if nulls_fat(inversion, tags.field):
        return PhysicalKind("STIR", 0.9)
    if _ANY_FAT_NULL[0] <= inversion <= _ANY_FAT_NULL[1]:
        return PhysicalKind("STIR", 0.5)
    if echo is not None and echo <= _INVERTED_ECHO:
        return PhysicalKind("T1 FLAIR", 0.9) if inversion < _FLUID_NULL else PhysicalKind("T2 FLAIR", 0.6)
    if inversion > _FLUID_NULL:
        fluid = f"its inversion time of {inversion:g} ms is that of a FLAIR, which shows fluid dark"
        return PhysicalKind("T2 FLAIR", 0.9, fluid)
    if echo is None:
        return PhysicalKind()
    return PhysicalKind("other", 0.7, f"by {TIMES} it is neither T1 nor T2")


def _spin_echo(tags: KindTags, echo: float | None, repetition: float | None) -> PhysicalKind:
    if repetition is None:
        return PhysicalKind("T2", 0.6) if echo is not None and _LONG_ECHO <= echo < _PROJECTION_ECHO else PhysicalKind()
    if echo is None:
        short = "SE" in tags.scanning and repetition < _VOLUME_REPETITION
        return PhysicalKind("T1", 0.6) if short else PhysicalKind()
    trained = tags.echo_train is not None and tags.echo_train >= _LONG_TRAIN
    volume = trained if tags.three_d is None else tags.three_d
    if echo >= _PROJECTION_ECHO and tags.three_d is False:
        return PhysicalKind("myelogram", 0.8)
    if repetition < _LONG_REPETITION:
        if echo >= _LONG_ECHO and repetition >= _VOLUME_REPETITION:
            return PhysicalKind("T2", 0.9 if volume else 0.7)
        if volume and echo >= _SHORT_ECHO - 5 and repetition >= _VOLUME_REPETITION + 200:
            return PhysicalKind("PD", 0.6, f"by {TIMES} it is proton-density-weighted")
        if echo <= _SHORT_ECHO:
            return PhysicalKind("T1", 0.9 if repetition < _USUAL_T1 else 0.7)
        return PhysicalKind()
    if echo >= _LONG_ECHO:
        return PhysicalKind("T2", 0.9)
    if echo < _DENSITY_ECHO:
        return PhysicalKind("PD", 0.85, f"by {TIMES} it is proton-density-weighted")
    return PhysicalKind()
