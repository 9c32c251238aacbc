"""Points of one segment of the spine in its own coordinates, and what varies along it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lumbargrade.phantom.anatomy import Measures, Spine
from lumbargrade.phantom.canvas import Array, bell

_REACH = 5.5


@dataclass(frozen=True, eq=False)
class Segment:
    """Points between disc plane ``index`` and the next one down.

    Attributes:
        u, v: mm to the patient's left and to the back of the spine's axis.
        upper, lower: mm below the upper disc plane and above the lower one.
        grain, fibre, cloud: Textures at the points, mean 0.
    """

    spine: Spine
    index: int
    u: Array
    v: Array
    upper: Array
    lower: Array
    grain: Array
    fibre: Array
    cloud: Array

    def subset(self, chosen: NDArray[np.intp]) -> "Segment":
        """Returns some of the points."""
        arrays = (self.u, self.v, self.upper, self.lower, self.grain, self.fibre, self.cloud)
        return Segment(self.spine, self.index, *(array[chosen] for array in arrays))

    @cached_property
    def across(self) -> Array:
        """Distance from the midline."""
        return np.abs(self.u)

    @cached_property
    def length(self) -> Array:
        """Height of the segment at each point."""
        return np.maximum(self.upper + self.lower, 4.0)

    @cached_property
    def along(self) -> Array:
        """0 at the upper disc plane ... 1 at the lower one."""
        return self.upper / self.length

    @cached_property
    def near_upper(self) -> Array:
        """1 at the upper disc plane, falling within some mm."""
        return bell(self.upper, _REACH)

    @cached_property
    def near_lower(self) -> Array:
        """1 at the lower disc plane, falling within some mm."""
        return bell(self.lower, _REACH)

    @cached_property
    def wall(self) -> Array:
        """The ``v`` of the line along the backs of the vertebrae."""
        return self.between(self.spine.depth)

    def between(self, values: Measures) -> Array:
        """Interpolates a quantity of the disc planes."""
        first, second = np.float32(values[self.index]), np.float32(values[self.index + 1])
        return np.asarray(first + (second - first) * np.clip(self.along, 0.0, 1.0), dtype=np.float32)

    def at_discs(self, values: Measures) -> Array:
        """Applies a quantity of the disc planes near them only."""
        first, second = np.float32(values[self.index]), np.float32(values[self.index + 1])
        return np.asarray(first * self.near_upper + second * self.near_lower, dtype=np.float32)

    @cached_property
    def foramen(self) -> Array:
        """How narrow the foramen is on the side of each point; it lies above its disc."""
        values = self.spine.foramen[:, self.index], self.spine.foramen[:, self.index + 1]
        upper, lower = (np.where(self.u > 0, np.float32(left), np.float32(right)) for left, right in values)
        return np.asarray(upper * bell(self.upper + 5.0, 8.0) + lower * bell(self.lower - 5.0, 8.0), dtype=np.float32)

    @cached_property
    def recess(self) -> Array:
        """How narrow the lateral recess is on the side of each point."""
        left, right = (self.at_discs(values) for values in self.spine.recess)
        return np.where(self.u > 0, left, right)

    @cached_property
    def canal(self) -> Array:
        """How narrow the canal is."""
        return self.at_discs(self.spine.canal)
