"""What can be said of a file whose header cannot be read: whether it is DICOM, and of which series."""

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import Tag

from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.magic import START_BYTES, looks_like_dicom
from lumbargrade.dicom.modality import MR_CLASSES, read_class, read_modality
from lumbargrade.dicom.parse import bounded_file, parsing
from lumbargrade.dicom.values import read_word

_LAST = Tag("SeriesInstanceUID")
_TAGS = [
    Tag(keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "Modality", "StudyInstanceUID", "SeriesInstanceUID")
]


@dataclass(frozen=True)
class Probe:
    """What the beginning of a damaged file still tells; empty where it does not.

    Attributes:
        mr_class: Whether the SOP class is that of MR images.
    """

    modality: str = ""
    mr_class: bool = False
    sop_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""


def may_be_dicom(start: bytes, suffix: str) -> bool:
    """Whether a file is DICOM by how it begins, or was before it was cut within its empty preamble.

    Args:
        start: Its first :data:`lumbargrade.dicom.magic.START_BYTES`.
        suffix: Of its name; only a file so short that it says nothing is judged by it.
    """
    cut = len(start) < START_BYTES and not start.strip(b"\0") and suffix.lower() == ".dcm"
    return cut or looks_like_dicom(start)


def probe_file(path: Path) -> Probe:
    """Reads a file up to its SeriesInstanceUID, past which it may be damaged or cut."""
    dataset = Dataset()
    try:
        with parsing(path), bounded_file(path) as file:
            dataset = read_partial(file, stop_when=lambda tag, *_: tag > _LAST, force=True, specific_tags=list(_TAGS))
            return Probe(
                modality=read_modality(dataset),
                mr_class=read_class(dataset) in MR_CLASSES,
                sop_uid=str(dataset.get("SOPInstanceUID") or ""),
                study_uid=read_word(dataset, "StudyInstanceUID"),
                series_uid=str(dataset.get("SeriesInstanceUID") or ""),
            )
    except UnreadableFile:
        return Probe()
