"""Where an image lies in the patient: pixels to patient coordinates and back, exact for any spacing and tilt.

Patient coordinates are DICOM's, in mm: x grows to the patient's left, y to the back, z to the head (LPS).
Formula: DICOM PS3.3, C.7.6.2.1.1 (Image Plane module).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Orientation = Literal["sagittal", "coronal", "axial"]

ORIENTATIONS: tuple[Orientation, ...] = ("sagittal", "coronal", "axial")
"""The body planes, in the order of the patient's axes that they are perpendicular to."""
_SAME_DIRECTION = np.cos(np.deg2rad(3.0))


@dataclass(frozen=True, eq=False)
class Plane:
    """The plane of one image.

    Attributes:
        position: Centre of the first pixel, mm, (3,).
        row_direction: Unit vector in which the column index grows, (3,).
        column_direction: Unit vector in which the row index grows, (3,).
        spacing: Distance between rows, then between columns, mm: the order of PixelSpacing.
        shape: Rows, columns.
    """

    position: Vector
    row_direction: Vector
    column_direction: Vector
    spacing: tuple[float, float]
    shape: tuple[int, int]

    @property
    def normal(self) -> Vector:
        """Unit vector perpendicular to the image, (3,)."""
        return np.cross(self.row_direction, self.column_direction)

    @property
    def rising_normal(self) -> Vector:
        """The normal, turned so that its largest part points to the patient's left, back or head, (3,)."""
        normal = self.normal
        return normal if normal[np.abs(normal).argmax()] > 0 else -normal

    @property
    def orientation(self) -> Orientation:
        """The nearest body plane."""
        return ORIENTATIONS[int(np.abs(self.normal).argmax())]

    def is_parallel(self, other: "Plane") -> bool:
        """Whether rows and columns of two images run the same way, to 3 degrees."""
        return bool(
            self.row_direction @ other.row_direction > _SAME_DIRECTION
            and self.column_direction @ other.column_direction > _SAME_DIRECTION
        )

    @property
    def distance(self) -> float:
        """Position of the plane along its normal, mm."""
        return float(self.position @ self.normal)

    @property
    def extent(self) -> tuple[float, float]:
        """How far the image reaches, down its rows and along its columns, mm."""
        return self.shape[0] * self.spacing[0], self.shape[1] * self.spacing[1]

    def to_patient(self, xy: ArrayLike) -> Vector:
        """Returns patient coordinates, mm, (..., 3), of pixel coordinates.

        Args:
            xy: x (column) and y (row) in pixels, (..., 2); the centre of the first pixel is (0, 0).
        """
        pixels = np.asarray(xy, dtype=np.float64)
        between_rows, between_columns = self.spacing
        along_row = pixels[..., 0, None] * between_columns * self.row_direction
        return self.position + along_row + pixels[..., 1, None] * between_rows * self.column_direction

    def to_pixel(self, points: ArrayLike) -> Vector:
        """Returns x and y in pixels, and the distance from the plane along its normal in mm, (..., 3).

        Args:
            points: Patient coordinates, mm, (..., 3).
        """
        offset = np.asarray(points, dtype=np.float64) - self.position
        between_rows, between_columns = self.spacing
        x = offset @ self.row_direction / between_columns
        y = offset @ self.column_direction / between_rows
        return np.stack([x, y, offset @ self.normal], axis=-1)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies on one of the image's pixels, whose centres have whole numbers.

        Args:
            x, y: Column and row, pixels.
        """
        rows, columns = self.shape
        return -0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5

    def shows(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Returns whether the image reaches to points, or to where they lie in front of it or behind it, (...).

        Args:
            points: Patient coordinates, mm, (..., 3).
        """
        pixels = self.to_pixel(points)[..., :2]
        return np.asarray(((pixels >= 0) & (pixels <= np.array(self.shape[::-1]) - 1)).all(axis=-1))
