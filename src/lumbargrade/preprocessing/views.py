"""Views: the slices of a stack as the locator sees them, whole, coarse, upright and of one scale.

A view is a plane of its own in the patient, so that what is found in it has patient coordinates at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.params import ViewParams
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.geometry import Orientation, Plane, Vector
from lumbargrade.dicom.kind.image_kind import Contrast
from lumbargrade.dicom.stacks import Stack
from lumbargrade.preprocessing.crop import display_axes, resample, window_around
from lumbargrade.preprocessing.series import SeriesImages

_CUT_OFF = 1.15
"""An image that is this much larger than its view is seen once more, whole: its spine may lie anywhere in it."""


@dataclass(frozen=True, eq=False)
class ViewSlice:
    """One slice of a stack.

    Attributes:
        instance: The slice's number in its series.
        source: The plane of the image.
        view: The plane of the view, which lies in the image's.
    """

    instance: int
    source: Plane
    view: Plane


@dataclass(frozen=True, eq=False)
class StackView:
    """A stack of parallel slices as the locator sees it, in the order of the stack.

    Attributes:
        series: How the study calls the series.
        contrast: The weighting as tables or headers tell it; nothing if they do not.
        known: Whether the slices' place in the patient is known, and so comparable to that of other series.
        grey: Returns the view of a slice by its place, (pixels, pixels), 0 to 255; raises UnreadableFile if it cannot be
            decoded.
        apart: Slices after which others are missing: the next one is no neighbour.
        fault: Why the place is not known.
        preference: Of several stacks of one contrast that show the same, the one with the lowest is taken.
        called: How notes call the series; empty if the contrast must do.
        seen: How sure the contrast is, if it is known by what the images show; 0 if tables or headers tell it.
    """

    series: str
    orientation: Orientation
    contrast: Contrast | None
    known: bool
    slices: tuple[ViewSlice, ...]
    grey: Callable[[int], NDArray[np.uint8]]
    apart: frozenset[int] = frozenset()
    fault: str | None = None
    preference: int = 0
    called: str = ""
    seen: float = 0.0

    def image(self, index: int) -> NDArray[np.uint8]:
        """A slice between its neighbours, (3, pixels, pixels).

        At the stack's end, at a gap, and beside a slice that cannot be decoded, the slice itself is repeated.

        Raises:
            UnreadableFile: The slice cannot be decoded.
        """
        return np.stack([self.grey(index) if step == 0 else self._beside(index, step) for step in (-1, 0, 1)])

    def readable(self, index: int) -> bool:
        """Whether a slice can be decoded."""
        try:
            self.grey(index)
        except UnreadableFile:
            return False
        return True

    def _beside(self, index: int, step: int) -> NDArray[np.uint8]:
        other = index + step
        inside = 0 <= other < len(self.slices) and min(index, other) not in self.apart
        return self.grey(other if inside and self.readable(other) else index)

    def distances(self, point: Vector) -> NDArray[np.float64]:
        """How far each slice lies from a point of the patient, mm, (slices,)."""
        return np.array([abs(float(piece.view.to_pixel(point)[2])) for piece in self.slices])


def view_series(
    series: str,
    images: SeriesImages,
    contrast: Contrast | None,
    params: ViewParams,
    preference: int = 0,
    called: str = "",
) -> Iterator[StackView]:
    """Views the stacks of a series, the largest first; a slice is decoded when it is asked for.

    A localizer has none, nor has a stack whose pixels are of unknown size.
    """
    for stack in images.stacks:
        if images.localizer or stack.size_fault:
            continue
        side = params.side_mm(stack.orientation)
        whole = max(max(header.plane.extent) for header in stack.slices)
        sides = [side, whole] if stack.orientation == "sagittal" and whole > _CUT_OFF * side else [side]
        for side_mm in sides:
            view = _view_stack(series, images, stack, contrast, side_mm, params.pixels)
            yield replace(view, preference=preference, called=called)


def _view_stack(
    series: str, images: SeriesImages, stack: Stack, contrast: Contrast | None, side_mm: float, pixels: int
) -> StackView:
    middle = stack.slices[len(stack.slices) // 2].plane
    rows, columns = middle.shape
    centre = middle.to_patient(np.array([(columns - 1) / 2, (rows - 1) / 2]))
    size = side_mm / pixels
    views = []
    for header in stack.slices:
        shifted = centre - header.plane.to_pixel(centre)[2] * header.plane.normal
        axes = display_axes(header.plane, stack.orientation)
        views.append(ViewSlice(images.numbers[header], header.plane, window_around(shifted, axes, pixels, size)))
    decoded: dict[int, NDArray[np.uint8]] = {}

    def grey(index: int) -> NDArray[np.uint8]:
        if index not in decoded:
            header = stack.slices[index]
            decoded[index] = resample(images.grey(header), header.plane, views[index].view)
        return decoded[index]

    apart = frozenset(index for index, missing in enumerate(stack.missing) if missing)
    fault = stack.placement_fault
    return StackView(series, stack.orientation, contrast, fault is None, tuple(views), grey, apart, fault)
