"""Locates all cells of a study: the column first, then what lies beside it, then the axial slices across it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.errors import InputError
from lumbargrade.localization.cells import (
    axial_unused_reason,
    locate_on_axial,
    locate_on_sagittal,
    near_slices,
)
from lumbargrade.localization.doubt import CellKey, implausible_reasons, unsure_reasons
from lumbargrade.localization.heatmaps import Place, SeenStack, look_at
from lumbargrade.localization.left_out import LeftOut
from lumbargrade.localization.sagittal_series import SAME_PLACE_MM, SagittalSeries
from lumbargrade.localization.vertebral_column import Column, find_column, refuse_smaller
from lumbargrade.models.locator import Locator, SpineShape, column_group
from lumbargrade.notes import Note
from lumbargrade.preprocessing.views import StackView

POINT_COLUMNS = (
    "study_id",
    "series_id",
    "instance_number",
    "condition",
    "level",
    "x",
    "y",
    "x_mm",
    "y_mm",
    "z_mm",
    "confidence",
)

_NAMES_SURE = 0.9
_OTHER_SIZE = 0.1
"""Spines whose size is off by this much from the usual one (logarithm) are looked at again, at their size."""
_ODD_SIZE = 1.5
"""Vertebrae that are this much higher than usual are rather images of a wrong pixel spacing."""
_SACRUM_MM = 20.0
"""Images that show less below the lowest level do not show that a sacrum follows."""


@dataclass
class LocatedStudy:
    """Where a study's cells are.

    Attributes:
        places: By (condition, level).
        reasons: Why the other cells have no place.
        notes: What whoever reads the grades should know.
        levels_from: The series by which the levels are named; None if there is none.
        unused: Why a series was not used that could be looked at, by series.
    """

    places: dict[CellKey, Place] = field(default_factory=dict)
    reasons: dict[CellKey, Note] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    levels_from: str | None = None
    unused: dict[str, Note] = field(default_factory=dict)

    def table(self, study_id: int | str) -> pd.DataFrame:
        """The places as a table of :data:`POINT_COLUMNS`."""
        rows = [
            (study_id, place.series, place.instance, *key, place.x, place.y, *place.position, place.confidence)
            for key, place in self.places.items()
        ]
        return pd.DataFrame(rows, columns=list(POINT_COLUMNS))


def locate_study(
    locators: Sequence[Locator], stacks: Sequence[StackView], left_out: Sequence[LeftOut] = ()
) -> LocatedStudy:
    """Locates every cell of the locators' task, or says why it cannot.

    Args:
        locators: In evaluation mode, on one device; their maps are averaged.
        stacks: Those of all series of the study; of axial ones only slices near a level are decoded.
        left_out: Series of the study that are not among the stacks, which explain what is missing.
    """
    config = locators[0].config
    task, column = config.task, column_group(config.task)
    if column is None:
        raise InputError(f"task {task.name} has no midline to name levels by", "", "task-without-midline")
    located = LocatedStudy()
    series, refused = _sagittal_series(locators, stacks, column, config.shape)
    reference = _reference(series)
    located.levels_from = reference.name if reference is not None else None
    located.unused = {one.name: Note.make("no-spine-found", str(one.column.refusal)) for one in refused}
    levels = _levels(reference, len(task.levels))
    axial = list(_axial_stacks(locators, stacks, levels))
    for condition in task.conditions:
        kind = series_kind(condition.series)
        if kind.orientation == "sagittal":
            found = locate_on_sagittal(condition, column, task, series, levels, refused, left_out, config.shape)
        else:
            unused = axial_unused_reason(condition, stacks, reference, left_out)
            found = locate_on_axial(condition, task, axial, levels, unused, config.shape)
        for level, place in found.items():
            if isinstance(place, Note):
                located.reasons[condition.name, level] = place
            else:
                located.places[condition.name, level] = place
    _refuse(located, unsure_reasons(located.places, task))
    step = float(np.linalg.norm(np.array(config.shape.steps.mean), axis=1).mean())
    size = reference.column.size if reference is not None else 1.0
    _refuse(located, implausible_reasons(located.places, task, step, size))
    located.notes += _notes(task, reference, refused)
    return located


def _refuse(located: LocatedStudy, reasons: Mapping[CellKey, Note]) -> None:
    """Takes places away, with the reasons."""
    for key, reason in reasons.items():
        del located.places[key]
        located.reasons[key] = reason


def _levels(reference: SagittalSeries | None, count: int) -> list[Place | None]:
    """Where in the patient the levels lie; nothing of a series whose own place is not known."""
    return list(reference.column.places) if reference is not None and reference.known else [None] * count


def locate_views(locators: Sequence[Locator], study_id: int, stacks: Sequence[StackView]) -> pd.DataFrame:
    """Locates a study whose views are packed; a table of :data:`POINT_COLUMNS`, with series ids as numbers."""
    return located_table(locate_study(locators, stacks), study_id)


def located_table(located: LocatedStudy, study_id: int) -> pd.DataFrame:
    """The places of a study whose views are packed, with series ids as numbers."""
    return located.table(study_id).astype({"series_id": np.int64, "instance_number": np.int64})


def _sagittal_series(
    locators: Sequence[Locator], stacks: Sequence[StackView], group: str, shape: SpineShape
) -> tuple[list[SagittalSeries], list[SagittalSeries]]:
    """The series that show a lumbar spine, their levels in agreement; and those that were refused.

    A spine of an unusual size is looked at twice.
    """
    levels = locators[0].config.task.levels
    seen = _look_at_series(locators, stacks)
    sound, refused = _agreed_series(seen, group, levels, shape)
    reference = _reference(sound)
    if reference is None or abs(math.log(reference.column.size)) < _OTHER_SIZE:
        return sound, refused
    again = [one.stack for found in seen for one in found]
    return _agreed_series(_look_at_series(locators, again, reference.column.size), group, levels, shape)


def _look_at_series(
    locators: Sequence[Locator], stacks: Sequence[StackView], size: float | None = None
) -> list[list[SeenStack]]:
    """What is seen of the sagittal series of the task's contrasts: the stacks of each."""
    task = locators[0].config.task
    wanted = {series_kind(c.series).contrast for c in task.conditions if c.orientation == "sagittal"}
    by_series: dict[str, list[SeenStack]] = {}
    for stack in stacks:
        if stack.orientation != "sagittal" or (stack.contrast or "T1") not in {"T1", "T2"}:
            continue
        seen = look_at(locators, stack, size=size)
        if seen is not None and seen.contrast in wanted:
            by_series.setdefault(stack.series, []).append(seen)
    return list(by_series.values())


