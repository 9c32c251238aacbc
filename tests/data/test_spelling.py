"""Tables are read whatever way they write conditions, levels, grades and columns."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.intake.labels import read_label_table
from lumbargrade.data.intake.tables import Rows, write_tables
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.spelling import Spellings
from lumbargrade.data.tables import read_points
from lumbargrade.data.validation.validate import check_dataset
from lumbargrade.errors import InputError

TASK = load_task("rsna2024")

Respell = Callable[[str], str]
WAYS: dict[str, Respell] = {
    "official": lambda text: text,
    "as columns": lambda text: text.lower().replace("/", "_").replace(" ", "_"),
    "capitals": str.upper,
    "words": lambda text: text.replace("_", " ").title(),
    "dashes": lambda text: text.replace("/", "-").replace("_", "-"),
    "spaces around": lambda text: f"  {text} ",
}


def write_dataset(root: Path, respell: Respell) -> None:
    """One study with a grade and a point for each cell, on images that are not there."""
    series = {description: 21 + number for number, description in enumerate(TASK.series)}
    head = ["study_id", *TASK.columns]
    rows = {
        "train.csv": [head, ["11", *["Normal/Mild"] * 24, "Severe"]],
        "train_series_descriptions.csv": [
            ["study_id", "series_id", "series_description"],
            *(["11", str(number), respell(description)] for description, number in series.items()),
        ],
        "train_label_coordinates.csv": [
            ["study_id", "series_id", "instance_number", "condition", "level", "x", "y"],
            *(
                ["11", str(series[c.condition.series]), "1", respell(c.condition.label), respell(c.level), "1", "2"]
                for c in TASK.cells
            ),
        ],
    }
    rows["train.csv"] = [
        ["study_id", *map(respell, TASK.columns)],
        [rows["train.csv"][1][0], *map(respell, rows["train.csv"][1][1:])],
    ]
    for name, lines in rows.items():
        (root / name).write_text("\n".join(",".join(line) for line in lines) + "\n")
    (root / "train_images").mkdir(exist_ok=True)


@pytest.mark.parametrize("way", WAYS)
def test_a_dataset_is_the_same_in_every_spelling(way: str, tmp_path: Path) -> None:
    write_dataset(tmp_path, WAYS[way])
    dataset = open_dataset(tmp_path, TASK)
    assert list(dataset.labels.columns) == ["study_id", *TASK.columns]
    assert dataset.labels.iloc[0].tolist() == [11, *["Normal/Mild"] * 24, "Severe"]
    assert dataset.series["series_description"].tolist() == list(TASK.series)
    cells = list(zip(dataset.points["condition"], dataset.points["level"], strict=True))
    assert cells == [(cell.condition.name, cell.level) for cell in TASK.cells]
    assert len(dataset.used_points()) == 25
    kinds = {found.kind for found in check_dataset(tmp_path, TASK, 1).findings}
    assert kinds == {"study_without_images"}


def test_what_means_nothing_is_refused_in_its_own_spelling(tmp_path: Path) -> None:
    write_dataset(tmp_path, WAYS["as columns"])
    path = tmp_path / "train_label_coordinates.csv"
    path.write_text(path.read_text().replace("l1_l2", "l6_s1", 1))
    with pytest.raises(InputError) as error:
        open_dataset(tmp_path, TASK)
    assert error.value.code == "table-value-invalid"
    assert "line 2: level 'l6_s1' is not a level of task rsna2024" in str(error.value)


def test_a_column_in_two_spellings_is_one_too_many(tmp_path: Path) -> None:
    write_dataset(tmp_path, WAYS["official"])
    path = tmp_path / "train.csv"
    head, row = path.read_text().splitlines()
    path.write_text(f"{head},Spinal Canal Stenosis L1/L2\n{row},Severe\n")
    with pytest.raises(InputError) as error:
        open_dataset(tmp_path, TASK)
    assert error.value.code == "table-column-repeated"


def test_names_that_differ_in_punctuation_only_are_not_confused(rsna: GradingTask) -> None:
    spellings = Spellings.of(("L1/L2", "L1-L2", "L2/L3"))
    assert [spellings.find(text) for text in ("L1/L2", "L1-L2", "l1_l2", "l2_l3")] == [
        "L1/L2",
        "L1-L2",
        "l1_l2",
        "L2/L3",
    ]
    assert not Spellings.of_conditions(rsna).knows("")


def test_points_of_a_study_are_read_in_both_spellings(tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("Study_ID,Series_ID,Instance_Number,Condition,Level,X,Y\n1,2,3,Spinal Canal Stenosis,l5_s1,4,5\n")
    table = read_points(points, TASK)
    assert table[["condition", "level", "x"]].to_dict("records") == [
        {"condition": "spinal_canal_stenosis", "level": "L5/S1", "x": 4.0}
    ]


def test_grades_for_new_studies_come_in_any_spelling(tmp_path: Path) -> None:
    path = tmp_path / "grades.csv"
    columns = ",".join(WAYS["words"](column) for column in TASK.columns)
    path.write_text(f"accession_number,{columns}\nA1,severe{',' * 24}\n")
    table = read_label_table(path, TASK)
    assert (table.key, table.grades) == ("AccessionNumber", {"A1": {TASK.columns[0]: "Severe"}})


def test_rows_are_added_to_a_table_of_another_spelling(tmp_path: Path) -> None:
    write_dataset(tmp_path, WAYS["words"])
    row = {"study_id": 12, "spinal_canal_stenosis_l1_l2": "Severe"}
    write_tables(tmp_path, TASK, Rows([row], [], [], []), {11: {"spinal_canal_stenosis_l2_l3": "Moderate"}})
    labels = open_dataset(tmp_path, TASK).labels.set_index("study_id")
    assert labels.loc[12, "spinal_canal_stenosis_l1_l2"] == "Severe"
    assert labels.loc[12].notna().sum() == 1
    assert labels.loc[11, "spinal_canal_stenosis_l2_l3"] == "Moderate"
    assert len(pd.read_csv(tmp_path / "train.csv").columns) == 26
