"""All series of a study, those that are used and those that are not, with why; and on which slice a cell was graded."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.inference.described_series import describe_series
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.series_notes import find_left_out
from lumbargrade.inference.series_table import (
    SeriesRow,
    describe_row,
    read_series_json,
    tabulate_series,
    write_series_json,
)
from lumbargrade.inference.study import open_study
from lumbargrade.localization.localize import LocatedStudy
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.preprocessing.series import SeriesImages

SHARED = Path(__file__).parents[3] / "shared/data"


def tabulate(folder: Path, task: GradingTask) -> list[SeriesRow]:
    """The rows of a study that nothing was located in."""
    with open_study(folder, task) as study:
        series = [
            describe_series(key, SeriesImages(headers, PrepareParams().percentiles), study.descriptions.get(key))
            for key, headers in study.series.items()
        ]
        return tabulate_series(series, task, {}, LocatedStudy(), find_left_out(series, task), study.torn)


def test_an_answer_names_series_and_slice_and_what_is_not_used(
    zipped: bytes, model: LoadedModel, rsna: GradingTask
) -> None:
    with open_study(zipped, rsna) as study:
        answer = grade_study(model, study)
    assert answer["series_json"].nunique() == 1
    rows = read_series_json(answer["series_json"].iloc[0])
    by_key = {row.series: row for row in rows}
    for record in answer.to_dict("records"):
        row = by_key[record["series"]]
        assert (record["series_number"], record["series_name"]) == (row.number, row.name)
        assert record["condition"] in row.used_for
        assert record["sop_instance_uid"] and record["instance_number"]
    assert {row.name for row in rows if row.used} == {"sagittal T1", "sagittal T2", "axial T2"}
    assert all((row.reason is None) == row.used == (row.reason_code is None) for row in rows)


def test_rows_are_read_as_they_were_written(zipped: bytes, model: LoadedModel, rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        rows = read_series_json(grade_study(model, study)["series_json"].iloc[0])
    assert read_series_json(write_series_json(rows)) == rows
    assert write_series_json([]) is None
    for text in (None, "no JSON", "[{}]"):
        assert read_series_json(text) == ()


@pytest.fixture
def study(phantom: Path, study_id: int, tmp_path: Path) -> Path:
    """A study's folder in a dataset of its own."""
    shutil.copytree(phantom / f"train_images/{study_id}", tmp_path / f"set/train_images/{study_id}")
    shutil.copy(phantom / "train_series_descriptions.csv", tmp_path / "set")
    return tmp_path / f"set/train_images/{study_id}"


def edit(folder: Path, **tags: object) -> None:
    for path in folder.glob("*.dcm"):
        dataset = dcmread(path)
        for name, value in tags.items():
            setattr(dataset, name, value)
        dataset.save_as(path)


def series_of(study: Path, description: str) -> Path:
    table = pd.read_csv(study.parents[1] / "train_series_descriptions.csv")
    rows = table[(table["study_id"] == int(study.name)) & (table["series_description"] == description)]
    return study / str(rows["series_id"].iloc[0])


def test_the_datasets_own_table_counts_before_headers(study: Path, rsna: GradingTask) -> None:
    t1 = series_of(study, "Sagittal T1")
    edit(t1, SeriesDescription="T2", EchoTime=100, RepetitionTime=4000)
    told = {row.series: row for row in tabulate(study, rsna)}
    assert (told[t1.name].weighting, told[t1.name].confidence) == ("T1", 1.0)
    (study.parents[1] / "train_series_descriptions.csv").unlink()
    assert {row.series: row for row in tabulate(study, rsna)}[t1.name].weighting == "T2"


@pytest.mark.parametrize(
    ("tags", "name", "reason"),
    [
        ({"SeriesDescription": "localizador"}, "localizer", "its name says so"),
        ({"SeriesDescription": "PD AX", "EchoTime": 20, "RepetitionTime": 3000}, "axial PD", "proton-density"),
        ({"ScanningSequence": "GR", "EchoTime": 15, "RepetitionTime": 600, "FlipAngle": 25}, "axial gradient echo", "gradient"),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIXON", "FAT"]}, "axial T2 Dixon fat image", "fat image"),
        ({"EchoTime": 10, "RepetitionTime": 600, "ContrastBolusAgent": "X"}, "axial T1 after contrast", "axial T1"),
    ],
)  # fmt: skip
def test_what_is_not_graded_says_why(
    study: Path, rsna: GradingTask, tags: dict[str, object], name: str, reason: str
) -> None:
    (study.parents[1] / "train_series_descriptions.csv").unlink()
    folder = series_of_kind(study)
    edit(folder, SeriesInstanceUID=generate_uid(), SeriesNumber=77, **tags)
    row = next(row for row in tabulate(study, rsna) if row.number == 77)
    assert row.name == name
    assert not row.used
    assert reason in str(row.reason)
    assert describe_row(row, rsna).startswith(f"Series 77, {name}, ")


def series_of_kind(study: Path) -> Path:
    """The folder of the axial series."""
    return next(f for f in study.iterdir() if abs(dcmread(next(f.glob("*.dcm"))).ImageOrientationPatient[0]) > 0.9)


@pytest.mark.skipif(not (SHARED / "real_study").is_dir(), reason="the real study is not beside this checkout")
def test_a_real_study_is_named_as_its_images_show(rsna: GradingTask) -> None:
    rows = tabulate(SHARED / "real_study", rsna)
    assert [(row.number, row.name, row.slices) for row in rows] == [
        (6, "sagittal T2", 11), (7, "sagittal T1", 11), (8, "axial T2", 17), (9, "axial T1", 17), (12, "sagittal STIR", 11),
    ]  # fmt: skip
    assert {row.number for row in rows if row.reason_code == "kind-not-graded"} == {9}
    assert all(row.confidence > 0.9 for row in rows)
