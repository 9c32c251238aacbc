"""What the locator should see in each packed slice, and how spines are built, both from the labelled points.

A point is labelled on one slice of one series. It says as much about the other sagittal (or axial) series of the study
whose place in the patient is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.errors import InputError
from lumbargrade.models.locator import CONTRASTS, Mark, Offsets, SpineShape, column_group, marks_of, place_key
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.preprocessing.views import StackView

_SLICE_SIGMA_MM = 3.0
_SAME_PLACE_MM = 12.0
"""Points of two series that are this near to each other are of one place: a third of a level."""
_WOBBLE_MM = 3.0
"""Added to the spread of vectors: few studies look more alike than many."""


@dataclass(frozen=True, eq=False)
class SliceTargets:
    """The slices of one orientation and what is to be found in each.

    Attributes:
        stacks: Stack and place in it of each slice.
        places: Pixels of the view (column, row), (slices, marks, 2).
        present: How much of the mark is in the slice, 1 on the slice of the point, (slices, marks); less than 0 where that
            is not known.
        contrast: Place in ``CONTRASTS``, (slices,).
    """

    stacks: list[tuple[StackView, int]]
    places: NDArray[np.float32]
    present: NDArray[np.float32]
    contrast: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.stacks)


def slice_targets(packed: PackedViews, task: GradingTask, orientation: str, studies: Sequence[int]) -> SliceTargets:
    """Projects each study's points into the slices of its series."""
    marks = marks_of(task, orientation)
    stacks: list[tuple[StackView, int]] = []
    places, present = [], []
    for study in studies:
        points = _Points(packed, task, study, orientation)
        for stack in packed.stacks.get(study, []):
            if stack.orientation == orientation and stack.contrast in CONTRASTS:
                found = [points.project(mark, stack) for mark in marks]
                places.append(np.stack([xy for xy, _ in found], axis=1))
                present.append(np.stack([amount for _, amount in found], axis=1))
                stacks += [(stack, index) for index in range(len(stack.slices))]
    return SliceTargets(
        stacks=stacks,
        places=np.concatenate(places) if places else np.zeros((0, len(marks), 2), np.float32),
        present=np.concatenate(present) if present else np.zeros((0, len(marks)), np.float32),
        contrast=np.array([CONTRASTS.index(stack.contrast or "") for stack, _ in stacks], dtype=np.int64),
    )


