"""Places that are no places: found with too little confidence, or where a spine cannot have them."""

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from lumbargrade.config.task import CellKey, GradingTask
from lumbargrade.notes import Note

if TYPE_CHECKING:  # torch takes seconds, and who reads an answer has none
    from lumbargrade.localization.heatmaps import Place

LEAST_CONFIDENCE = 0.05
"""A place that is found with less confidence than this is no place, whatever it is of: nothing is graded there. Measured on
phantoms and on real studies: see docs/ml-engineer.md."""
_NEAREST_MM, _FARTHEST_MM = 15.0, 60.0
"""Places of one condition at neighbouring levels are farther apart than the first, and nearer than the second."""


def unsure_reasons(places: "dict[CellKey, Place]", task: GradingTask) -> dict[CellKey, Note]:
    """The cells whose places were found with too little confidence, and what they say."""
    labels = {condition.name: condition.label for condition in task.conditions}
    return {
        (name, level): Note.make(
            "place-unsure",
            "the place of {condition} {level} was found with a confidence below {least:.0%}",
            condition=labels[name],
            level=level,
            least=LEAST_CONFIDENCE,
        )
        for (name, level), place in places.items()
        if place.confidence < LEAST_CONFIDENCE
    }


def implausible_reasons(
    places: "dict[CellKey, Place]", task: GradingTask, step_mm: float, size: float = 1.0
) -> dict[CellKey, Note]:
    """The cells whose places contradict others that were found with more confidence, and what they say.

    Args:
        step_mm: Usual distance of two levels.
        size: Height of the spine's vertebrae against the usual one.
    """
    left = dict(places)
    reasons: dict[CellKey, Note] = {}
    while True:
        contradictions = list(_contradictions(left, task, step_mm, size))
        if not contradictions:
            return reasons
        pairs = [(min(pair, key=lambda key: left[key].confidence), why) for *pair, why in contradictions]
        worst, why = min(pairs, key=lambda found: left[found[0]].confidence)
        reasons[worst] = why
        del left[worst]


def _contradictions(
    places: "dict[CellKey, Place]", task: GradingTask, step_mm: float, size: float
) -> Iterator[tuple[CellKey, CellKey, Note]]:
    for condition in task.conditions:
        for upper, lower in pairwise(task.levels):
            one, other = places.get((condition.name, upper)), places.get((condition.name, lower))
            if one is None or other is None or one.series != other.series:
                continue
            apart = float(np.linalg.norm(one.position - other.position))
            if not _NEAREST_MM * min(size, 1.0) <= apart <= _FARTHEST_MM * max(size, 1.0):
                why = Note.make(
                    "levels-at-odds",
                    "place uncertain: {condition} {upper} and {lower} would lie {mm:.0f} mm apart",
                    condition=condition.label,
                    upper=upper,
                    lower=lower,
                    mm=apart,
                )
                yield (condition.name, upper), (condition.name, lower), why
    for first, second in combinations(task.conditions, 2):
        if first.group != second.group or {first.side, second.side} != {"left", "right"}:
            continue
        for level in task.levels:
            one, other = places.get((first.name, level)), places.get((second.name, level))
            if one is None or other is None:
                continue
            apart = abs(float(one.position[2] - other.position[2]))
            if apart > step_mm * max(size, 1.0):
                why = Note.make(
                    "sides-at-odds",
                    "place uncertain: left and right of {level} would lie {mm:.0f} mm apart in height",
                    level=level,
                    mm=apart,
                )
                yield (first.name, level), (second.name, level), why
