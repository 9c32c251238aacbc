"""Sagittal series and their columns, and which of several of one contrast is graded on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lumbargrade.config.task import Condition
from lumbargrade.localization.heatmaps import Place, SeenStack
from lumbargrade.localization.shown import is_shown
from lumbargrade.localization.vertebral_column import Column
from lumbargrade.models.locator import SpineShape, place_key

SAME_PLACE_MM = 12.0
"""Columns of two series that are this near to each other are of one place: a third of a level."""
PLACE_UNKNOWN = "where its slices lie in the patient is not known"


@dataclass(frozen=True, eq=False)
class SagittalSeries:
    """A sagittal series: what was seen of it, and its column."""

    stacks: list[SeenStack]
    column: Column

    @property
    def name(self) -> str:
        """How the study calls it."""
        return self.stacks[0].stack.series

    @property
    def contrast(self) -> str:
        """The weighting: as headers show it, else as it looks."""
        return self.stacks[0].contrast

    @property
    def known(self) -> bool:
        """Whether it is known where in the patient the slices lie."""
        return all(seen.stack.known for seen in self.stacks)

    @property
    def fault(self) -> str:
        """Why the place of its slices in the patient is not known."""
        faults = [seen.stack.fault for seen in self.stacks if not seen.stack.known]
        return faults[0] if faults and faults[0] else PLACE_UNKNOWN

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel."""
        return max(self.stacks[0].stack.slices[0].source.spacing)

    def disagrees(self, number: int, levels: Sequence[Place | None]) -> bool:
        """Whether a level lies elsewhere than in the series that the study goes by, which shows the same place otherwise.

        Args:
            number: Of the level.
            levels: Where the study's levels lie in the patient, as far as that is known.
        """
        middle, level = self.column.places[number], levels[number]
        if not self.known or middle is None or level is None:
            return False
        pairs = zip(self.column.places, levels, strict=True)
        apart = [float(np.linalg.norm(one.position - other.position)) for one, other in pairs if one and other]
        if np.median(apart) > SAME_PLACE_MM:
            return False
        return float(np.linalg.norm(middle.position - level.position)) > SAME_PLACE_MM


def choose_series(
    series: Sequence[SagittalSeries], conditions: Sequence[Condition], levels: Sequence[Place | None], shape: SpineShape
) -> SagittalSeries:
    """The series that conditions are graded on: one for all of them, so that both sides are of one series.

    The one that shows most places; of those the preferred kind: T2 before STIR, T1 before contrast agent before after it, plain
    before fat-suppressed (:data:`lumbargrade.dicom.kind.image_kind.PREFERENCES`); then the finer pixels, then the first.

    Args:
        levels: Where the study's levels lie in the patient, as far as that is known.
    """

    def rank(one: SagittalSeries) -> tuple[int, int, float]:
        shown = sum(_count_shown(one, condition, levels, shape) for condition in conditions)
        return -shown, one.stacks[0].stack.preference, round(one.pixel_mm, 1)

    return min(series, key=rank)


def _count_shown(
    series: SagittalSeries, condition: Condition, levels: Sequence[Place | None], shape: SpineShape
) -> int:
    """At how many levels a condition's usual place lies on the slices of a series."""
    places = {level: place for level, place in series.column.known.items() if not series.disagrees(level, levels)}
    offsets = shape.places.get(place_key(condition.group, condition.side))
    if condition.side is None or offsets is None or not series.known:
        return len(places)
    usual = (place.position + np.array(offsets.mean[level]) for level, place in places.items())
    return sum(is_shown(series.stacks, position) for position in usual)
