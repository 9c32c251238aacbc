"""What a study shows beside the lumbar spine, and what it shows too little of."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lumbargrade.dicom.stacks import Stack
from lumbargrade.localization.left_out import LeftOut
from lumbargrade.notes import Note
from lumbargrade.preprocessing.series import SeriesImages

if TYPE_CHECKING:
    from lumbargrade.inference.described_series import DescribedSeries

_TALL_MM = 450.0
"""Images of the lumbar spine alone are not so high."""
_FEWEST = {"sagittal": 7, "axial": 5}
"""Slices that a series needs to reach both foramina, or to pass through the five discs."""


def shows_other_part(images: SeriesImages) -> str | None:
    """The part of the spine that the name of a series says it shows, if that is not the lumbar one."""
    found = Counter(header.other_part for stack in images.stacks for header in stack.slices)
    return found.most_common(1)[0][0] if found else None


def find_elsewhere(series: Iterable["DescribedSeries"]) -> list[LeftOut]:
    """The series that show another part of the spine."""
    found = []
    for described in series:
        stacks = described.images.stacks
        part = shows_other_part(described.images)
        if part is not None and described.contrast != "other":
            first = stacks[0]
            found.append(
                LeftOut(
                    series=described.key,
                    orientation=first.orientation if first.slices[0].orientation_known else None,
                    contrast=described.contrast,
                    name=described.name(stacks),
                    reason=f"its name says that it shows the {part} spine",
                )
            )
    return found


def describe_fields(series: Iterable["DescribedSeries"]) -> Iterator[Note]:
    """Notes on series that show the whole spine, or have too few slices to show all of the lumbar one."""
    for described in series:
        images = described.images
        if described.localizer or described.contrast == "other" or shows_other_part(images):
            continue
        stacks = [stack for stack in images.stacks if not stack.size_fault]
        sagittal = [stack for stack in stacks if stack.orientation == "sagittal"]
        height = max(map(_height, sagittal), default=0.0)
        if height > _TALL_MM:
            yield Note.make(
                "whole-spine",
                "{series} is {height:.0f} mm high, as of the whole spine: only the lumbar part is graded",
                series=described.name(sagittal),
                height=height,
            )
        for plane, fewest in _FEWEST.items():
            own = [stack for stack in stacks if stack.orientation == plane]
            slices = sum(len(stack.slices) for stack in own)
            if 0 < slices < fewest:
                yield Note.make(
                    "few-slices",
                    "{series} has too few slices to show all sides and levels",
                    series=described.name(own),
                    count=slices,
                )


def _height(stack: Stack) -> float:
    """How far a stack's images reach from foot to head, mm."""
    first = stack.slices[0]
    if not first.orientation_known:
        return 0.0
    plane = first.plane
    down, along = plane.extent
    return float(abs(plane.row_direction[2]) * along + abs(plane.column_direction[2]) * down)
