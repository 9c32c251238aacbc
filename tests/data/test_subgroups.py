import shutil
from pathlib import Path

import pydicom

from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.subgroups import study_subgroups


def test_studies_are_told_apart_by_what_headers_have(phantom: Path, rsna: GradingTask, tmp_path: Path) -> None:
    shutil.copytree(phantom, tmp_path / "data")
    dataset = open_dataset(tmp_path / "data", rsna)
    studies = sorted(dataset.labels["study_id"].tolist())
    for place, study in enumerate(studies):
        for path in (tmp_path / "data/train_images" / str(study)).rglob("*.dcm"):
            header = pydicom.dcmread(path)
            header.Manufacturer = ("SIEMENS", "Siemens", "GE MEDICAL")[place % 3]
            header.MagneticFieldStrength = 1.5 if place else None
            header.PatientSex = "F" if place % 2 else "O"
            header.PatientAge = ("047Y", "", "006M")[place % 3]
            header.save_as(path)
    found = study_subgroups(dataset, studies)
    assert [found["manufacturer"][study] for study in studies] == ["Siemens", "Siemens", "Ge Medical"] * 2
    assert [found["field_strength"][study] for study in studies] == ["unknown"] + ["1.5 T"] * 5
    assert [found["sex"][study] for study in studies] == ["unknown", "female"] * 3
    assert [found["age"][study] for study in studies] == ["40 to 49", "unknown", "unknown"] * 2


def test_what_tells_nobody_apart_is_left_out_and_a_damaged_file_is_unknown(
    phantom: Path, rsna: GradingTask, tmp_path: Path
) -> None:
    shutil.copytree(phantom, tmp_path / "data")
    dataset = open_dataset(tmp_path / "data", rsna)
    studies = sorted(dataset.labels["study_id"].tolist())
    for path in (tmp_path / "data/train_images" / str(studies[0])).rglob("*.dcm"):
        path.write_bytes(b"no image")
    found = study_subgroups(dataset, studies)
    assert "sex" not in found
    assert "age" not in found
    assert found["manufacturer"][studies[0]] == "unknown"
