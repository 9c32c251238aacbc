"""By what studies are told apart when a model is judged: the scanner, and age and sex where headers have them.

Nothing that names a patient is read; ages are kept as decades.
"""

import re
from collections.abc import Iterable

from pydicom import Dataset
from pydicom.tag import Tag

from lumbargrade.data.layout import RsnaDataset, first_header

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
        series = dataset.series.loc[dataset.series["study_id"] == study, "series_id"]
        files = (path for number in series for path in dataset.files(study, int(number))[:1])
        for kind, name in _names(first_header(files, _TAGS) or Dataset()).items():
            found[kind][study] = name
    return {kind: names for kind, names in found.items() if len(set(names.values())) > 1}


def _names(header: Dataset) -> dict[str, str]:
    age = str(header.get("PatientAge") or "")
    decade = int(age[:3]) // 10 * 10 if re.fullmatch(r"\d{3}Y", age) else None
    strength = header.get("MagneticFieldStrength")
    return {
        "manufacturer": str(header.get("Manufacturer") or "").strip().title() or UNKNOWN,
        "field_strength": f"{float(strength):g} T" if strength else UNKNOWN,
        "sex": {"F": "female", "M": "male"}.get(str(header.get("PatientSex") or ""), UNKNOWN),
        "age": UNKNOWN if decade is None else f"{decade} to {decade + 9}",
    }
