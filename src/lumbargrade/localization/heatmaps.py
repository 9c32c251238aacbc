"""What the locator saw in a stack, and places in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbargrade.dicom.geometry import Vector
from lumbargrade.models.heatmap import STRIDE
from lumbargrade.models.locator import CONTRASTS, Locator, Mark, marks_of, see_slices
from lumbargrade.preprocessing.views import StackView

_WINDOW = 5
"""Places on the map, in each direction, whose probability counts for the one in their middle."""
_NEAR = 3
"""Places on the map, in each direction, within which series of a study agree."""
_APART_MM = 8.0
"""A slice this far from a place does not show it."""


class Place(NamedTuple):
    """A place in a study.

    Attributes:
        instance: Number of the slice in its series.
        x, y: Column and row, pixels of the image.
        position: Patient coordinates (LPS), mm.
        confidence: Probability of the place and those within a few mm, 0 to 1.
    """

    series: str
    instance: int
    x: float
    y: float
    position: Vector
    confidence: float


@dataclass(frozen=True, eq=False)
class SeenStack:
    """A stack, or some of its slices, through the locator's eyes.

    Attributes:
        slices: Places in the stack of those that were seen.
        marks: What the maps are of.
        maps: Probabilities, (slices, marks, rows, columns).
        contrasts: Mean probabilities of ``CONTRASTS``.
    """

    stack: StackView
    slices: tuple[int, ...]
    marks: tuple[Mark, ...]
    maps: NDArray[np.float32]
    contrasts: NDArray[np.float32]

    @cached_property
    def masses(self) -> NDArray[np.float32]:
        """Probability of a place and those around it, shaped as ``maps``."""
        around = ndimage.uniform_filter(self.maps, size=(1, 1, _WINDOW, _WINDOW), mode="constant")
        return np.asarray(np.clip(around * _WINDOW**2, 0, 1), dtype=np.float32)

    def mark(self, group: str, level: str | None, side: str | None = None) -> int:
        """The number of a mark among the maps'."""
        return self.marks.index(Mark(group, level, side))

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Patient coordinates of the places, (slices, rows, columns, 3)."""
        rows, columns = self.maps.shape[2:]
        across, down = np.meshgrid(np.arange(columns), np.arange(rows))
        pixels = (np.stack([across, down], axis=-1) + 0.5) * STRIDE - 0.5
        return np.stack([self.stack.slices[index].view.to_patient(pixels) for index in self.slices])

    def masses_at(self, positions: NDArray[np.float64], marks: Sequence[int]) -> NDArray[np.float64]:
        """The largest masses beside each of some places in the patient, (places, marks).

        They are no numbers where no slice shows the place.

        Args:
            positions: LPS, mm, (places, 3).
        """
        index, row, column, apart = self._cells(positions)
        rows, columns = self.maps.shape[2:]
        shown = (row >= 0) & (row < rows) & (column >= 0) & (column < columns) & (apart <= _APART_MM)
        around = ndimage.maximum_filter(self.masses[:, list(marks)], size=(1, 1, _NEAR, _NEAR))
        found = around[index, :, row.clip(0, rows - 1), column.clip(0, columns - 1)].astype(np.float64)
        found[~shown] = np.nan
        return np.asarray(found)

    def nearest(self, position: Vector) -> tuple[tuple[int, int, int], float]:
        """The place on a map (slice, row, column) nearest to one in the patient, and how far its slice is off, mm."""
        index, row, column, apart = (values[0] for values in self._cells(position[None]))
        rows, columns = self.maps.shape[2:]
        return (int(index), int(row.clip(0, rows - 1)), int(column.clip(0, columns - 1))), float(apart)

    def _cells(self, positions: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
        """Slice, row and column nearest to places in the patient, and the distance from the slice, mm."""
        pixels = np.stack([self.stack.slices[index].view.to_pixel(positions) for index in self.slices])
        index = np.abs(pixels[:, :, 2]).argmin(axis=0)
        across, down, apart = pixels[index, np.arange(len(positions))].T
        row, column = np.round((np.stack([down, across]) + 0.5) / STRIDE - 0.5).astype(int)
        return index, row, column, np.abs(apart)

    @property
    def contrast(self) -> str:
        """The weighting: as tables or headers tell it, else as it looks."""
        return self.stack.contrast or CONTRASTS[int(self.contrasts.argmax())]

    def place(self, mark: int, seen: int, row: int, column: int) -> Place:
        """The place that a mark has at or beside a place on the map: the centre of gravity of what is seen around."""
        piece = self.stack.slices[self.slices[seen]]
        half = _WINDOW // 2
        top, left = max(row - half, 0), max(column - half, 0)
        near = self.masses[seen, mark, top : row + half + 1, left : column + half + 1]
        if near.max() > self.masses[seen, mark, row, column]:
            row, column = (
                int(a) + b for a, b in zip(np.unravel_index(near.argmax(), near.shape), (top, left), strict=True)
            )
        top, left = max(row - half, 0), max(column - half, 0)
        window = self.maps[seen, mark, top : row + half + 1, left : column + half + 1].astype(np.float64) + 1e-12
        down, across = np.indices(window.shape)
        y = top + float((window * down).sum() / window.sum())
        x = left + float((window * across).sum() / window.sum())
        position = piece.view.to_patient((np.array([x, y]) + 0.5) * STRIDE - 0.5)
        on_image = piece.source.to_pixel(position)
        mass = float(self.masses[seen, mark, row, column])
        return Place(self.stack.series, piece.instance, float(on_image[0]), float(on_image[1]), position, mass)


def look_at(
    locators: Sequence[Locator], stack: StackView, slices: Sequence[int] | None = None, size: float | None = None
) -> SeenStack | None:
    """Looks at a stack, or at some of its slices; None if none of them can be decoded.

    Args:
        size: Height of the spine's vertebrae against the usual one, if it is known: the stack is seen as it would look with
            usual ones too. Exports are squashed or stretched in height above all, so width counts by its square root.
    """
    wanted = range(len(stack.slices)) if slices is None else slices
    chosen = tuple(index for index in wanted if stack.readable(index))
    if not chosen:
        return None
    images = np.stack([stack.image(index) for index in chosen])
    config = locators[0].config
    frames = [(1.0, 1.0)]
    if size is not None:
        usual = config.views.side_mm(stack.orientation) / max(stack.slices[0].view.extent)
        frames.append((usual * size**0.5, usual * size))
    maps = see_slices(locators, images, stack.orientation, frames)
    marks = marks_of(config.task, stack.orientation)
    return SeenStack(stack, chosen, marks, maps.places, maps.contrasts.mean(axis=0))
