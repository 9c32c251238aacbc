import io
import re
from pathlib import Path

import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import RsnaDataset, dicom_files, open_dataset
from lumbargrade.data.tables import read_points
from lumbargrade.errors import InputError

TASK = load_task("disc_degeneration")
RSNA = load_task("rsna2024")

LABELS = """\
study_id,disc_degeneration_l1_l2,disc_degeneration_l2_l3,disc_degeneration_l3_l4,disc_degeneration_l4_l5,disc_degeneration_l5_s1
11,Normal/Mild,Normal/Mild,Moderate,Severe,
12,Normal/Mild,,Moderate,Severe,Severe
"""
SERIES = "study_id,series_id,series_description\n11,21,Sagittal T2/STIR\n12,22,Sagittal T2/STIR\n"
POINTS = (
    "study_id,series_id,instance_number,condition,level,x,y\n"
    "11,21,3,Disc Degeneration,L1/L2,191.0,72.5\n"
    "12,22,1,disc_degeneration,L5/S1,10,20\n"
)
SPIDER = Path(__file__).parents[3] / "shared" / "data" / "spider"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text(LABELS)
    (tmp_path / "train_series_descriptions.csv").write_text(SERIES)
    (tmp_path / "train_label_coordinates.csv").write_text(POINTS)
    (tmp_path / "train_images" / "11" / "21").mkdir(parents=True)
    return tmp_path


def change(root: Path, table: str, old: str, new: str) -> None:
    path = root / table
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_opens_tables_with_types(root: Path) -> None:
    dataset = open_dataset(root, TASK)
    assert isinstance(dataset, RsnaDataset)
    assert dataset.labels["study_id"].tolist() == [11, 12]
    assert dataset.labels["study_id"].dtype == "int64"
    assert dataset.labels["disc_degeneration_l4_l5"].tolist() == ["Severe", "Severe"]
    assert dataset.labels["disc_degeneration_l5_s1"].isna().tolist() == [True, False]
    assert dataset.series["series_id"].tolist() == [21, 22]
    assert dataset.points["condition"].tolist() == ["disc_degeneration", "disc_degeneration"]
    assert dataset.points["y"].tolist() == [72.5, 20.0]
    assert dataset.points.dtypes[["study_id", "series_id", "instance_number"]].tolist() == ["int64"] * 3


def test_tables_may_have_any_column_order_a_byte_order_mark_and_blank_lines(root: Path) -> None:
    text = "\ufeffseries_id,study_id,series_description\n\n21,11, Sagittal T2/STIR \n"
    (root / "train_series_descriptions.csv").write_text(text, encoding="utf-8")
    series = open_dataset(root, TASK).series
    assert series.to_dict("records") == [{"study_id": 11, "series_id": 21, "series_description": "Sagittal T2/STIR"}]


def test_files_are_in_the_order_of_their_numbers(root: Path) -> None:
    folder = root / "train_images" / "11" / "21"
    for name in ("10.dcm", "9.dcm", "scout.dcm", "100.DCM", "notes.txt", "._9.dcm"):
        (folder / name).touch()
    dataset = open_dataset(root, TASK)
    assert dataset.series_dir(11, 21) == folder
    assert [path.name for path in dataset.files(11, 21)] == ["9.dcm", "10.dcm", "100.DCM", "scout.dcm"]
    assert dicom_files(root / "absent") == []


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "train.csv",
            "disc_degeneration_l5_s1",
            "disc_degeneration_s1_s2",
            "train.csv has column 'disc_degeneration_s1_s2', which task disc_degeneration does not know; remove the column",
        ),
        (
            "train.csv",
            "disc_degeneration_l5_s1",
            "spinal_canal_stenosis_l5_s1",
            "train.csv has column 'spinal_canal_stenosis_l5_s1', which task disc_degeneration does not know; "
            "give --task rsna2024 if that is what the dataset is for, or remove the column",
        ),
        (
            "train.csv",
            "disc_degeneration_l5_s1",
            "study_id",
            "train.csv has no column 'disc_degeneration_l5_s1', which task disc_degeneration needs; add it",
        ),
        (
            "train.csv",
            "12,Normal/Mild,,Moderate",
            "12,Normal/Mild,Mild,Moderate",
            "train.csv line 3: disc_degeneration_l2_l3 'Mild' is not a grade of task disc_degeneration; "
            "use Normal/Mild, Moderate, Severe, or leave it empty where there is no grade",
        ),
        ("train.csv", "\n12,", "\n11,", "train.csv line 3: study_id 11 is already on line 2; remove one of the lines"),
        (
            "train.csv",
            "\n11,",
            "\n11.0,",
            "train.csv line 2: study_id '11.0' is not a whole number; give it without a point, a sign or leading zeros",
        ),
        (
            "train.csv",
            "Severe,Severe\n",
            "Severe\n",
            "train.csv line 3 has 5 fields where the header has 6; mend or remove the line",
        ),
        (
            "train_series_descriptions.csv",
            "12,22,",
            "11,21,",
            "train_series_descriptions.csv line 3: study_id 11 series_id 21 is already on line 2; "
            "remove one of the lines",
        ),
        (
            "train_series_descriptions.csv",
            "22,Sagittal T2/STIR",
            "22,",
            "train_series_descriptions.csv line 3: series_description '' is empty; fill it in or remove the row",
        ),
        (
            "train_label_coordinates.csv",
            "3,Disc Degeneration",
            "3,Spinal Canal Stenosis",
            "train_label_coordinates.csv line 2: condition 'Spinal Canal Stenosis' is not a condition of task "
            "disc_degeneration, which has Disc Degeneration; give --task rsna2024 if that is what the dataset is for",
        ),
        (
            "train_label_coordinates.csv",
            "3,Disc Degeneration",
            "3,Disk",
            "train_label_coordinates.csv line 2: condition 'Disk' is not a condition of task "
            "disc_degeneration, which has Disc Degeneration; correct or remove the row",
        ),
        (
            "train_label_coordinates.csv",
            "L1/L2",
            "L6/S1",
            "train_label_coordinates.csv line 2: level 'L6/S1' is not a level of task disc_degeneration, "
            "which has L1/L2, L2/L3, L3/L4, L4/L5, L5/S1",
        ),
        (
            "train_label_coordinates.csv",
            "191.0",
            "nan",
            "train_label_coordinates.csv line 2: x 'nan' is not a coordinate; give a number of pixels or remove the row",
        ),
        (
            "train_label_coordinates.csv",
            ",20\n",
            ",\n",
            "train_label_coordinates.csv line 3: y '' is not a coordinate; give a number of pixels or remove the row",
        ),
        (
            "train_label_coordinates.csv",
            "21,3,",
            "21,03,",
            "train_label_coordinates.csv line 2: instance_number '03' is not a whole number; "
            "give it without a point, a sign or leading zeros",
        ),
    ],
)
def test_faults_are_named_with_their_place(root: Path, table: str, old: str, new: str, message: str) -> None:
    change(root, table, old, new)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        open_dataset(root, TASK)


