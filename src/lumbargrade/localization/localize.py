"""Locates all cells of a study: the column first, then what lies beside it, then the axial slices across it."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lumbargrade.config.task import CellKey, GradingTask, series_kind
from lumbargrade.dicom.kind.image_kind import Contrast
from lumbargrade.errors import InputError
from lumbargrade.localization.cells import (
    WEIGHTING_UNKNOWN,
    axial_unused_reason,
    locate_on_axial,
    locate_on_sagittal,
    near_slices,
)
from lumbargrade.localization.doubt import implausible_reasons, unsure_reasons
from lumbargrade.localization.heatmaps import Place, SeenStack, look_at
from lumbargrade.localization.left_out import LeftOut
from lumbargrade.localization.level_notes import describe_columns, seen_note
from lumbargrade.localization.sagittal_series import SAME_PLACE_MM, SagittalSeries
from lumbargrade.localization.seen_weighting import LEAST_SURE, looks_t2, see_sagittal_weighting
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

_OTHER_SIZE = 0.1
"""Spines whose size is off by this much from the usual one (logarithm) are looked at again, at their size."""


@dataclass
class LocatedStudy:
    """Where a study's cells are.

    Attributes:
        places: By (condition, level).
        reasons: Why the other cells have no place.
        notes: What whoever reads the grades should know.
        levels_from: The series by which the levels are named; None if there is none.
        unused: Why a series was not used that could be looked at, by series.
        weightings: Of series whose headers tell none: the weighting that the images show, and how sure it is.
    """

    places: dict[CellKey, Place] = field(default_factory=dict)
    reasons: dict[CellKey, Note] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    levels_from: str | None = None
    unused: dict[str, Note] = field(default_factory=dict)
    weightings: dict[str, tuple[str, float]] = field(default_factory=dict)

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
    series, refused, doubtful = _sagittal_series(locators, stacks, column, config.shape)
    reference = _reference(series)
    located.levels_from = reference.name if reference is not None else None
    located.unused = {one.name: Note.make("no-spine-found", str(one.column.refusal)) for one in refused}
    levels: list[Place | None] = [None] * len(task.levels)
    if reference is not None and reference.known:
        levels = list(reference.column.places)
    stacks = _weigh_axial(stacks, levels)
    left_out = [*left_out, *_untold_series(stacks, doubtful)]
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
    located.notes += describe_columns(task, reference, refused)
    doubtful += [stack.series for stack in stacks if stack.orientation == "axial" and stack.contrast is None]
    located.unused |= dict.fromkeys(doubtful, Note.make("weighting-unknown", WEIGHTING_UNKNOWN))
    shown = [*(one.stacks[0].stack for one in series), *(stack for stack in stacks if stack.orientation == "axial")]
    for stack in shown:
        if stack.seen and stack.series not in located.weightings:
            located.weightings[stack.series] = str(stack.contrast), stack.seen
            located.notes.append(seen_note(stack))
    return located


def _refuse(located: LocatedStudy, reasons: Mapping[CellKey, Note]) -> None:
    """Takes places away, with the reasons."""
    for key, reason in reasons.items():
        del located.places[key]
        located.reasons[key] = reason


def locate_views(locators: Sequence[Locator], study_id: int, stacks: Sequence[StackView]) -> pd.DataFrame:
    """Locates a study whose views are packed; a table of :data:`POINT_COLUMNS`, with series ids as numbers."""
    return located_table(locate_study(locators, stacks), study_id)


def located_table(located: LocatedStudy, study_id: int) -> pd.DataFrame:
    """The places of a study whose views are packed, with series ids as numbers."""
    return located.table(study_id).astype({"series_id": np.int64, "instance_number": np.int64})


def _sagittal_series(
    locators: Sequence[Locator], stacks: Sequence[StackView], group: str, shape: SpineShape
) -> tuple[list[SagittalSeries], list[SagittalSeries], list[str]]:
    """The series that show a lumbar spine, their levels in agreement; those that were refused; those of no known weighting.

    A spine of an unusual size is looked at twice.
    """
    levels = locators[0].config.task.levels
    seen = [_weigh(found, locators[0].config.task, group, shape) for found in _look_at_series(locators, stacks)]
    sound, refused = _agreed_series(seen, group, levels, shape)
    doubtful = [found[0].stack.series for found in seen if found[0].contrast == "other"]
    reference = _reference(sound)
    if reference is None or abs(math.log(reference.column.size)) < _OTHER_SIZE:
        return sound, refused, doubtful
    again = [one.stack for found in seen for one in found]
    larger = _look_at_series(locators, again, reference.column.size)
    return *_agreed_series(larger, group, levels, shape), doubtful


def _weigh(found: list[SeenStack], task: GradingTask, group: str, shape: SpineShape) -> list[SeenStack]:
    """The stacks of a series with the weighting that its images show, where its headers tell none."""
    if found[0].stack.contrast is not None:
        return found
    column = find_column([found], group, task.levels, shape)
    contrast, sure = see_sagittal_weighting(found, column.places, task.midline)
    known: Contrast = contrast if sure >= LEAST_SURE else "other"
    return [replace(one, stack=replace(one.stack, contrast=known, seen=sure)) for one in found]


def _look_at_series(
    locators: Sequence[Locator], stacks: Sequence[StackView], size: float | None = None
) -> list[list[SeenStack]]:
    """What is seen of the sagittal series of the task's contrasts: the stacks of each."""
    task = locators[0].config.task
    wanted = {series_kind(c.series).contrast for c in task.conditions if c.orientation == "sagittal"}
    by_series: dict[str, list[SeenStack]] = {}
    placed = _mostly_placed(stacks)
    for stack in stacks:
        if stack.orientation != "sagittal" or (stack.contrast or "T1") not in {"T1", "T2"}:
            continue
        if not stack.known and stack.series in placed:
            continue
        seen = look_at(locators, stack, size=size)
        if seen is not None and (stack.contrast is None or stack.contrast in wanted):
            by_series.setdefault(stack.series, []).append(seen)
    return list(by_series.values())


