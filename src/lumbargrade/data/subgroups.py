"""By what studies are told apart when a model is judged: the scanner, and age and sex where headers have them.

Nothing that names a patient is read; ages are kept as decades.
"""

from collections.abc import Iterable
from pathlib import Path

from pydicom import Dataset
from pydicom.tag import Tag

from lumbargrade.data.layout import RsnaDataset, dicom_files
from lumbargrade.dicom.errors import NotAnImage, UnreadableFile
from lumbargrade.dicom.parse import parse_header

UNKNOWN = "unknown"

_TAGS = [
    Tag(keyword) for keyword in ("Rows", "Columns", "Manufacturer", "MagneticFieldStrength", "PatientSex", "PatientAge")
]


def study_subgroups(dataset: RsnaDataset, studies: Iterable[int]) -> dict[str, dict[int, str]]:
    """The subgroup of each study, by kind; kinds that do not tell any studies apart are left out.

    Args:
        studies: A header of each is read.
    """
    found: dict[str, dict[int, str]] = {"manufacturer": {}, "field_strength": {}, "sex": {}, "age": {}}
    for study in studies:
        header = _header(dataset, study)
        for kind, name in _names(header).items():
            found[kind][study] = name
    return {kind: names for kind, names in found.items() if len(set(names.values())) > 1}


def _header(dataset: RsnaDataset, study: int) -> Dataset:
    for series in dataset.series.loc[dataset.series["study_id"] == study, "series_id"]:
        for path in dicom_files(dataset.series_dir(study, int(series)))[:1]:
            header = _read(path)
            if header is not None:
                return header
    return Dataset()


def _read(path: Path) -> Dataset | None:
    try:
        return parse_header(path, _TAGS)
    except (NotAnImage, UnreadableFile):
        return None


def _names(header: Dataset) -> dict[str, str]:
    age = str(header.get("PatientAge") or "")
    strength = header.get("MagneticFieldStrength")
    return {
        "manufacturer": str(header.get("Manufacturer") or "").strip().title() or UNKNOWN,
        "field_strength": f"{float(strength):g} T" if strength else UNKNOWN,
        "sex": {"F": "female", "M": "male"}.get(str(header.get("PatientSex") or ""), UNKNOWN),
        "age": f"{int(age[:3]) // 10 * 10} to {int(age[:3]) // 10 * 10 + 9}" if _in_years(age) else UNKNOWN,
    }


def _in_years(age: str) -> bool:
    return len(age) == 4 and age[:3].isdecimal() and age[3] == "Y"
