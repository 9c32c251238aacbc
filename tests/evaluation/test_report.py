"""The report is one page that needs nothing else; the submission is RSNA's; comparisons say what may be chance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import CELL, truth_table
from lumbargrade.evaluation.compare import compare_predictions
from lumbargrade.evaluation.label_issues import label_suspects
from lumbargrade.evaluation.metrics import evaluate_predictions
from lumbargrade.evaluation.report import report_html, report_pictures
from lumbargrade.evaluation.submission import submission_table
from lumbargrade.preprocessing.pack import PackedCrops
from tests.predictions import official_score


@pytest.fixture
def told(packed: Path, disc: GradingTask) -> tuple[PackedCrops, pd.DataFrame, pd.DataFrame]:
    """Crops, their grades, and predictions that know most of them."""
    crops = PackedCrops(packed / "crops")
    truth = truth_table(crops.index)
    rng = np.random.default_rng(0)
    sure = np.eye(3)[truth["grade"]] * 3 + rng.normal(0, 1, (len(truth), 3))
    likely = np.exp(sure) / np.exp(sure).sum(axis=1, keepdims=True)
    return crops, truth, truth.drop(columns="grade").assign(**dict(zip(disc.grade_columns, likely.T, strict=True)))


def test_the_page_holds_all_parts_and_loads_nothing(
    told: tuple[PackedCrops, pd.DataFrame, pd.DataFrame], disc: GradingTask
) -> None:
    crops, truth, predictions = told
    scanner = {study: ("A" if study % 2 else "<B>") for study in range(24)}
    sets = predictions[list(disc.grade_columns)].to_numpy() > 0.1
    evaluation = evaluate_predictions(disc, truth, predictions, sets, 0.9, {"manufacturer": scanner})
    pictures = report_pictures(disc, evaluation, truth, predictions, crops)
    assert list(pictures)[:2] == ["Confusion", "Reliability"]
    worst = pictures["The 20 cells whose true grade was held least likely (right sides are mirrored)"]
    assert len([axes for axes in worst.axes if axes.images]) == 20
    other = predictions.assign(normal_mild=1 / 3, moderate=1 / 3, severe=1 / 3)
    against = compare_predictions(disc, truth, predictions, other)
    page = report_html("Model 3", disc, evaluation, pictures, against, "models:/a/2")
    for part in (
        "<h1>Model 3</h1>",
        "By level",
        "By manufacturer",
        "&lt;B&gt;",
        "Against models:/a/2",
        "promised 90.0%",
    ):
        assert part in page
    assert page.count('src="data:image/png;base64,') == 3
    assert "http" not in page
    assert f"{evaluation.score:.3f}" in page


def test_the_page_of_one_study_has_no_intervals(
    told: tuple[PackedCrops, pd.DataFrame, pd.DataFrame], disc: GradingTask
) -> None:
    _, truth, predictions = told
    one = truth[truth["study_id"] == truth["study_id"].iloc[0]]
    page = report_html("One", disc, evaluate_predictions(disc, one, predictions), {})
    assert "<td>accuracy</td>" in page
    assert " to " not in page.partition("<h2>")[0].partition("<table>")[2]


def test_a_difference_has_an_interval_and_no_difference_may_be_chance(
    told: tuple[PackedCrops, pd.DataFrame, pd.DataFrame], disc: GradingTask
) -> None:
    _, truth, predictions = told
    same = compare_predictions(disc, truth, predictions, predictions)
    assert same["score"].interval == (0.0, 0.0)
    assert not same["score"].certain
    unknowing = predictions.assign(normal_mild=1 / 3, moderate=1 / 3, severe=1 / 3)
    better = compare_predictions(disc, truth, predictions, unknowing)
    assert better["score"].certain
    assert better["score"].first < better["score"].second
    assert better["accuracy"].first == pytest.approx(evaluate_predictions(disc, truth, predictions).accuracy)
    assert better["score"].first == pytest.approx(evaluate_predictions(disc, truth, predictions).score)


def test_the_submission_has_a_row_for_every_cell_in_alphabetical_order(rsna: GradingTask) -> None:
    cell = {"study_id": 7, "condition": "spinal_canal_stenosis", "level": "L4/L5"}
    told = pd.DataFrame([{**cell, "normal_mild": 0.5, "moderate": 0.25, "severe": 0.25}])
    table = submission_table(rsna, told, [7, 30])
    assert list(table.columns) == ["row_id", "normal_mild", "moderate", "severe"]
    assert len(table) == 50
    assert list(table["row_id"]) == sorted(table["row_id"])
    assert table["row_id"].iloc[0] == "30_left_neural_foraminal_narrowing_l1_l2"
    row = table.set_index("row_id").loc["7_spinal_canal_stenosis_l4_l5"]
    np.testing.assert_allclose(row, np.array([0.5, 0.5, 1.0]) / 2.0)
    unknown = table.set_index("row_id").loc["30_spinal_canal_stenosis_l4_l5"]
    np.testing.assert_allclose(unknown, np.array([1, 2, 4]) / 7)
    truth = pd.DataFrame([{**cell, "grade": 2}])
    weighted = told.assign(**{name: row[name] for name in rsna.grade_columns})
    expected = official_score(rsna, truth, weighted).total
    assert evaluate_predictions(rsna, truth, told).score == pytest.approx(expected)


def test_labels_that_are_held_unlikely_are_listed_and_no_others(rsna: GradingTask) -> None:
    keys = pd.DataFrame([(7, "spinal_canal_stenosis", level) for level in rsna.levels], columns=list(CELL))
    truth = keys.assign(grade=[0, 0, 2, 1, 2])
    likely = np.array([[0.9, 0.05, 0.05], [0.04, 0.16, 0.8], [0.05, 0.05, 0.9], [0.98, 0.01, 0.01], [0.2, 0.74, 0.06]])
    calibrated = keys.iloc[:4].assign(**dict(zip(rsna.grade_columns, likely[:4].T, strict=True)))
    listed = label_suspects(rsna, truth, calibrated)
    assert listed.to_dict("records") == [
        {
            "study_id": 7, "condition": "spinal_canal_stenosis", "level": "L4/L5",
            "labelled": "Moderate", "likeliest": "Normal/Mild", "probability": 0.01,
        },
        {
            "study_id": 7, "condition": "spinal_canal_stenosis", "level": "L2/L3",
            "labelled": "Normal/Mild", "likeliest": "Severe", "probability": 0.04,
        },
    ]  # fmt: skip
