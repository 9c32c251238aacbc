"""What whoever reads a study's grades should know of its series: what is not used, what is missing, what was chosen.

Series are named by number, plane, weighting and count of slices, never by their descriptions, which may name somebody.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.stacks import SetAside, Stack
from lumbargrade.dicom.variants import WORDS
from lumbargrade.inference.described_series import DescribedSeries, plane_of
from lumbargrade.localization.left_out import LeftOut
from lumbargrade.notes import Note

_MOST_DECODED = 500
"""Series of more slices are not decoded as a whole only to count what cannot be."""
_SAME_DIRECTION = float(np.cos(np.deg2rad(3.0)))
_SAME_PLANE_MM = 0.05


def find_left_out(series: Iterable[DescribedSeries], task: GradingTask) -> list[LeftOut]:
    """The series, or stacks of them, that nothing is located on, in the planes that the task looks at."""
    planes = {series_kind(condition.series).orientation for condition in task.conditions}
    return [one for described in series for one in _left_out(described) if one.orientation in (*planes, None)]


def _left_out(described: DescribedSeries) -> Iterator[LeftOut]:
    images = described.images
    if described.localizer:
        yield LeftOut(described.key, None, "other", described.name(images.stacks), described.localizer, localizer=True)
        return
    by_plane: dict[tuple[str | None, str | None], list[Stack]] = {}
    for stack in images.stacks:
        by_plane.setdefault((plane_of(stack), stack.size_fault), []).append(stack)
    for (plane, fault), stacks in by_plane.items():
        reason = fault
        if described.contrast == "other":
            reason = described.kind.reason
        elif fault is None and plane is None:
            reason = stacks[0].placement_fault
        if reason is None:
            reason = described.emptiness
        if reason is not None:
            orientation = stacks[0].orientation if plane else None
            yield LeftOut(described.key, orientation, described.contrast, described.name(stacks), reason)


def write_notes(series: Sequence[DescribedSeries], left_out: Sequence[LeftOut], task: GradingTask) -> list[Note]:
    """Writes what is to be known of a study's series, one note a cause.

    Args:
        left_out: As :func:`find_left_out` gives it.
    """
    planes = {series_kind(condition.series).orientation for condition in task.conditions}
    notes = [*_left_out_notes(left_out)]
    for described in series:
        if described.localizer or described.contrast == "other":
            continue
        for plane in sorted(planes):
            stacks = [stack for stack in described.images.stacks if stack.orientation == plane and not stack.size_fault]
            if stacks:
                notes += _stack_notes(described, stacks)
        if not any(one.series == described.key and one.reason == described.emptiness for one in left_out):
            notes += _decoding_notes(described)
        notes += _copy_notes(described)
    return notes


def _left_out_notes(left_out: Sequence[LeftOut]) -> Iterator[Note]:
    by_reason: dict[str, list[str]] = {}
    for one in left_out:
        by_reason.setdefault(one.reason, []).append(one.name)
    for reason, names in by_reason.items():
        words = "{series} are not used: {reason}" if len(names) > 1 else "{series} is not used: {reason}"
        yield Note.make("series-left-out", words, series=" and ".join(names), reason=reason)


def _stack_notes(described: DescribedSeries, stacks: Sequence[Stack]) -> Iterator[Note]:
    name = described.name(stacks)
    if described.kind.disagreement:
        yield Note.make(
            "weighting-guessed",
            "{series} is taken for a {contrast}: {reason}",
            series=name,
            contrast=str(described.kind.weighting),
            reason=described.kind.disagreement,
        )
    unplaced = [stack for stack in stacks if stack.placement_fault]
    placed = [stack for stack in stacks if not stack.placement_fault]
    if unplaced:
        count, fault = sum(len(stack.slices) for stack in unplaced), str(unplaced[0].placement_fault)
        words = "in {series}, for {count} of them, {fault}" if placed else "in {series} {fault}"
        yield Note.make("slices-unplaced", words, series=name, count=count, fault=fault)
    if not placed:
        return
    stacks = placed
    missing = _missing(stacks)
    if missing:
        slices = "{count} slices" if missing > 1 else "{count} slice"
        words = f"about {slices} seem to be missing among those of {{series}}: it has gaps"
        yield Note.make("slices-missing", words, count=missing, series=name)


def _missing(stacks: Sequence[Stack]) -> int:
    """About how many slices are missing in the gaps of a series, whose slices may have several shapes."""
    first = stacks[0].slices[0].plane
    merged: list[SliceHeader] = []
    count = 0
    for stack in stacks:
        if abs(float(stack.slices[0].plane.normal @ first.normal)) < _SAME_DIRECTION:
            count += sum(stack.missing)
        else:
            merged += stack.slices
    axis = first.rising_normal
    merged.sort(key=lambda header: float(header.plane.position @ axis))
    apart = [merged[0]]
    for header in merged[1:]:
        if abs(float((header.plane.position - apart[-1].plane.position) @ axis)) > _SAME_PLANE_MM:
            apart.append(header)
    return count + sum(Stack(tuple(apart)).missing)


def _decoding_notes(described: DescribedSeries) -> Iterator[Note]:
    images = described.images
    slices = sum(len(stack.slices) for stack in images.stacks)
    lost = images.count_unreadable() if slices <= _MOST_DECODED or images.unreadable else 0
    if lost:
        yield Note.make(
            "slices-undecodable",
            "{count} of the slices of {series} cannot be decoded and are left out",
            count=lost,
            series=described.name(images.stacks),
        )


def _copy_notes(described: DescribedSeries) -> Iterator[Note]:
    images = described.images
    name = described.name(images.stacks)
    if images.set_aside:
        yield Note.make(
            "images-at-one-place",
            "several images lie at one place in {series}: {taken}",
            series=name,
            taken=_taken(images.set_aside),
        )
    differing = images.count_differing_copies()
    if differing:
        yield Note.make(
            "images-differ-untold",
            "{count} images lie where another one of {series} lies and show something else, though no tag says "
            "what: those of the lowest instance number are used",
            count=differing,
            series=name,
        )


def _taken(aside: Sequence[SetAside]) -> str:
    count = sum(len(one.headers) for one in aside)
    first = aside[0]
    fields = " and ".join(WORDS[field] for field in first.fields)
    return f"they differ in {fields}, those that are used are: {first.taken}, and {count} others are not used"
