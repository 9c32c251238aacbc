"""Points that anybody may send: bounded, one row said twice is one, and no cell of the table is ever repeated."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.data.tables import read_points
from lumbargrade.dicom.limits import LIMITS
from lumbargrade.errors import InputError
from lumbargrade.inference import grade
from lumbargrade.inference.grade import grade_study, refuse_study
from lumbargrade.inference.points import read_study_points, split_conflicts
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.serving.records.prediction_log import ServingLog
from tests.zips import rezip

NAME = "MEYER^ANNA"


@pytest.fixture
def table(phantom: Path, study_id: int, rsna: GradingTask) -> pd.DataFrame:
    """A study's points as text."""
    points = pd.read_csv(phantom / "train_label_coordinates.csv", dtype=str)
    return points[points["study_id"] == str(study_id)].reset_index(drop=True)


def with_points(zipped: bytes, table: pd.DataFrame | str) -> bytes:
    text = table if isinstance(table, str) else table.to_csv(index=False)
    return rezip(zipped, lambda name: None if name == "points.csv" else name, {"points.csv": text.encode()})


def put(column: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.assign(**{column: [value, *table[column][1:]]})


@pytest.mark.parametrize(
    "spoil",
    [
        *(put(column, NAME) for column in ("study_id", "series_id", "instance_number", "condition", "level", "x", "y")),
        lambda table: table.rename(columns={"x": NAME}),
        lambda table: table.assign(**{NAME: "1"}),
        lambda table: table.to_csv(index=False) + f"{NAME},{NAME}\n",
        lambda table: table.to_csv(index=False) + f'"{NAME}',
        put("x", NAME * 10_000),
        put("level", "L" * 100_000),
    ],
    ids=lambda _: "",
)
def test_nothing_of_the_table_is_said_or_logged(
    spoil: Callable[[pd.DataFrame], pd.DataFrame | str],
    table: pd.DataFrame,
    zipped: bytes,
    rsna: GradingTask,
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError) as caught, open_study(with_points(zipped, spoil(table)), rsna):
        pass
    reason = str(caught.value)
    assert reason.startswith("points.csv ")
    assert "MEYER" not in reason and len(reason) < 400
    log = ServingLog(tmp_path / "answers.jsonl")
    log.append("r", "m/1", b"zip", refuse_study(rsna, reason), rsna)
    assert "MEYER" not in log.path.read_text() and log.path.stat().st_size < 20_000


@pytest.mark.parametrize(("column", "number"), [("series_id", "4711004711"), ("instance_number", "47110815")])
def test_numbers_that_no_image_has_are_not_repeated(
    column: str, number: str, table: pd.DataFrame, zipped: bytes, model: LoadedModel, rsna: GradingTask, tmp_path: Path
) -> None:
    with open_study(with_points(zipped, table.assign(**{column: number})), rsna) as study:
        answer = grade_study(model, study)
    assert answer["grade"].isna().all()
    assert not answer["reason"].str.contains(number).any()
    log = ServingLog(tmp_path / "answers.jsonl")
    log.append("r", "m/1", b"zip", answer, rsna)
    assert number not in log.path.read_text()


def test_the_line_and_the_column_are_said(table: pd.DataFrame, tmp_path: Path, rsna: GradingTask) -> None:
    path = tmp_path / "points.csv"
    put("x", NAME)(table).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"^points\.csv line 2: x is not a coordinate; give a number of pixels"):
        read_study_points(path, rsna)
    table.assign(**{NAME: "1"}).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"^points\.csv has column 8, which task rsna2024 does not know"):
        read_study_points(path, rsna)


def test_a_users_own_table_is_quoted_shortly(table: pd.DataFrame, tmp_path: Path, rsna: GradingTask) -> None:
    path = tmp_path / "train_label_coordinates.csv"
    put("level", "L" * 100_000)(table).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"line 2: level 'L{40}…' is not a level") as caught:
        read_points(path, rsna)
    assert len(str(caught.value)) < 400


def test_files_are_not_named_in_reasons(
    phantom: Path, study_id: int, table: pd.DataFrame, model: LoadedModel, rsna: GradingTask, tmp_path: Path
) -> None:
    """A folder's files may be named after the patient; a number may be the patient's too."""
    series = table["series_id"][0]
    target = tmp_path / "study" / series
    target.mkdir(parents=True)
    table[table["series_id"] == series].to_csv(tmp_path / "study" / "points.csv", index=False)
    for path in (phantom / "train_images" / str(study_id) / series).iterdir():
        content = path.read_bytes()
        (target / f"{NAME} {path.name}").write_bytes(content[:-1000])
    with open_study(tmp_path / "study", rsna) as study:
        answer = grade_study(model, study)
    reasons = answer["reason"].dropna()
    assert reasons.str.contains("the pixels of an image file cannot be decoded").any()
    assert not reasons.str.contains("MEYER|[0-9]+[.]dcm").any()


