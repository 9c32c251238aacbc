"""Headers of images: what is needed to order slices, place them in the patient and choose among them.

No tag that says who the patient is is read.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.tag import Tag

from lumbargrade.dicom.contrast import Contrast, read_contrast
from lumbargrade.dicom.errors import NotAnImage, UnreadableFile
from lumbargrade.dicom.geometry import Plane, Vector
from lumbargrade.dicom.limits import count_images
from lumbargrade.dicom.parse import parse_header, parsing

__all__ = ["NotAnImage", "SliceHeader", "UnreadableFile", "read_headers"]

_TAGS = [
    Tag(keyword) for keyword in (
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber", "SeriesDescription",
        "Modality", "Manufacturer", "MagneticFieldStrength", "Rows", "Columns", "NumberOfFrames", "PixelSpacing",
        "SliceThickness", "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient",
        "EchoTime", "RepetitionTime", "InversionTime", "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    )
]  # fmt: skip

MAX_FRAMES = 10_000
"""Frames of a file; no MR series has more."""

_FAR_MM = 1e6

_SAGITTAL = (np.array([0.0, 1, 0]), np.array([0.0, 0, -1]))
_AXIAL = (np.array([1.0, 0, 0]), np.array([0.0, 1, 0]))


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """One slice: a file, or a frame of an enhanced multi-frame file.

    Attributes:
        frame: Number of the frame in its file, from 0; None for a file of one slice.
        transfer_syntax: UID of the encoding; empty for a file without File Meta Information.
        thickness: mm.
        plane_known: Whether position, orientation and spacing were all there; else defaults stand in, with slices in
            the order of their instance numbers.
        field_strength: Tesla.
        contrast: The weighting, if the header tells.
        echo_time, repetition_time: ms.
    """

    path: Path
    frame: int | None
    study_uid: str
    series_uid: str
    sop_uid: str
    instance_number: int | None
    series_description: str
    modality: str
    transfer_syntax: str
    plane: Plane
    thickness: float | None
    plane_known: bool
    manufacturer: str
    field_strength: float | None
    contrast: Contrast | None = None
    echo_time: float | None = None
    repetition_time: float | None = None


def read_headers(path: Path) -> list[SliceHeader]:
    """Reads the header of a file, without its pixels: one slice, or one for each frame.

    Raises:
        UnreadableFile: The file is no DICOM file or is damaged.
        NotAnImage: It is a DICOM object without an image.
        InputError: The open study has more images than it may (:mod:`lumbargrade.dicom.limits`).
    """
    dataset = parse_header(path, _TAGS)
    frames = _count_frames(path, dataset)
    count_images(frames, int(dataset.Rows), int(dataset.Columns))
    with parsing(path):
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
        if "PerFrameFunctionalGroupsSequence" not in dataset and frames == 1:
            return [_header(path, dataset, None, [*shared, dataset])]
        each = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
        return [
            _header(path, dataset, number, [*each[number : number + 1], *shared, dataset]) for number in range(frames)
        ]


def _count_frames(path: Path, dataset: Dataset) -> int:
    with parsing(path):
        frames = int(dataset.get("NumberOfFrames") or 1)
        if not 1 <= frames <= MAX_FRAMES:
            raise UnreadableFile(f"{path.name} claims {frames} frames, which no MR image has")
        return frames


def _header(path: Path, dataset: Dataset, frame: int | None, groups: list[Dataset]) -> SliceHeader:
    number = _integer(dataset.get("InstanceNumber"))
    thickness = _positive(_find(groups, "PixelMeasuresSequence", "SliceThickness"))
    gap = _positive(_find(groups, "PixelMeasuresSequence", "SpacingBetweenSlices")) or thickness or 1.0
    description = str(dataset.get("SeriesDescription") or "")
    order = (number or 0) + (frame or 0)
    places = groups if frame is None else groups[:-1]  # a position beside the frames is that of the first one only
    position = _numbers(_find(places, "PlanePositionSequence", "ImagePositionPatient"), 3)
    echo = _positive(_find(groups, "MREchoSequence", "EffectiveEchoTime") or dataset.get("EchoTime"))
    repetition = _positive(_find(groups, "MRTimingAndRelatedParametersSequence", "RepetitionTime"))
    plane, known = _plane(dataset, groups, position, order * gap, description)
    return SliceHeader(
        path=path,
        frame=frame,
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        sop_uid=str(dataset.get("SOPInstanceUID") or ""),
        instance_number=number,
        series_description=description,
        modality=str(dataset.get("Modality") or ""),
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID") or ""),
        plane=plane,
        thickness=thickness,
        plane_known=known,
        manufacturer=str(dataset.get("Manufacturer") or ""),
        field_strength=_positive(dataset.get("MagneticFieldStrength")),
        contrast=read_contrast(description, echo, repetition, _positive(dataset.get("InversionTime"))),
        echo_time=echo,
        repetition_time=repetition,
    )


def _plane(
    dataset: Dataset, groups: list[Dataset], position: Vector | None, stand_in: float, description: str
) -> tuple[Plane, bool]:
    """The plane, and whether the tags gave all of it; ``stand_in`` is the place on the normal if they did not, mm."""
    directions = _directions(_numbers(_find(groups, "PlaneOrientationSequence", "ImageOrientationPatient"), 6))
    spacing = _numbers(_find(groups, "PixelMeasuresSequence", "PixelSpacing"), 2)
    if spacing is not None and min(spacing) <= 0:
        spacing = None
    known = position is not None and directions is not None and spacing is not None
    row, column = directions or (_SAGITTAL if "sag" in description.lower() else _AXIAL)
    between_rows, between_columns = (1.0, 1.0) if spacing is None else (float(spacing[0]), float(spacing[1]))
    shape = (int(dataset.Rows), int(dataset.Columns))
    plane = Plane(np.zeros(3), row, column, (between_rows, between_columns), shape)
    if position is None or directions is None:
        position = stand_in * plane.rising_normal
    return replace(plane, position=position), known


def _find(groups: list[Dataset], sequence: str, keyword: str) -> object:
    """A value from the first functional group that has it, or from the top level of a classic file."""
    for group in groups:
        items = group.get(sequence)
        holder = items[0] if items else group
        value = holder.get(keyword)
        if value is not None:
            return value
    return None


def _directions(cosines: Vector | None) -> tuple[Vector, Vector] | None:
    """Row and column direction as unit vectors at right angles, or nothing if the tag's are far from it."""
    if cosines is None:
        return None
    row, column = cosines[:3], cosines[3:]
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    if min(lengths) < 0.5 or max(lengths) > 2 or abs(float(row @ column)) > 0.05 * lengths[0] * lengths[1]:
        return None
    row = row / lengths[0]
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _numbers(value: object, count: int) -> Vector | None:
    try:
        numbers = np.array([float(part) for part in value], dtype=np.float64)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and (np.abs(numbers) < _FAR_MM).all() else None


def _positive(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) and number > 0 else None


def _integer(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
