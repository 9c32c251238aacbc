"""Series of a study that nothing is located on, and what cells say that would have needed them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lumbargrade.config.task import series_kind
from lumbargrade.dicom.geometry import Orientation
from lumbargrade.dicom.kind.image_kind import Contrast
from lumbargrade.notes import Note


@dataclass(frozen=True)
class LeftOut:
    """A series, or a stack of one, that is not used.

    Attributes:
        series: How the study calls it.
        orientation: None if it is not known.
        contrast: None if it is not known.
        name: How notes call it, as "series 7 (sagittal T1, 13 slices)".
        reason: Why it is not used.
        localizer: Whether it is one: nobody misses it.
    """

    series: str
    orientation: Orientation | None
    contrast: Contrast | None
    name: str
    reason: str
    localizer: bool = False


def missing_reason(description: str, left_out: Sequence[LeftOut]) -> Note:
    """Says why a study has no series of a kind to use.

    Args:
        description: The kind, as the task calls it.
    """
    kind = series_kind(description)
    lying = [one for one in left_out if one.orientation in (kind.orientation, None) and not one.localizer]
    for one in lying:
        if one.contrast == kind.contrast and one.orientation is not None:
            return unused_series(description, one.reason)
    for one in lying:
        if one.contrast in (kind.contrast, None, "other"):
            named = "series known as {series}" if one.contrast is None else "{series} series"
            return Note.make(
                "series-missing",
                f"the study has no {named}; {{other}} is not used: {{reason}}",
                series=description,
                other=one.name,
                reason=one.reason,
            )
    return Note.make("series-missing", "the study has no {series} series", series=description)


def unused_series(description: str, reason: str) -> Note:
    """Says why the study's series of a kind is not used."""
    return Note.make(
        "series-not-used", "the study's {series} series is not used: {reason}", series=description, reason=reason
    )
