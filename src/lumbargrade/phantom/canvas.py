"""Painting tissues over one another, softly, in several contrasts at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbargrade.phantom.tissues import Contrast

Array = NDArray[np.floating[Any]]


class Canvas:
    """Brightness of the same points in one or more contrasts.

    Attributes:
        values: (contrasts, ...) brightness.
        softness: Half width in mm of the edge that a boundary gets.
    """

    def __init__(self, values: Array, contrasts: Sequence[Contrast], softness: float) -> None:
        self.values = values
        self.contrasts = contrasts
        self.softness = softness

    def inside(self, distance: Array, softness: float | None = None) -> Array:
        """Returns how much of a point lies inside, 0 ... 1, from its signed distance in mm (negative inside)."""
        scale = np.float32(0.5 / (softness or self.softness))
        return np.asarray(np.clip(np.float32(0.5) - distance * scale, 0.0, 1.0))

    def paint(self, share: Array, tissue: str, modulation: Array | float = 1.0) -> None:
        """Lays a tissue over what is there.

        Args:
            share: 0 ... 1, how much of each point the tissue covers.
            modulation: Factor on its brightness: its texture.
        """
        for row, contrast in zip(self.values, self.contrasts, strict=True):
            row += share * (np.float32(contrast[tissue]) * modulation - row)

    def part(self, index: NDArray[np.intp]) -> "Canvas":
        """Returns a copy of some points, to be painted and put back with ``restore``."""
        return Canvas(self.values[:, index], self.contrasts, self.softness)

    def restore(self, index: NDArray[np.intp], part: "Canvas") -> None:
        """Puts painted points back."""
        self.values[:, index] = part.values


def ellipse(x: Array, y: Array, radius_x: Array | float, radius_y: Array | float) -> Array:
    """Returns about the signed distance to an ellipse around the origin."""
    norm = np.sqrt(np.square(x / radius_x) + np.square(y / radius_y))
    return np.asarray((norm - 1.0) * np.minimum(radius_x, radius_y), dtype=np.float32)


def squircle(x: Array, y: Array, radius_x: Array | float, radius_y: Array | float) -> Array:
    """Returns about the signed distance to something between an ellipse and a rectangle."""
    a, b = np.square(x / radius_x), np.square(y / radius_y)
    norm = 0.5 * (np.sqrt(a + b) + np.sqrt(np.sqrt(np.square(a) + np.square(b))))
    return np.asarray((norm - 1.0) * np.minimum(radius_x, radius_y), dtype=np.float32)


def overlap(first: Array, second: Array, radius: float) -> Array:
    """Returns the signed distance to what lies in both shapes, its edges rounded."""
    blend = np.clip(np.float32(radius) - np.abs(first - second), 0.0, None)
    return np.asarray(np.maximum(first, second) + np.square(blend) * np.float32(0.25 / radius), dtype=np.float32)


def union(first: Array, second: Array, radius: float) -> Array:
    """Returns the signed distance to what lies in either shape, its notches filled."""
    return -overlap(-first, -second, radius)


def bell(x: Array, width: float) -> Array:
    """Returns a Gaussian of height 1."""
    return np.asarray(np.exp(np.square(x * np.float32(1.0 / width)) * np.float32(-0.5)))
