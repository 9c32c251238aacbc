"""What tells images at one place in the patient from each other, and which of them are preferred.

A scanner may store magnitude and phase, several echoes, water and fat, repeated measurements or copies of its own in one
series: one stack must hold one kind only.
"""

from collections.abc import Sequence
from typing import NamedTuple

_PHASE = {"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY"}
_IN_PHASE = {"IP", "IN", "IN_PHASE", "INPHASE"}
_WATER = {"W", "WATER"}
_OUT_OF_PHASE = {"OP", "OUT", "OPP_PHASE", "OUT_PHASE", "OUTPHASE", "OPPOSED_PHASE"}
_FAT = {"F", "FAT"}
_MADE = {
    "ADC", "FA", "MIP", "MPR", "PROJECTION IMAGE", "REFORMATTED", "SUB", "SUBTRACTION", "T1 MAP", "T1_MAP", "T2 MAP", "T2_MAP",
}  # fmt: skip
_USUAL_T2_ECHO = 100.0
"""Of several long echoes the one nearest to this, ms, is taken."""


class Variant(NamedTuple):
    """Tags by which images at one place differ, the most telling first."""

    image_type: tuple[str, ...] = ()
    component: str = ""
    echo_time: float | None = None
    echo_number: int | None = None
    inversion_time: float | None = None
    b_value: float | None = None
    temporal_position: int | None = None
    flip_angle: float | None = None
    contrast_agent: bool = False
    acquisition: int | None = None


WORDS: dict[str, str] = {
    "image_type": "ImageType", "component": "ComplexImageComponent", "echo_time": "echo time", "echo_number": "echo number",
    "inversion_time": "inversion time", "b_value": "b-value", "temporal_position": "time", "flip_angle": "flip angle",
    "contrast_agent": "contrast agent", "acquisition": "acquisition",
}  # fmt: skip
"""How notes call what tells images from each other."""


def kind_rank(variant: Variant) -> tuple[bool, int, bool]:
    """Orders kinds of images, the preferred first.

    Magnitude comes before phase; then in phase, water, out of phase, fat, what was computed; then original before derived.
    """
    types = {value.upper() for value in variant.image_type}
    phase = bool(types & _PHASE) or variant.component.upper() in _PHASE
    sorts = (_MADE, _FAT, _OUT_OF_PHASE, _WATER)
    sort = next((len(sorts) - place for place, sort in enumerate(sorts) if types & sort), 0)
    return phase, sort, "DERIVED" in types


def variant_rank(variant: Variant, contrast: str | None) -> tuple[float, ...]:
    """Orders images at one place, the preferred first.

    Args:
        contrast: The weighting that the header shows.
    """
    echo = variant.echo_time or 0.0
    echo_rank = abs(echo - _USUAL_T2_ECHO) if contrast == "T2" else echo
    return (
        *map(float, kind_rank(variant)),
        0.0 if contrast in ("T1", "T2") else 1.0,
        echo_rank,
        variant.echo_number or 0,
        variant.b_value or 0.0,
        variant.temporal_position or 0,
        float(variant.contrast_agent),
        variant.acquisition or 0,
    )


def telling_fields(crowds: Sequence[Sequence[Variant]]) -> tuple[str, ...]:
    """The fewest tags, the most telling first, by which images at the same place differ; none if no tag does.

    Args:
        crowds: The images at each place that has several.
    """
    chosen: tuple[str, ...] = ()
    for field in Variant._fields:
        tried = (*chosen, field)
        if _parts(crowds, tried) > _parts(crowds, chosen):
            chosen = tried
    return chosen


def variant_key(variant: Variant, fields: Sequence[str]) -> tuple[object, ...]:
    """The values of some tags."""
    return tuple(getattr(variant, field) for field in fields)


def _parts(crowds: Sequence[Sequence[Variant]], fields: Sequence[str]) -> int:
    return sum(len({variant_key(variant, fields) for variant in crowd}) for crowd in crowds)


def kind_words(variant: Variant, fields: Sequence[str]) -> str:
    """What a kind of images is, for a note; made of known words only, as tags may hold any."""
    types = {value.upper() for value in variant.image_type}
    words = []
    if {"image_type", "component"} & set(fields):
        words += [word for word, found in (
            ("original", "ORIGINAL" in types), ("derived", "DERIVED" in types),
            ("in-phase", bool(types & _IN_PHASE)), ("water", bool(types & _WATER)),
            ("magnitude", variant.component.upper() == "MAGNITUDE" or "M" in types),
        ) if found]  # fmt: skip
    if "echo_time" in fields and variant.echo_time:
        words.append(f"echo time {variant.echo_time:g} ms")
    if "inversion_time" in fields and variant.inversion_time:
        words.append(f"inversion time {variant.inversion_time:g} ms")
    if "b_value" in fields and variant.b_value is not None:
        words.append(f"b-value {variant.b_value:g}")
    return ", ".join(words) or "the first"
