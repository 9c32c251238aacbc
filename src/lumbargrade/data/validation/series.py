"""Faults of one series that its headers show: its files, their shapes, order, orientation and geometry."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lumbargrade.data.layout import dicom_files
from lumbargrade.data.validation.report import Finding, finding, first_few
from lumbargrade.dicom.geometry import ORIENTATIONS
from lumbargrade.dicom.headers import NotAnImage, SliceHeader, UnreadableFile, read_headers
from lumbargrade.dicom.modality import is_mr, name_modalities
from lumbargrade.dicom.numbering import number_slices
from lumbargrade.dicom.stacks import Stack, bundle_alike, group_stacks, numbers_along

_ALIKE = 1e-3
_SAME_DIRECTION = float(np.cos(np.radians(2)))
_TOWARD = {("sagittal", 1): "left", ("sagittal", -1): "right", ("axial", 1): "head", ("axial", -1): "feet"}
_TOWARD |= {("coronal", 1): "back", ("coronal", -1): "front"}
_OTHER_PART = re.compile(r"\b(c|t)[-_ ]?(spine|sp)\b|cervic|thorac|\bneck\b|\bHWS\b|\bBWS\b", re.IGNORECASE)
_LUMBAR = re.compile(r"\bl[-_ ]?(spine|sp)\b|lumb|\bLWS\b", re.IGNORECASE)


@dataclass(frozen=True)
class SeriesHeaders:
    """What could be read of a series.

    Attributes:
        files: Its DICOM files, by number.
        unreadable: Files that cannot be read, with the reason.
        not_images: DICOM files without an image.
    """

    series_id: int
    description: str
    files: tuple[Path, ...]
    slices: tuple[SliceHeader, ...]
    unreadable: dict[str, str]
    not_images: tuple[str, ...]

    def find(self, instance_number: int) -> SliceHeader | None:
        """The slice that a table calls by a number: by its file's name or its frame, else by its header."""
        for header, number in self._numbers.items():
            if number == instance_number:
                return header
        return next((header for header in self.slices if header.instance_number == instance_number), None)

    @cached_property
    def _numbers(self) -> dict[SliceHeader, int]:
        return number_slices(self.slices) if self.slices else {}

    @property
    def placed(self) -> tuple[SliceHeader, ...]:
        """Slices of which it is known where they lie."""
        return tuple(header for header in self.slices if header.plane_known)

    @property
    def frame_of_reference(self) -> str:
        """FrameOfReferenceUID of its placed slices; empty if they state none, or several."""
        stated = {header.frame_of_reference for header in self.placed}
        return stated.pop() if len(stated) == 1 else ""

    @cached_property
    def stacks(self) -> list[Stack]:
        """The placed slices, parallel ones together, the largest stack first."""
        return group_stacks(self.placed)


@dataclass(frozen=True)
class SeriesFacts:
    """What the report's tables need to know of a series that has slices."""

    description: str
    files: int
    slices: int
    not_square: bool
    orientation: str
    direction: str
    transfer_syntaxes: dict[str, int]
    manufacturer: str


def read_series_headers(folder: Path, series_id: int, description: str) -> SeriesHeaders:
    """Reads the headers of a series; files that cannot be read are kept with their reasons."""
    files = dicom_files(folder)
    slices: list[SliceHeader] = []
    unreadable: dict[str, str] = {}
    not_images: list[str] = []
    for path in files:
        try:
            slices += read_headers(path)
        except NotAnImage:
            not_images.append(path.name)
        except (UnreadableFile, OSError) as error:
            unreadable[path.name] = str(error)
    return SeriesHeaders(series_id, description, tuple(files), tuple(slices), unreadable, tuple(not_images))


def check_series(study_id: int, series: SeriesHeaders, needed: frozenset[str]) -> Iterator[Finding]:
    """Yields what is wrong with a series that has files.

    Args:
        needed: Names of files on which points lie; those are told of by the check of points.
    """
    faults = [*_files(series, needed), *_images(series), *_instances(series), *_geometry(series)]
    for kind, message in faults:
        yield finding(kind, message, study_id, series.series_id)


def series_facts(series: SeriesHeaders) -> SeriesFacts:
    """Sums up a series that has slices."""
    stack = series.stacks[0] if series.stacks else None
    return SeriesFacts(
        description=series.description,
        files=len(series.files),
        slices=len(series.slices),
        not_square=any(header.plane.shape[0] != header.plane.shape[1] for header in series.slices),
        orientation=stack.orientation if stack else "unknown",
        direction=_direction(stack) if stack else "none",
        transfer_syntaxes=dict(Counter(header.transfer_syntax for header in series.slices)),
        manufacturer=series.slices[0].manufacturer.strip() or "unknown",
    )


def comparable(one: str, other: str) -> bool:
    """Whether positions of two frames of reference can be compared; where a header states none, they are taken to be one."""
    return not one or not other or one == other


