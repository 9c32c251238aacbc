"""The headers of the images that a structured report refers to, as far as the report needs them.

A report repeats patient and study as the images name them, or no PACS could file it. What is not valid there would make
the report invalid, or keep it from being made: it is left empty, and the report says so. No value goes into a message.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, MRImageStorage
from pydicom.valuerep import DA, TM

from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.parse import parsing, read_file
from lumbargrade.errors import InputError

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_TEXTS = (
    "PatientName", "PatientID", "AccessionNumber", "StudyID", "StudyDescription", "ReferringPhysicianName",
)  # fmt: skip
_SEXES = {"M": "M", "F": "F", "O": "O"}
_FORMS: dict[str, Callable[[str], str]] = {
    "PatientBirthDate": lambda value: f"{DA(value):%Y%m%d}",
    "PatientSex": lambda value: _SEXES[value.upper()],
    "StudyDate": lambda value: f"{DA(value):%Y%m%d}",
    "StudyTime": lambda value: value if TM(value) else "",
}
"""Attributes with a form of their own, and what writes a value in it; it raises ValueError or KeyError if it cannot."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
"""Also with leading zeros, which DICOM forbids and archives have."""
_SIZES = ("Rows", "Columns", "NumberOfFrames")
_TAGS = [
    Tag(keyword)
    for keyword in (*_UIDS, *_TEXTS, *_FORMS, *_SIZES, "SOPClassUID", "FrameOfReferenceUID", "SpecificCharacterSet")
]


class Evidence(NamedTuple):
    """An image's header for a report, and what is another in it than in the file, in sentences."""

    header: Dataset
    changes: tuple[str, ...]


def read_evidence(path: Path) -> Evidence:
    """Reads the header of an image that is referred to.

    Raises:
        InputError: An attribute without which no PACS could file the report is missing; the sentence names it.
    """
    try:
        with parsing(path):
            dataset = read_file(path, _TAGS)
            missing = [keyword for keyword in _UIDS if not _is_uid(_text(dataset, keyword))]
            header, changes = _valid(dataset)
    except UnreadableFile as error:  # its words have the file's name
        raise InputError(
            "an image that the structured report refers to cannot be read again",
            "use the PDF, JSON or CSV report",
            "evidence-image-unreadable",
        ) from error
    if missing:
        raise InputError(
            f"the study's files have no valid {' and no valid '.join(missing)}, so no PACS could file a structured "
            "report of it",
            "use the PDF, JSON or CSV report",
            "uids-invalid",
        )
    return Evidence(header, tuple(changes))


def _valid(dataset: Dataset) -> tuple[Dataset, list[str]]:
    header, changes = Dataset(), []
    for keyword in (*_UIDS, *_TEXTS):
        setattr(header, keyword, _text(dataset, keyword))
    for keyword, form in _FORMS.items():
        value, text = "", _text(dataset, keyword)
        try:
            value = form(text) if text else ""
        except (ValueError, KeyError):
            changes.append(f"{keyword} of the images is not valid in DICOM and is left empty here.")
        setattr(header, keyword, value)
    for keyword in _SIZES:
        if dataset.get(keyword):
            setattr(header, keyword, int(dataset[keyword].value))
    if frame := _text(dataset, "FrameOfReferenceUID"):
        header.FrameOfReferenceUID = frame
    header.SOPClassUID = _class_of(dataset) or MRImageStorage
    if _class_of(dataset) is None:
        changes.append("The images have no SOPClassUID; MR Image Storage is taken here.")
    return header, changes


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip("\0 ")


def _is_uid(value: object) -> bool:
    return len(str(value)) <= 64 and _UID.fullmatch(str(value)) is not None


def _class_of(dataset: Dataset) -> UID | None:
    """The image's SOP class, from the file's own head where the header has none."""
    told = (dataset.get("SOPClassUID"), dataset.file_meta.get("MediaStorageSOPClassUID"))
    return next((UID(str(uid)) for uid in told if _is_uid(uid)), None)
