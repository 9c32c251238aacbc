"""Cuts a crop of fixed physical size around a point, the same way up for every patient and scanner.

A crop's columns run toward the patient's left (axial) or back (sagittal), its rows toward the back (axial) or the feet
(sagittal), and its channels, the neighbouring slices, toward the head (axial) or the patient's left (sagittal). A crop
of the right side is reflected in the patient's left-right axis, so that the grader only ever sees left sides.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbargrade.config.params import PrepareParams
from lumbargrade.dicom.geometry import Plane, Vector
from lumbargrade.dicom.stacks import Stack
from lumbargrade.preprocessing.series import SeriesImages

NEIGHBOURS = (-1, 0, 1)
"""Slices that become the crop's channels, relative to the point's; where there is no neighbour the slice is repeated."""

_DISPLAY_AXES = {
    "axial": (np.array([1.0, 0, 0]), np.array([0, 1.0, 0])),
    "sagittal": (np.array([0, 1.0, 0]), np.array([0, 0, -1.0])),
    "coronal": (np.array([1.0, 0, 0]), np.array([0, 0, -1.0])),
}
"""Patient directions (LPS) in which a displayed image's columns and rows run."""


def cut_crop(
    images: SeriesImages, stack: Stack, index: int, xy: tuple[float, float], mirrored: bool, params: PrepareParams
) -> NDArray[np.uint8]:
    """Cuts the crop around a point of one slice.

    Args:
        images: The series, for pixels and grey scale.
        stack: The stack of the slice.
        index: The slice's place in the stack.
        xy: The point, (column, row) in pixels.
        mirrored: Whether to reflect the crop in the patient's left-right axis.
        params: Size of the crop and of its pixels.

    Returns:
        Grey values 0 to 255, (channels, rows, columns); black where the slice ends.

    Raises:
        UnreadableFile: The slice cannot be decoded.
    """
    middle = stack.slices[index].plane
    columns, rows = display_axes(middle, stack.orientation)
    reflected = reflects(stack.orientation, mirrored)
    axes = (-columns if reflected else columns, rows)
    window = window_around(middle.to_patient(np.array(xy, dtype=float)), axes, params.crop_pixels, params.pixel_mm)
    channels = []
    for step in NEIGHBOURS[::-1] if mirrored and not reflected else NEIGHBOURS:
        header = images.neighbour(stack, index, step)
        channels.append(resample(images.grey(header), header.plane, window))
    return np.stack(channels)


def shown_share(plane: Plane, orientation: str, xy: tuple[float, float], params: PrepareParams) -> float:
    """How much of a crop around a point lies within the image, 0 to 1.

    Args:
        xy: The point, (column, row) in pixels.
    """
    window = window_around(
        plane.to_patient(np.array(xy, dtype=float)),
        display_axes(plane, orientation),
        params.crop_pixels,
        params.pixel_mm,
    )
    across, down = np.meshgrid(np.arange(params.crop_pixels), np.arange(params.crop_pixels))
    return float(plane.shows(window.to_patient(np.stack([across, down], axis=-1))).mean())


def display_axes(plane: Plane, orientation: str) -> tuple[Vector, Vector]:
    """Directions in the patient in which columns and rows run when the image is shown upright, each (3,)."""
    columns, rows = (_aligned(plane, direction) for direction in _DISPLAY_AXES[orientation])
    return columns, rows


def reflects(orientation: str, mirrored: bool) -> bool:
    """Whether a crop's columns run against those of the displayed slice; a sagittal crop mirrors its channels instead."""
    return mirrored and orientation != "sagittal"


def window_around(centre: Vector, axes: tuple[Vector, Vector], pixels: int, pixel_mm: float) -> Plane:
    """A square of so many pixels around a point of the patient.

    Args:
        axes: Directions in which its columns and rows run.
    """
    half = (pixels - 1) / 2 * pixel_mm
    columns, rows = axes
    return Plane(centre - half * columns - half * rows, columns, rows, (pixel_mm, pixel_mm), (pixels, pixels))


def resample(image: NDArray[np.float32], source: Plane, target: Plane) -> NDArray[np.uint8]:
    """Returns what an image shows in a window of square pixels, 0 to 255; black where the image ends.

    Args:
        image: Grey values 0 to 1 of the plane ``source``.
        target: The window; its distance from the image is left out of account.
    """
    rows, columns = target.shape
    across, down = np.meshgrid(np.arange(columns), np.arange(rows))
    pixels = source.to_pixel(target.to_patient(np.stack([across, down], axis=-1)))
    smooth = _smoothed(image, source, target.spacing[0])
    places = np.stack([pixels[..., 1], pixels[..., 0]])
    grey = ndimage.map_coordinates(smooth, places, order=1, mode="constant", cval=0.0)
    return np.asarray(np.round(grey * 255).astype(np.uint8))


def _aligned(plane: Plane, direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """The image's own axis, with its sign, that runs most nearly in a patient direction."""
    axes = [plane.row_direction, plane.column_direction]
    axis = max(axes, key=lambda candidate: abs(float(candidate @ direction)))
    return axis if axis @ direction >= 0 else -axis


def _smoothed(image: NDArray[np.float32], plane: Plane, pixel_mm: float) -> NDArray[np.float32]:
    """Removes what is finer than the crop's pixels can carry, so that it does not alias."""
    sigma = [0.5 * np.sqrt(max((pixel_mm / spacing) ** 2 - 1, 0)) for spacing in plane.spacing]
    return np.asarray(ndimage.gaussian_filter(image, sigma, truncate=3)) if max(sigma) > 0 else image