class _Points:
    """The points of a study on series of one orientation, by what they mark."""

    def __init__(self, packed: PackedViews, task: GradingTask, study: int, orientation: str) -> None:
        self._sides: dict[str, set[str | None]] = {}
        for condition in task.conditions:
            self._sides.setdefault(condition.group, set()).add(condition.side)
        known = {stack.series: stack.known for stack in packed.stacks.get(study, [])}
        lies = {stack.series for stack in packed.stacks.get(study, []) if stack.orientation == orientation}
        self._found: list[tuple[Mark, str | None, str, bool, NDArray[np.float64]]] = []
        for row in packed.points_of(study):
            condition = task.condition(row["condition"])
            series = str(row["series_id"])
            if series in lies:
                level, side = row["level"], condition.side
                mark = (
                    Mark(condition.group, None, side) if orientation == "axial" else Mark(condition.group, level, None)
                )
                self._found.append((mark, side, series, known[series], np.asarray(row["position"], dtype=float)))
        self._misnamed = self._named_otherwise(task, packed.stacks.get(study, []))

    def _named_otherwise(self, task: GradingTask, stacks: Sequence[StackView]) -> set[str]:
        """Series whose levels have other names than the same places in the series that shows the midline's condition best.

        Labels are off by a level there; those of the other series count instead.
        """
        group = column_group(task)
        shows = {series_kind(condition.series).contrast for condition in task.conditions if condition.group == group}
        proper = {stack.series for stack in stacks if stack.contrast in shows}
        points = [point for point in self._found if point[0].group == group and point[3]]
        misnamed = set()
        for series in {point[2] for point in points} - proper:
            apart = [
                (other[0] == point[0], float(np.linalg.norm(point[4] - other[4])))
                for point in points
                if point[2] == series
                for other in points
                if other[2] in proper
            ]
            same, different = ([distance for name, distance in apart if name is wanted] for wanted in (True, False))
            if same and different and min(different) <= _SAME_PLACE_MM < min(same):
                misnamed.add(series)
        return misnamed

    def project(self, mark: Mark, stack: StackView) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where a mark is in each slice, (slices, 2), and how much of it, (slices,)."""
        ours = [point for point in self._found if point[0] == mark]
        own = [point for point in ours if point[2] == stack.series]
        others = [point for point in ours if point[3] and stack.known and point[2] not in self._misnamed]
        chosen = others if stack.series in self._misnamed else own or others
        count = len(stack.slices)
        xy, amount = np.zeros((count, 2), np.float32), np.full(count, -1.0, np.float32)
        if not chosen:
            return xy, amount
        pixels = np.array([[piece.view.to_pixel(point[4]) for piece in stack.slices] for point in chosen])
        amounts = np.exp(-0.5 * (pixels[:, :, 2] / _SLICE_SIGMA_MM) ** 2)
        best = amounts.argmax(axis=0)
        every = {point[1] for point in chosen} >= self._sides[mark.group] or mark.level is None
        xy[:] = pixels[best, np.arange(count), :2]
        inside = ((xy >= 0) & (xy <= stack.slices[0].view.shape[0] - 1)).all(axis=1)
        amount[:] = amounts.max(axis=0) * inside
        if not every:  # the other side's place is not known, so that absence is not known either
            amount[amount < 0.5] = -1.0
        return xy, amount


def learn_shape(packed: PackedViews, task: GradingTask, studies: Sequence[int]) -> SpineShape:
    """Learns how lumbar spines are built.

    Raises:
        InputError: The task marks no midline, or no study has all its levels.
    """
    column = column_group(task)
    if column is None:
        raise InputError(
            f"task {task.name} has no condition without a side on a sagittal series, so that levels cannot be located",
            "",
            "task-without-sagittal-midline",
        )
    lines = [line for study in studies for line in _midlines(packed, task, study, column).values()]
    steps = _steps(np.stack(lines) if lines else np.empty((0, len(task.levels), 3)))
    vectors: dict[str, list[list[NDArray[np.float64]]]] = {}
    for study in studies:
        for key, level, vector in _vectors(packed, task, study, column):
            vectors.setdefault(key, [[] for _ in task.levels])[level].append(vector)
    if not all(steps):
        raise InputError(
            "the training studies have too few points in the midline to locate levels",
            "add labelled points",
            "too-few-midline-points",
        )
    places = {key: _spread(_filled(found)) for key, found in sorted(vectors.items()) if any(found)}
    return SpineShape(steps=_spread(steps), places=places)


def _steps(midlines: NDArray[np.float64]) -> list[list[NDArray[np.float64]]]:
    """From each level to the next, of spines brought to one size: how discs follow each other varies less than size.

    Args:
        midlines: (series, levels, 3).
    """
    steps = np.diff(midlines, axis=1)
    lengths = pd.DataFrame(np.linalg.norm(steps, axis=2))
    sizes = (lengths / lengths.median()).median(axis=1)
    return [
        [step / size for step, size in zip(one, sizes, strict=True) if np.isfinite(step).all()]
        for one in steps.swapaxes(0, 1)
    ]


def _midlines(packed: PackedViews, task: GradingTask, study: int, column: str) -> dict[str, NDArray[np.float64]]:
    """The places of the levels in each series that has some, (levels, 3); no numbers where there is no point."""
    lines: dict[str, NDArray[np.float64]] = {}
    for row in packed.points_of(study):
        if task.condition(row["condition"]).group == column:
            line = lines.setdefault(str(row["series_id"]), np.full((len(task.levels), 3), np.nan))
            line[task.levels.index(row["level"])] = row["position"]
    return lines


def _vectors(
    packed: PackedViews, task: GradingTask, study: int, column: str
) -> Iterator[tuple[str, int, NDArray[np.float64]]]:
    known = {stack.series for stack in packed.stacks.get(study, []) if stack.known}
    rows = [row for row in packed.points_of(study) if str(row["series_id"]) in known]
    midline = {row["level"]: row["position"] for row in rows if task.condition(row["condition"]).group == column}
    for row in rows:
        condition = task.condition(row["condition"])
        if condition.group != column and row["level"] in midline:
            vector = np.asarray(row["position"], dtype=float) - np.asarray(midline[row["level"]], dtype=float)
            yield place_key(condition.group, condition.side), task.levels.index(row["level"]), vector


def _filled(found: list[list[NDArray[np.float64]]]) -> list[list[NDArray[np.float64]]]:
    """Levels that nobody has marked are taken to be like all others."""
    every = [vector for level in found for vector in level]
    return [level or every for level in found]


def _spread(samples: list[list[NDArray[np.float64]]]) -> Offsets:
    """Medians, and covariances around them that a wrong label does not widen much."""
    means, precisions = [], []
    for sample in samples:
        values = np.stack(sample)
        middle = np.median(values, axis=0)
        scale = 1.4826 * np.median(np.abs(values - middle), axis=0) + 1e-6
        near = values[(np.abs(values - middle) <= 4 * scale + 2 * _WOBBLE_MM).all(axis=1)]
        covariance = (near - middle).T @ (near - middle) / len(near) + _WOBBLE_MM**2 * np.eye(3)
        means.append(middle.tolist())
        precisions.append(np.linalg.inv(covariance).tolist())
    return Offsets(mean=means, precision=precisions)