def _mostly_placed(stacks: Sequence[StackView]) -> set[str]:
    """The series whose sagittal slices have known places for the most part: the few others are not looked at."""
    counts: Counter[str] = Counter()
    for stack in stacks:
        if stack.orientation == "sagittal":
            counts[stack.series] += len(stack.slices) if stack.known else -len(stack.slices)
    return {series for series, count in counts.items() if count > 0}


def _agreed_series(
    seen: Sequence[list[SeenStack]], group: str, levels: Sequence[str], shape: SpineShape
) -> tuple[list[SagittalSeries], list[SagittalSeries]]:
    """The columns of series, in agreement where they show the same place; and the series that were refused."""
    known = [found for found in seen if found[0].contrast != "other"]
    alone = [SagittalSeries(found, find_column([found], group, levels, shape)) for found in known]
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


def _weigh_axial(stacks: Sequence[StackView], levels: Sequence[Place | None]) -> list[StackView]:
    """The stacks, axial ones with the weighting that their series shows, if its headers tell none and it shows it surely."""
    canals = [place.position for place in levels if place is not None]
    untold: dict[str, list[StackView]] = {}
    for stack in stacks:
        if stack.orientation == "axial" and stack.contrast is None and stack.known:
            untold.setdefault(stack.series, []).append(stack)
    shown = {id(stack) for alike in untold.values() if looks_t2(alike, canals) for stack in alike}
    return [replace(stack, contrast="T2", seen=LEAST_SURE) if id(stack) in shown else stack for stack in stacks]


def _untold_series(stacks: Sequence[StackView], doubtful: Sequence[str]) -> list[LeftOut]:
    """The sagittal series of which neither headers nor images tell the weighting."""
    names = {stack.series: stack.called or f"a sagittal series of {len(stack.slices)} slices" for stack in stacks}
    return [LeftOut(series, "sagittal", None, names[series], WEIGHTING_UNKNOWN) for series in doubtful]


def _axial_stacks(
    locators: Sequence[Locator], stacks: Sequence[StackView], levels: Sequence[Place | None]
) -> Iterator[SeenStack]:
    """What is seen in the axial slices near the levels."""
    task = locators[0].config.task
    wanted = {series_kind(c.series).contrast for c in task.conditions if c.orientation == "axial"}
    for stack in stacks:
        if stack.orientation != "axial" or not stack.known or stack.contrast not in wanted:
            continue
        near: set[int] = set()
        for place in levels:
            if place is not None:
                near |= set(near_slices(stack, place).tolist())
        seen = look_at(locators, stack, sorted(near)) if near else None
        if seen is not None:
            yield seen