def test_a_row_that_is_there_a_hundred_times_is_one(
    table: pd.DataFrame, zipped: bytes, model: LoadedModel, rsna: GradingTask
) -> None:
    with open_study(zipped, rsna) as study:
        once = grade_study(model, study)
    with open_study(with_points(zipped, pd.concat([table] * 100)), rsna) as study:
        assert study.points is not None
        assert len(study.points) == len(table)
        pd.testing.assert_frame_equal(grade_study(model, study), once)


def test_more_rows_than_the_tasks_cells_can_have_are_refused(
    table: pd.DataFrame, zipped: bytes, rsna: GradingTask
) -> None:
    first = table.iloc[[0] * (LIMITS.points_per_cell * len(rsna.cells) + 1)]
    many = first.assign(x=[str(number) for number in range(len(first))])
    with (
        pytest.raises(InputError, match=r"points\.csv has 101 different rows, and the 25 cells of task rsna2024"),
        open_study(with_points(zipped, many), rsna),
    ):
        pass


def test_a_table_that_is_too_large_is_not_read(
    table: pd.DataFrame, zipped: bytes, rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumbargrade.inference.points.read_points", lambda *some, **more: pytest.fail("read"))
    large = table.to_csv(index=False) + "\n" * LIMITS.points_bytes
    with (
        pytest.raises(InputError, match=r"points\.csv is larger than 1 MiB"),
        open_study(with_points(zipped, large), rsna),
    ):
        pass


def test_different_points_of_a_cell_in_one_series_are_not_chosen_from(
    table: pd.DataFrame, zipped: bytes, model: LoadedModel, rsna: GradingTask
) -> None:
    other = table.iloc[[0]].assign(x=str(float(table["x"][0]) + 5))
    with open_study(with_points(zipped, pd.concat([table, other])), rsna) as study:
        answer = grade_study(model, study)
    refused = answer[answer["grade"].isna()]
    assert len(refused) == 1
    assert refused["reason"].iloc[0] == "points.csv has different points of this cell in one series; keep one of them"


def test_points_of_a_cell_in_several_series_are_kept() -> None:
    points = pd.DataFrame(
        {"condition": "a", "level": ["l"] * 3 + ["m"], "series_id": [1, 2, 2, 3], "x": [1.0, 2, 3, 4]}
    )
    kept, reasons = split_conflicts(points)
    assert (kept["level"].tolist(), list(reasons)) == (["m"], [("a", "l")])
    kept, reasons = split_conflicts(points.iloc[[0, 1, 3]])
    assert (len(kept), reasons) == (3, {})


@pytest.mark.parametrize("far", ["1e308", "-1e9", "1.79e308", "inf", "nan"])
def test_no_pixel_is_so_far_away(far: str, table: pd.DataFrame, zipped: bytes, rsna: GradingTask) -> None:
    with (
        pytest.raises(InputError, match=r"^points\.csv line 2: x is not a coordinate"),
        open_study(with_points(zipped, put("x", far)(table)), rsna),
    ):
        pass


def test_no_number_that_json_cannot_carry_is_answered(zipped: bytes, model: LoadedModel, rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        assert study.points is not None
        study.points.loc[0, "x"] = 1e308
        study.points.loc[1, "y"] = -1e308
        with np.errstate(all="ignore"):
            answer = grade_study(model, study)
    assert not answer.isin([np.inf, -np.inf]).any().any()


def test_a_network_that_answers_no_number_grades_nothing(
    zipped: bytes, model: LoadedModel, rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        grade,
        "grade_crops",
        lambda graders, crops, cells, seen: (
            seen.append(np.zeros((len(crops), 4), np.float32)) or np.full((len(crops), 3), np.nan)
        ),
    )
    monkeypatch.setattr(grade, "embed", lambda *some: {})
    with open_study(zipped, rsna) as study:
        answer = grade_study(model, study)
    assert answer["grade"].isna().all()
    assert set(answer["reason"]) == {"the model's answer for this cell is not a number"}
    assert answer[list(rsna.grade_columns)].isna().all().all()
