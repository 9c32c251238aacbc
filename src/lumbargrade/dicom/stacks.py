"""Slices of a series, ordered in space: parallel ones together, one at each position."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

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
        axis = self.slices[0].plane.normal
        return float(np.median(np.abs(np.diff([header.plane.position @ axis for header in self.slices]))))


def group_stacks(headers: Iterable[SliceHeader]) -> list[Stack]:
    """Groups the slices of one series into stacks, the largest first.

    Slices of other orientation (by more than 3 degrees), shape or spacing make another stack; so do slices side by
    side in one plane, and slices whose place is not known. Of slices at the same place, the one with the lowest
    instance number stays.
    """
    groups: list[list[SliceHeader]] = []
    for header in sorted(headers, key=_number):
        _place(header, groups)
    return sorted(map(_stack, groups), key=lambda stack: -len(stack.slices))


def _place(header: SliceHeader, groups: list[list[SliceHeader]]) -> None:
    for group in groups:
        if not _parallel(group[0], header):
            continue
        offsets = np.array([other.plane.position for other in group]) - header.plane.position
        if (np.abs(offsets).max(axis=1) < _SAME_PLACE_MM).any():
            return
        if (np.abs(offsets @ group[0].plane.normal) >= _SAME_PLACE_MM).all():
            group.append(header)
            return
    groups.append([header])


def _stack(group: list[SliceHeader]) -> Stack:
    axis = group[0].plane.rising_normal
    return Stack(tuple(sorted(group, key=lambda header: float(header.plane.position @ axis))))


def _number(header: SliceHeader) -> tuple[float, str, int]:
    number = header.instance_number
    return (np.inf if number is None else number, str(header.path), header.frame or 0)


def _parallel(one: SliceHeader, other: SliceHeader) -> bool:
    a, b = one.plane, other.plane
    return (
        a.shape == b.shape
        and one.plane_known == other.plane_known
        and all(abs(p - q) <= 1e-3 * q for p, q in zip(a.spacing, b.spacing, strict=True))
        and float(a.row_direction @ b.row_direction) > _SAME_DIRECTION
        and float(a.column_direction @ b.column_direction) > _SAME_DIRECTION
    )
