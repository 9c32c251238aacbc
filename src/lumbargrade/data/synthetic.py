"""Which studies of a dataset are synthetic: the mark in their images decides, not the name of a folder."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydicom.tag import Tag

from lumbargrade.data.layout import IMAGES, dicom_files, first_header
from lumbargrade.dicom.synthetic import is_synthetic

_TAGS = [Tag(keyword) for keyword in ("SOPClassUID", "Modality", "DeidentificationMethod", "Rows", "Columns")]


class StudyOrigins(NamedTuple):
    """How many studies are of which origin; ``unknown`` are those without any image that can be read."""

    synthetic: int
    real: int
    unknown: int


def count_origins(root: Path, studies: Iterable[int]) -> StudyOrigins:
    """Counts studies of a dataset by their origin; the first image of each that can be read is looked at."""
    found = Counter(_is_synthetic_study(root / IMAGES / str(study)) for study in studies)
    return StudyOrigins(found[True], found[False], found[None])


def _is_synthetic_study(folder: Path) -> bool | None:
    header = first_header((path for series in sorted(folder.glob("*")) for path in dicom_files(series)), _TAGS)
    return None if header is None else is_synthetic(header)
