"""Slices of a series, ordered in space: parallel ones together, one at each position."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from lumbargrade.dicom.geometry import Vector
from lumbargrade.dicom.headers import SliceHeader

Orientation = Literal["sagittal", "coronal", "axial"]

_ORIENTATIONS: tuple[Orientation, ...] = ("sagittal", "coronal", "axial")
_SAME_DIRECTION = np.cos(np.deg2rad(3.0))
_SAME_PLACE_MM = 0.05


@dataclass(frozen=True, eq=False)
class Stack:
    """Parallel slices of one shape and spacing, one at each position.

    They are ordered by position, never by instance number, which rises either way: sagittal slices toward the
    patient's left, axial ones toward the head, coronal ones toward the back.
    """

    slices: tuple[SliceHeader, ...]

    @cached_property
    def orientation(self) -> Orientation:
        """The body plane nearest to the slices."""
        return _ORIENTATIONS[int(np.abs(self.slices[0].plane.normal).argmax())]

    @cached_property
    def spacing_between(self) -> float:
        """Median distance between neighbouring slices, mm; the thickness (or 1) of a single slice."""
        if len(self.slices) == 1:
            return self.slices[0].thickness or 1.0
        axis = _rising_normal(self.slices[0])
        return float(np.median(np.diff([header.plane.position @ axis for header in self.slices])))


def group_stacks(headers: Iterable[SliceHeader]) -> list[Stack]:
    """Groups the slices of one series into stacks, the largest first.

    Slices of other orientation (by more than 3 degrees), shape or spacing make another stack. Of slices at the same
    place, the one with the lowest instance number stays.
    """
    groups: list[list[SliceHeader]] = []
    for header in sorted(headers, key=_number):
        group = next((group for group in groups if _parallel(group[0], header)), None)
        if group is None:
            groups.append([header])
        elif not any(_same_place(other, header) for other in group):
            group.append(header)
    stacks = [
        Stack(tuple(sorted(group, key=lambda h: float(h.plane.position @ _rising_normal(group[0])))))
        for group in groups
    ]
    return sorted(stacks, key=lambda stack: -len(stack.slices))


def _number(header: SliceHeader) -> tuple[float, str, int]:
    number = header.instance_number
    return (np.inf if number is None else number, str(header.path), header.frame or 0)


def _parallel(one: SliceHeader, other: SliceHeader) -> bool:
    a, b = one.plane, other.plane
    return (
        a.shape == b.shape
        and bool(np.allclose(a.spacing, b.spacing, rtol=1e-3))
        and float(a.row_direction @ b.row_direction) > _SAME_DIRECTION
        and float(a.column_direction @ b.column_direction) > _SAME_DIRECTION
    )


def _same_place(one: SliceHeader, other: SliceHeader) -> bool:
    return bool(np.abs(one.plane.position - other.plane.position).max() < _SAME_PLACE_MM)


def _rising_normal(header: SliceHeader) -> Vector:
    """The normal, turned so that its largest part points to the patient's left, back or head."""
    normal = header.plane.normal
    return normal if normal[np.abs(normal).argmax()] > 0 else -normal
