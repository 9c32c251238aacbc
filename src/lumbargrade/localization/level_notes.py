"""What whoever reads the grades should know of where the levels were found."""

from collections.abc import Iterator, Sequence

import numpy as np

from lumbargrade.config.task import GradingTask
from lumbargrade.localization.heatmaps import Place, SeenStack
from lumbargrade.localization.sagittal_series import SagittalSeries
from lumbargrade.notes import Note
from lumbargrade.preprocessing.views import StackView

_NAMES_SURE = 0.9
_ODD_SIZE = 1.5
"""Vertebrae that are this much higher than usual are rather images of a wrong pixel spacing."""
_SACRUM_MM = 20.0
"""Images that show less below the lowest level do not show that a sacrum follows."""


def seen_note(stack: StackView) -> Note:
    """Says that a series' weighting is known by its images only."""
    return Note.make(
        "weighting-seen",
        "{series} is taken for a {contrast} by what its images show, as its headers do not say",
        series=stack.called or f"the {stack.orientation} series {stack.series}",
        contrast=str(stack.contrast),
    )


def _refusal_note(series: SagittalSeries) -> Note:
    called = series.stacks[0].stack.called or f"a sagittal {series.contrast} series"
    words = "{series} was not used: {reason}"
    return Note.make("sagittal-series-refused", words, series=called, reason=str(series.column.refusal))


def describe_columns(
    task: GradingTask, reference: SagittalSeries | None, refused: Sequence[SagittalSeries]
) -> Iterator[Note]:
    """What is doubtful in the levels that were found, and which series show none."""
    yield from map(_refusal_note, refused)
    if reference is None:
        return
    column = reference.column
    if column.naming < _NAMES_SURE:
        yield Note.make(
            "levels-doubtful",
            "the levels may be named one too high or too low (sure to {sure:.0%}); count the vertebrae: "
            "there may be four or six lumbar ones",
            sure=column.naming,
        )
    if reference.known and column.size > _ODD_SIZE:
        yield Note.make(
            "vertebrae-too-high",
            "by the images' pixel spacing its vertebrae have {share:.0%} of the usual height; check the "
            "spacing: if it is wrong, the crops show too little, and lengths in mm are wrong",
            share=column.size,
        )
    lowest = column.places[-1]
    if lowest is not None and not _shows(reference.stacks, lowest, _SACRUM_MM):
        yield Note.make(
            "sacrum-not-shown",
            "the images end just below {level}: without the sacrum the levels may be named wrongly; count the vertebrae",
            level=task.levels[-1],
        )
    missing = [level for level, place in zip(task.levels, column.places, strict=True) if place is None]
    if missing:
        yield Note.make(
            "levels-not-seen",
            "the model did not find {levels}: the images may end before, or it missed them",
            levels=", ".join(missing),
        )


def _shows(stacks: Sequence[SeenStack], place: Place, below_mm: float) -> bool:
    """Whether the image that a place is on reaches so far below it."""
    below = place.position - np.array([0.0, 0.0, below_mm])
    return any(
        piece.source.shows(below)
        for seen in stacks
        for piece in seen.stack.slices
        if seen.stack.series == place.series and piece.instance == place.instance
    )