def _agreed_series(
    seen: Sequence[list[SeenStack]], group: str, levels: Sequence[str], shape: SpineShape
) -> tuple[list[SagittalSeries], list[SagittalSeries]]:
    """The columns of series, in agreement where they show the same place; and the series that were refused."""
    alone = [SagittalSeries(found, find_column([found], group, levels, shape)) for found in seen]
    placed = [series.column for series in alone if series.known]
    first = [replace(s, column=refuse_smaller(s.column, placed)) if s.known else s for s in alone]
    refused = [series for series in first if series.column.refusal is not None]
    sound = [series for series in first if series.column.refusal is None]
    reference = _reference(sound)
    if reference is None or not reference.known:
        return sound, refused
    together = [series for series in sound if series.known and _same_place(series.column, reference.column)]
    if len(together) < 2:
        return sound, refused
    whole = find_column([series.stacks for series in together], group, levels, shape)
    if whole.refusal is not None:
        return sound, refused
    agreed = []
    for series in sound:
        if series in together:
            column = find_column([series.stacks], group, levels, shape, anchor=whole)
            agreed.append(SagittalSeries(series.stacks, replace(column, naming=whole.naming)))
        else:
            agreed.append(series)
    return agreed, refused


def _same_place(one: Column, other: Column) -> bool:
    """Whether two columns lie in the same place, be their levels named the same or one higher or lower."""
    for shift in (0, -1, 1):
        pairs = [(place, other.known.get(level + shift)) for level, place in one.known.items()]
        apart = [float(np.linalg.norm(a.position - b.position)) for a, b in pairs if b is not None]
        if apart and np.median(apart) <= SAME_PLACE_MM:
            return True
    return False


def _reference(series: Sequence[SagittalSeries]) -> SagittalSeries | None:
    """The series whose levels the study goes by: one with a place in the patient, and T2 unless T1 is much clearer."""

    def rank(candidate: SagittalSeries) -> tuple[bool, float]:
        sure = candidate.column.confidence * candidate.column.naming
        return candidate.known, sure + 0.1 * (candidate.contrast == "T2")

    return max(series, key=rank, default=None)


def _axial_stacks(
    locators: Sequence[Locator], stacks: Sequence[StackView], levels: Sequence[Place | None]
) -> Iterator[SeenStack]:
    """What is seen in the axial slices near the levels."""
    task = locators[0].config.task
    wanted = {series_kind(c.series).contrast for c in task.conditions if c.orientation == "axial"}
    for stack in stacks:
        if stack.orientation != "axial" or not stack.known or (stack.contrast or "T2") not in wanted:
            continue
        near: set[int] = set()
        for place in levels:
            if place is not None:
                near |= set(near_slices(stack, place).tolist())
        seen = look_at(locators, stack, sorted(near)) if near else None
        if seen is not None:
            yield seen


def _refusal_note(series: SagittalSeries) -> Note:
    called = series.stacks[0].stack.called or f"a sagittal {series.contrast} series"
    words = "{series} was not used: {reason}"
    return Note.make("sagittal-series-refused", words, series=called, reason=str(series.column.refusal))


def _notes(task: GradingTask, reference: SagittalSeries | None, refused: Sequence[SagittalSeries]) -> Iterator[Note]:
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
