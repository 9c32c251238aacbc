"""Headers of images: what is needed to order slices, place them in the patient and choose among them.

Who the patient is is not kept: a digest of it tells files of two patients apart within this process.
"""

from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.tag import Tag

from lumbargrade.dicom.body_part import NAMES, other_part
from lumbargrade.dicom.errors import NotAnImage, UnreadableFile
from lumbargrade.dicom.geometry import Plane, Vector
from lumbargrade.dicom.identity import IDENTITY_TAGS, PatientMark, mark_patient
from lumbargrade.dicom.kind.image_kind import Contrast, ImageKind
from lumbargrade.dicom.kind.judge import judge_kind
from lumbargrade.dicom.kind.tags import KIND_KEYWORDS, KindTags, read_kind_tags
from lumbargrade.dicom.limits import count_images
from lumbargrade.dicom.modality import read_modality
from lumbargrade.dicom.parse import parse_header, parsing
from lumbargrade.dicom.values import find_value, read_integer, read_number, read_positive, read_word
from lumbargrade.dicom.variants import Variant

__all__ = ["NotAnImage", "SliceHeader", "UnreadableFile", "read_headers"]

_TAGS = [
    Tag(keyword) for keyword in (
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesNumber",
        "InstanceNumber", "SeriesDescription", "StudyDate",
        "Modality", "Manufacturer", "MagneticFieldStrength", "Rows", "Columns", "NumberOfFrames", "PixelSpacing",
        "SliceThickness", "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient", "EchoNumbers",
        "TemporalPositionIdentifier", "AcquisitionNumber", "BodyPartExamined", *KIND_KEYWORDS,
    )
]  # fmt: skip
_TAGS += IDENTITY_TAGS

MAX_FRAMES = 10_000
"""Frames of a file; no MR series has more."""

_FAR_MM = 1e6
_LEAST_PIXEL_MM, _LARGEST_PIXEL_MM = 0.05, 10.0
"""A pixel of an MR image is larger than the first and smaller than the second; else its size is not known."""

_NO_NUMBERS = "what is stated of their positions is no place"