def test_first_line_of_several_wrong_ones_is_named(root: Path) -> None:
    change(root, "train_label_coordinates.csv", "12,22,1", "12,22,one")
    change(root, "train_label_coordinates.csv", "L1/L2", "Th12/L1")
    with pytest.raises(InputError, match=r"line 2: level 'Th12/L1' .*L5/S1 \(and 1 more line\)$"):
        open_dataset(root, TASK)


@pytest.mark.parametrize("table", ["train.csv", "train_series_descriptions.csv", "train_label_coordinates.csv"])
def test_missing_empty_and_unreadable_tables(root: Path, table: str) -> None:
    (root / table).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(
        InputError, match=rf"^{table} is not a comma-separated table in UTF-8 .*; export it as CSV UTF-8$"
    ):
        open_dataset(root, TASK)
    (root / table).write_text("")
    with pytest.raises(InputError, match=rf"^{table} is empty; its first line must name the columns study_id, "):
        open_dataset(root, TASK)
    (root / table).unlink()
    with pytest.raises(InputError, match=rf"{table} does not exist; it must be a CSV table with study_id, "):
        open_dataset(root, TASK)
    (root / table).mkdir()
    with pytest.raises(InputError, match=rf"{table} cannot be read \(Is a directory\); check the file"):
        open_dataset(root, TASK)


def test_dataset_without_studies_or_images(root: Path) -> None:
    with pytest.raises(
        InputError, match=r"absent does not exist; give a folder that holds train.csv and train_images$"
    ):
        open_dataset(root / "absent", TASK)
    (root / "train_images").rename(root / "images")
    with pytest.raises(InputError, match=r"has no folder train_images; put images there as <study_id>/"):
        open_dataset(root, TASK)
    (root / "train.csv").write_text(LABELS.splitlines()[0] + "\n")
    with pytest.raises(InputError, match=r"train.csv holds no studies; it needs one row a study under its header$"):
        open_dataset(root, TASK)


def test_points_come_from_a_stream_too() -> None:
    points = read_points(io.StringIO(POINTS), TASK)
    assert points["instance_number"].tolist() == [3, 1]
    header_only = read_points(io.StringIO(POINTS.splitlines()[0]), TASK)
    assert header_only.empty
    assert header_only.dtypes.equals(points.dtypes)
    with pytest.raises(
        InputError, match=r"^points.csv has no column 'x', which task .* needs \(and 1 more column\); add"
    ):
        read_points(io.StringIO("study_id,series_id,instance_number,condition,level\n"), TASK)


def test_a_third_task_needs_no_code() -> None:
    task = GradingTask(
        name="modic",
        title="Modic changes",
        levels=("L4/L5",),
        grades=("Absent", "Present"),
        grade_weights=(1, 1),
        conditions=({"name": "modic", "label": "Modic Change", "group": "modic", "series": "Sagittal T1"},),
    )
    text = "study_id,series_id,instance_number,condition,level,x,y\n1,2,3,Modic Change,L4/L5,4,5\n"
    assert read_points(io.StringIO(text), task)["condition"].tolist() == ["modic"]


@pytest.mark.skipif(not SPIDER.is_dir(), reason="the SPIDER studies are not beside the project")
def test_real_studies() -> None:
    dataset = open_dataset(SPIDER, TASK)
    grades = dataset.labels[list(TASK.columns)].stack().value_counts()
    assert grades.to_dict() == {"Normal/Mild": 129, "Moderate": 96, "Severe": 95}
    assert len(dataset.points) == 499
    assert all(dataset.files(row.study_id, row.series_id) for row in dataset.series.itertuples())
    assert pd.Series(dataset.points["condition"].unique()).tolist() == ["disc_degeneration"]
    with pytest.raises(InputError, match=r"give --task disc_degeneration if that is what the dataset is for"):
        open_dataset(SPIDER, RSNA)
