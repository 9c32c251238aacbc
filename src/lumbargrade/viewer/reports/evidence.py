"""What a structured report takes from the study's images: whose they are, and which of them it can refer to.

A report repeats patient and study as the images name them, or no PACS could file it. What is not valid there is mended
or left empty, and an image without valid UIDs is not referred to; a note says each. No value goes into a note.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, MRImageStorage, generate_uid

from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.parse import parsing, read_file
from lumbargrade.errors import InputError
from lumbargrade.notes import Note
from lumbargrade.viewer.reports.header_values import FORMS, Mended, is_canonical_uid, is_uid, read_text

_SIZES = ("Rows", "Columns", "NumberOfFrames")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_MR_IMAGE = re.compile(r".*(MR|SecondaryCapture).*ImageStorage")
"""Classes of images that are graded, by their keywords in DICOM's list."""
_TAGS = [Tag(keyword) for keyword in (*_UIDS, *FORMS, *_SIZES, "SpecificCharacterSet")]


@dataclass(frozen=True, eq=False)
class Evidence:
    """The images that a report refers to.

    Attributes:
        about: Patient and study, each attribute valid or empty, with a StudyInstanceUID.
        images: Headers of the images that can be referred to, by SOPInstanceUID; each has what ``about`` has.
        notes: What is another in the report than in the files, or missing.
    """

    about: Dataset
    images: Mapping[str, Dataset]
    notes: tuple[Note, ...]


def read_evidence(paths: Mapping[str, Path], study_hash: str) -> Evidence:
    """Reads the headers of the images that a report would refer to.

    Args:
        paths: The images' files by SOPInstanceUID, the most important one first.
        study_hash: What names the study if it has no valid StudyInstanceUID.

    Raises:
        InputError: None of them can be read.
    """
    headers = [header for header in map(_read, paths.values()) if header is not None]
    if not headers:
        raise InputError(
            "the images that the structured report refers to cannot be read again",
            "use the PDF, JSON or CSV report",
            "evidence-image-unreadable",
        )
    about, notes = _describe(headers)
    about.StudyInstanceUID, made = _study_uid(headers, study_hash)
    notes += [made] if made else []
    images, more = _refer(headers, about)
    if len(headers) < len(paths):
        more.append(_not_referred(images, "no file of theirs could be read again", "evidence-image-unreadable"))
    uids = [about.StudyInstanceUID]
    uids += [uid for image in images.values() for uid in (image.SeriesInstanceUID, image.SOPInstanceUID)]
    if not all(is_canonical_uid(str(uid)) for uid in uids):
        words = "UIDs of the images are not as DICOM wants them; they are kept, so that a PACS files this report with the images"
        more.append(Note.make("evidence-uids-kept", words))
    return Evidence(about, images, (*notes, *more))


@dataclass(frozen=True)
class _Header:
    """What a file says: its attributes as text, and the sizes of its image, by keyword."""

    texts: dict[str, str]
    sizes: dict[str, int]


def _read(path: Path) -> _Header | None:
    try:
        with parsing(path):
            dataset = read_file(path, _TAGS)
            texts = {keyword: read_text(dataset, keyword) for keyword in (*_UIDS, *FORMS)}
            sizes = {keyword: int(dataset[keyword].value) for keyword in _SIZES if dataset.get(keyword)}
            return _Header(texts | {"SOPClassUID": _class_of(dataset)}, sizes)
    except UnreadableFile:  # its words have the file's name
        return None


def _class_of(dataset: Dataset) -> str:
    """The image's SOP class, from the file's own head where the header has none; empty if it is none of MR."""
    uids = (read_text(dataset, "SOPClassUID"), str(dataset.file_meta.get("MediaStorageSOPClassUID") or ""))
    return next((uid for uid in uids if _MR_IMAGE.fullmatch(UID(uid).keyword)), "")


def _describe(headers: list[_Header]) -> tuple[Dataset, list[Note]]:
    """Patient and study: of each attribute the first valid value of all images, else one that could be mended."""
    about = Dataset()
    notes: list[Note] = []
    for keyword, form in FORMS.items():
        texts = dict.fromkeys(header.texts[keyword] for header in headers if header.texts[keyword])
        best = min(map(form, texts), key=lambda value: value.fault, default=Mended(""))
        setattr(about, keyword, best.text)
        if best.fault and best.text:
            words = "{keyword} of the images is not valid in DICOM and was mended here: {how}"
            notes.append(Note.make("evidence-mended", words, keyword=keyword, how=best.how))
        elif best.fault:
            words = "{keyword} of the images is not valid in DICOM and is left empty here"
            notes.append(Note.make("evidence-left-empty", words, keyword=keyword))
    return about, notes


def _study_uid(headers: list[_Header], study_hash: str) -> tuple[str, Note | None]:
    uid = next(
        (header.texts["StudyInstanceUID"] for header in headers if is_uid(header.texts["StudyInstanceUID"])), None
    )
    if uid is not None:
        return uid, None
    words = "the images have no valid StudyInstanceUID: this report has one of its own, so that a PACS files it apart from them"
    made = str(generate_uid(entropy_srcs=["lumbargrade", "study", study_hash]))
    return made, Note.make("evidence-study-uid-made", words)


def _refer(headers: list[_Header], about: Dataset) -> tuple[dict[str, Dataset], list[Note]]:
    images: dict[str, Dataset] = {}
    unnamed = classless = False
    for header in headers:
        texts = header.texts
        if not is_uid(texts["SOPInstanceUID"]) or not is_uid(texts["SeriesInstanceUID"]):
            unnamed = True
            continue
        image = Dataset()
        image.update(about)
        for keyword, size in header.sizes.items():
            setattr(image, keyword, size)
        image.SeriesInstanceUID, image.SOPInstanceUID = texts["SeriesInstanceUID"], texts["SOPInstanceUID"]
        image.SOPClassUID = UID(texts["SOPClassUID"]) if texts["SOPClassUID"] else MRImageStorage
        classless = classless or not texts["SOPClassUID"]
        images.setdefault(texts["SOPInstanceUID"], image)
    notes = []
    if unnamed:
        why = "SOPInstanceUID or SeriesInstanceUID is not valid there"
        notes.append(_not_referred(images, why, "evidence-image-without-uid"))
    if classless:
        words = "the images have no SOPClassUID, or none that DICOM has for MR; MR Image Storage is taken here"
        notes.append(Note.make("evidence-class-assumed", words))
    return images, notes


def _not_referred(images: Mapping[str, Dataset], why: str, code: str) -> Note:
    which = "some of the study's images" if images else "the study's images"
    return Note.make(code, "this report does not refer to {which}: {why}", which=which, why=why)


def stand_in(about: Dataset) -> Dataset:
    """A header that gives patient and study to a report that can refer to no image; it must not be referred to."""
    image = Dataset()
    image.update(about)
    image.SOPClassUID = MRImageStorage
    image.SeriesInstanceUID = image.SOPInstanceUID = generate_uid(entropy_srcs=["lumbargrade", "no image"])
    return image