_SAGITTAL = (np.array([0.0, 1, 0]), np.array([0.0, 0, -1]))
_AXIAL = (np.array([1.0, 0, 0]), np.array([0.0, 1, 0]))


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """One slice: a file, or a frame of an enhanced multi-frame file.

    Attributes:
        frame: Number of the frame in its file, from 0; None for a file of one slice.
        modality: As the header has it, or as the SOP class tells it; empty if neither does.
        transfer_syntax: UID of the encoding; empty for a file without File Meta Information.
        thickness: mm.
        spacing_known, orientation_known, position_known: Whether the tags say how large a pixel is, how the slice lies
            and where. Elsewhere defaults stand in, which nothing may be measured by; slices are then in the order of
            their instance numbers.
        position_fault: Why a stated position is not believed.
        plane_named: Whether the description names a body plane, by which a slice of unknown orientation is taken to lie.
        field_strength: Tesla.
        between: SpacingBetweenSlices, mm.
        kind: What it shows, as far as the header tells.
        variant: What tells it from other images at its place.
        echo_time, repetition_time: ms.
        other_part: Part of the spine that its name says it shows, if that is not the lumbar one.
        study_date: YYYY-MM-DD; empty if there is none, or none that can be.
        frame_of_reference: FrameOfReferenceUID: only positions of one frame of reference can be compared.
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
    manufacturer: str
    field_strength: float | None
    spacing_known: bool = True
    orientation_known: bool = True
    position_known: bool = True
    position_fault: str | None = None
    plane_named: bool = True
    between: float | None = None
    kind: ImageKind = field(default_factory=ImageKind)
    variant: Variant = field(default_factory=Variant)
    echo_time: float | None = None
    repetition_time: float | None = None
    series_number: int | None = None
    frame_of_reference: str = ""
    study_date: str = ""
    other_part: str | None = None
    patient: PatientMark = field(default=PatientMark(), repr=False)

    @property
    def contrast(self) -> Contrast | None:
        """The weighting as graders tell it; None if the header does not show it."""
        return self.kind.contrast

    @property
    def localizer(self) -> str | None:
        """By what the image is known for a localizer, if it is one."""
        return self.kind.localizer

    @property
    def placed(self) -> bool:
        """Whether it is known how the slice lies and where."""
        return self.orientation_known and self.position_known

    @property
    def plane_known(self) -> bool:
        """Whether position, orientation and spacing are all known."""
        return self.placed and self.spacing_known


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
        each = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
        if frames == 1:
            return [_header(path, dataset, None, [*each[:1], *shared, dataset])]
        return [
            _header(path, dataset, number, [*each[number : number + 1], *shared, dataset]) for number in range(frames)
        ]


def _count_frames(path: Path, dataset: Dataset) -> int:
    with parsing(path):
        frames = int(dataset.get("NumberOfFrames") or 1)
        if not 1 <= frames <= MAX_FRAMES:
            raise UnreadableFile(f"{path.name} claims {frames} frames, which no MR image has", "", "too-many-frames")
        return frames


def _header(path: Path, dataset: Dataset, frame: int | None, groups: list[Dataset]) -> SliceHeader:
    number = read_integer(dataset.get("InstanceNumber"))
    thickness = read_positive(find_value(groups, "PixelMeasuresSequence", "SliceThickness"))
    between = read_positive(find_value(groups, "PixelMeasuresSequence", "SpacingBetweenSlices"))
    description = str(dataset.get("SeriesDescription") or "")
    order = (number or 0) + (frame or 0)
    places = groups if frame is None else groups[:-1]  # a position beside the frames is that of the first one only
    stated = find_value(places, "PlanePositionSequence", "ImagePositionPatient")
    position = _numbers(stated, 3)
    directions = _directions(_numbers(find_value(groups, "PlaneOrientationSequence", "ImageOrientationPatient"), 6))
    spacing = _pixel_size(_numbers(find_value(groups, "PixelMeasuresSequence", "PixelSpacing"), 2))
    tags = read_kind_tags(dataset, groups)
    variant = _variant(dataset, groups, tags)
    return SliceHeader(
        path=path,
        frame=frame,
        study_uid=read_word(dataset, "StudyInstanceUID"),
        series_uid=read_word(dataset, "SeriesInstanceUID"),
        sop_uid=read_word(dataset, "SOPInstanceUID"),
        instance_number=number,
        series_description=description,
        modality=read_modality(dataset),
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID") or ""),
        plane=_plane(dataset, position, directions, spacing, order * (between or thickness or 1.0), description),
        thickness=thickness,
        spacing_known=spacing is not None,
        orientation_known=directions is not None,
        position_known=position is not None,
        position_fault=_NO_NUMBERS if stated and position is None else None,
        plane_named="sag" in description.lower(),
        between=between,
        manufacturer=str(dataset.get("Manufacturer") or ""),
        field_strength=read_positive(dataset.get("MagneticFieldStrength")),
        kind=judge_kind(tags),
        variant=variant,
        echo_time=tags.echo,
        repetition_time=tags.repetition,
        series_number=read_integer(dataset.get("SeriesNumber")),
        frame_of_reference=read_word(dataset, "FrameOfReferenceUID"),
        study_date=_date(read_word(dataset, "StudyDate")),
        other_part=other_part(*(str(dataset.get(keyword) or "") for keyword in NAMES)),
        patient=mark_patient(dataset),
    )


def _date(text: str) -> str:
    digits = text.replace(".", "")  # as ACR-NEMA wrote it
    try:
        return date.fromisoformat(digits).isoformat() if len(digits) == 8 else ""
    except ValueError:
        return ""


def _variant(dataset: Dataset, groups: list[Dataset], tags: KindTags) -> Variant:
    temporal = find_value(groups, "FrameContentSequence", "TemporalPositionIndex")
    return Variant(
        image_type=tags.image_type,
        component=tags.component,
        echo_time=tags.echo,
        echo_number=read_integer(dataset.get("EchoNumbers")),
        inversion_time=tags.inversion,
        b_value=tags.b_value,
        temporal_position=read_integer(temporal or dataset.get("TemporalPositionIdentifier")),
        flip_angle=read_number(find_value(groups, "MRTimingAndRelatedParametersSequence", "FlipAngle")),
        contrast_agent=bool(tags.contrast_agent),
        acquisition=read_integer(dataset.get("AcquisitionNumber")),
    )


def _plane(
    dataset: Dataset,
    position: Vector | None,
    directions: tuple[Vector, Vector] | None,
    spacing: tuple[float, float] | None,
    stand_in: float,
    description: str,
) -> Plane:
    """The plane; ``stand_in`` is the place on the normal if the tags do not say it, mm."""
    row, column = directions or (_SAGITTAL if "sag" in description.lower() else _AXIAL)
    shape = (int(dataset.Rows), int(dataset.Columns))
    plane = Plane(np.zeros(3), row, column, spacing or (1.0, 1.0), shape)
    if position is None or directions is None:
        position = stand_in * plane.rising_normal
    return replace(plane, position=position)


def _pixel_size(spacing: Vector | None) -> tuple[float, float] | None:
    if spacing is None or min(spacing) < _LEAST_PIXEL_MM or max(spacing) > _LARGEST_PIXEL_MM:
        return None
    return float(spacing[0]), float(spacing[1])


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