def _files(series: SeriesHeaders, needed: frozenset[str]) -> Iterator[tuple[str, str]]:
    unreadable = {name: reason for name, reason in series.unreadable.items() if name not in needed}
    if unreadable:
        name, reason = next(iter(unreadable.items()))
        yield "file_unreadable", f"{len(unreadable)} of {len(series.files)} files, the first is {name}: {reason}"
    if series.not_images:
        yield "file_not_image", f"{first_few(series.not_images)} of {len(series.files)} files"


def _images(series: SeriesHeaders) -> Iterator[tuple[str, str]]:
    others = [header.modality for header in series.slices if not is_mr(header.modality)]
    if others:
        yield "modality_unexpected", f"{name_modalities(others)} of {len(series.slices)} slices"
    if any(
        _OTHER_PART.search(name) and not _LUMBAR.search(name) for name in {h.series_description for h in series.slices}
    ):
        yield "series_elsewhere", "its files speak of the neck or the chest in their SeriesDescription"
    shapes = Counter(header.plane.shape for header in series.slices)
    if len(shapes) > 1:
        each = (f"{count} of {rows} x {columns}" for (rows, columns), count in shapes.most_common())
        yield "shapes_mixed", f"slices of different shape: {first_few(each)} (rows x columns)"
    uids = {header.series_uid for header in series.slices} - {""}
    if len(uids) > 1:
        yield "series_uids_several", f"files of {len(uids)} DICOM series"
    oblong = [header for header in series.slices if not np.isclose(*header.plane.spacing, rtol=_ALIKE, atol=0)]
    if oblong:
        rows, columns = oblong[0].plane.spacing
        size = f"pixels of {rows:.3g} mm between rows and {columns:.3g} mm between columns"
        yield "pixels_not_square", f"{size} in {len(oblong)} of {len(series.slices)} slices"


def _instances(series: SeriesHeaders) -> Iterator[tuple[str, str]]:
    numbers = sorted({int(path.stem) for path in series.files if path.stem.isdecimal()})
    if numbers:
        lacking = numbers[-1] - numbers[0] + 1 - len(numbers)
        if lacking or numbers[0] > 1:
            words = f"{len(numbers)} files are numbered {numbers[0]} to {numbers[-1]}"
            words = f"the only file is number {numbers[0]}" if len(numbers) == 1 else words
            yield "instances_with_gaps", f"{words}, {lacking} numbers between are missing" if lacking else words
    numbered = [h for h in series.slices if h.frame is None and h.instance_number is not None]
    differing = [h for h in numbered if h.path.stem != str(h.instance_number)]
    if differing:
        yield (
            "instances_differ",
            f"{len(differing)} of {len(series.slices)} slices, the first is {differing[0].path.name}",
        )


def _geometry(series: SeriesHeaders) -> Iterator[tuple[str, str]]:
    unplaced = len(series.slices) - len(series.placed)
    if unplaced:
        yield "geometry_missing", f"{unplaced} of {len(series.slices)} slices"
    thickless = sum(header.thickness is None for header in series.slices)
    if thickless:
        yield "thickness_missing", f"{thickless} of {len(series.slices)} slices"
    repeated = len(series.placed) - sum(len(stack.slices) for stack in series.stacks)
    if repeated:
        yield "positions_repeated", f"{repeated} of {len(series.slices)} slices lie where another one lies"
    normals = [stack.slices[0].plane.normal for stack in series.stacks]
    different = bundle_alike(normals, lambda one, other: abs(float(one @ other)) >= _SAME_DIRECTION)
    if len(different) > 1:
        yield "orientations_several", f"slices of {len(different)} orientations"
    if not series.stacks:
        return
    shown = Counter(stack.orientation for stack in series.stacks for _ in stack.slices)
    expected = next((name for name in ORIENTATIONS if name in series.description.lower()), None)
    if expected is not None and 2 * shown[expected] < shown.total():
        each = first_few(f"{count} {name}" for name, count in shown.most_common())
        yield "orientation_unexpected", f"described as {series.description}, but its slices are {each}"
    stack = series.stacks[0]
    if _direction(stack) == "none" and numbers_along(stack) and len(stack.slices) > 1:
        yield "instances_out_of_order", f"in a stack of {len(stack.slices)} slices they neither rise nor fall"


def _direction(stack: Stack) -> str:
    """Where the instance numbers of a stack lead in the patient; ``none`` if they neither rise nor fall with position."""
    steps = np.sign(np.diff(numbers_along(stack) or []))
    if len(steps) == 0 or len(set(steps.tolist())) != 1 or steps[0] == 0:
        return "none"
    first, last = (stack.slices[place].plane.position for place in (0, -1))
    along = (last - first)[ORIENTATIONS.index(stack.orientation)] * steps[0]
    return _TOWARD[stack.orientation, 1 if along > 0 else -1]
