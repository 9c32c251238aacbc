"""Faults of a study's points against its images: slices that are not there, levels and sides that cannot be.

What headers cannot show: whether all levels of a study are named one too high or too low, and what part of the spine the
images show if all series show the same one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.data.validation.report import Finding, finding, first_few
from lumbargrade.data.validation.series import SeriesHeaders, comparable


@dataclass(frozen=True)
class Point:
    """A row of the coordinates table, without its study; x is the column and y the row in pixels."""

    series_id: int
    instance_number: int
    condition: str
    level: str
    x: float
    y: float

    @property
    def cell(self) -> str:
        """How messages name it."""
        return f"{self.condition} {self.level}"


@dataclass(frozen=True, eq=False)
class PlacedPoint:
    """A point and where it lies in the patient, mm (LPS), in a frame of reference if that is stated."""

    point: Point
    position: NDArray[np.float64]
    frame_of_reference: str = ""


def needed_file(series: SeriesHeaders, instance_number: int) -> str | None:
    """Name of the file on which a point with this instance number lies, be it readable or not."""
    lost = {*series.unreadable, *series.not_images}
    for path in series.files:
        if path.name in lost and path.stem == str(instance_number):
            return path.name
    found = series.find(instance_number)
    return None if found is None else found.path.name


def check_points(
    study_id: int, series: SeriesHeaders, points: Sequence[Point]
) -> tuple[list[Finding], list[PlacedPoint]]:
    """Checks the points of one series that has files.

    Returns:
        What is wrong, and where in the patient the sound points lie.
    """
    faults: dict[str, list[str]] = defaultdict(list)
    placed = []
    for point in points:
        name = needed_file(series, point.instance_number)
        header = series.find(point.instance_number)
        if name is None:
            faults["point_file_missing"].append(f"{point.cell} on {point.instance_number}.dcm")
        elif header is None or name in series.unreadable or name in series.not_images:
            reason = series.unreadable.get(name, "it is no image")
            faults["point_file_unreadable"].append(f"{point.cell} on {name} ({reason})")
        elif not header.plane.holds(point.x, point.y):
            rows, columns = header.plane.shape
            where = f"{point.cell} at x {point.x:g}, y {point.y:g} of {columns} x {rows} pixels"
            faults["point_outside_image"].append(where)
        elif header.plane_known:
            position = header.plane.to_patient(np.array([point.x, point.y]))
            placed.append(PlacedPoint(point, position, series.frame_of_reference))
    found = [
        finding(kind, f"{len(words)} of {len(points)} points: {first_few(words, 3)}", study_id, series.series_id)
        for kind, words in faults.items()
    ]
    return found, placed


def check_placed(study_id: int, task: GradingTask, placed: Sequence[PlacedPoint]) -> Iterator[Finding]:
    """Yields levels and sides that cannot be, from where the points of a study lie in the patient."""
    by_series: dict[int, list[PlacedPoint]] = defaultdict(list)
    for point in placed:
        by_series[point.point.series_id].append(point)
    heights = {series: _heights(task, points) for series, points in by_series.items()}
    disordered = set()
    for series, points in by_series.items():
        wrong = _disordered(task, points)
        if wrong:
            disordered.add(series)
            yield finding("levels_out_of_order", first_few(wrong, 3), study_id, series)
        swapped, pairs = _swapped(task, points)
        if swapped:
            message = f"left lies to the right of right at {len(swapped)} of {pairs} levels: {first_few(swapped)}"
            yield finding("sides_swapped", message, study_id, series)
    frames = {series: points[0].frame_of_reference for series, points in by_series.items()}
    sound = {series: heights[series] for series in heights if series not in disordered}
    yield from _disagreements(study_id, sound, frames)


def _disagreements(study_id: int, heights: dict[int, dict[str, float]], frames: dict[int, str]) -> Iterator[Finding]:
    """Blames the series that disagrees with most others first, so that one odd series is one finding."""
    apart = {
        pair: _disagreeing(heights[pair[0]], heights[pair[1]])
        for pair in permutations(heights, 2)
        if comparable(frames[pair[0]], frames[pair[1]])
    }
    pairs = [pair for pair, levels in apart.items() if levels]
    while pairs:
        odd, _ = Counter(series for pair in pairs for series in pair).most_common(1)[0]
        others = sorted({series for pair in pairs if odd in pair for series in pair} - {odd})
        levels = apart[odd, others[0]] or apart[others[0], odd]
        yield finding(
            "levels_disagree", f"compared with series {first_few(others)}: {first_few(levels)}", study_id, odd
        )
        pairs = [pair for pair in pairs if odd not in pair]


def _heights(task: GradingTask, points: Sequence[PlacedPoint]) -> dict[str, float]:
    """Height of each level toward the head, mm, from the head down."""
    levels = [level for level in task.levels if any(p.point.level == level for p in points)]
    return {level: float(np.mean([p.position[2] for p in points if p.point.level == level])) for level in levels}


def _disordered(task: GradingTask, points: Sequence[PlacedPoint]) -> list[str]:
    wrong = []
    for condition in dict.fromkeys(placed.point.condition for placed in points):
        heights = _heights(task, [placed for placed in points if placed.point.condition == condition])
        wrong += [
            f"{condition} {upper} lies {heights[lower] - heights[upper]:.0f} mm below {lower}"
            for upper, lower in pairwise(heights)
            if heights[upper] <= heights[lower]
        ]
    return wrong


def _swapped(task: GradingTask, points: Sequence[PlacedPoint]) -> tuple[list[str], int]:
    """Levels at which a left point lies to the right of its counterpart, and how many pairs there are."""
    swapped, pairs = [], 0
    for left, right in combinations(task.conditions, 2):
        if {left.side, right.side} != {"left", "right"} or left.group != right.group:
            continue
        if left.side == "right":
            left, right = right, left
        if left.name.replace("left", "right") != right.name:
            continue
        for level in task.levels:
            sides = [_mean_x(points, condition.name, level) for condition in (left, right)]
            if sides[0] is not None and sides[1] is not None:
                pairs += 1
                if sides[0] <= sides[1]:
                    swapped.append(f"{left.group} {level}")
    return swapped, pairs


def _mean_x(points: Sequence[PlacedPoint], condition: str, level: str) -> float | None:
    """Position toward the patient's left, mm."""
    values = [p.position[0] for p in points if p.point.condition == condition and p.point.level == level]
    return float(np.mean(values)) if values else None


def _disagreeing(one: dict[str, float], other: dict[str, float]) -> list[str]:
    """Levels of one series that lie nearer to another level of the other series, if they are at least half."""
    common = [level for level in one if level in other]
    nearest = {level: min(other, key=lambda name: abs(other[name] - one[level])) for level in common}
    wrong = [f"{level} is at the height of {nearest[level]}" for level in common if nearest[level] != level]
    return wrong if len(wrong) * 2 >= len(common) else []
