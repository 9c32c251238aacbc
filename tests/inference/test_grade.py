from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.inference.grade import grade_study, refuse_study
from lumbargrade.inference.predict import predict_studies
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.calibration import Calibration, GroupCalibration
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops


def test_serving_sees_what_training_saw(
    phantom: Path, zipped: bytes, study_id: int, model: LoadedModel, rsna: GradingTask, tmp_path: Path
) -> None:
    pack_crops(open_dataset(phantom, rsna), tmp_path / "crops", model.config.prepare)
    packed = PackedCrops(tmp_path / "crops")
    rows = np.flatnonzero(packed.index["study_id"] == study_id)
    trained = predict_studies(model.graders, packed, rows, rsna).set_index(["condition", "level"])
    with open_study(zipped, rsna) as study:
        served = grade_study(model, study).set_index(["condition", "level"])
    columns = list(rsna.grade_columns)
    expected = trained.loc[served.index, columns].to_numpy()
    np.testing.assert_allclose(served[columns].to_numpy(dtype=float), expected, rtol=0, atol=1e-6)


def test_every_cell_is_answered_in_the_tasks_order(zipped: bytes, model: LoadedModel, rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        answer = grade_study(model, study)
    assert list(zip(answer["condition"], answer["level"], strict=True)) == [
        (c.condition.name, c.level) for c in rsna.cells
    ]
    probabilities = answer[list(rsna.grade_columns)].to_numpy(dtype=float)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert list(answer["grade"]) == [rsna.grades[best] for best in probabilities.argmax(axis=1)]
    assert answer["reason"].isna().all()


def test_answers_are_calibrated_and_say_what_else_is_possible(
    zipped: bytes, model: LoadedModel, rsna: GradingTask
) -> None:
    """The calibration makes all cells moderate with 0.7; what is at least that likely is possible."""
    sure = GroupCalibration(scale=0.0, bias=tuple(np.log([0.2, 0.7, 0.1])), thresholds=(0.15, 0.8, 0.15))
    calibration = Calibration(coverage=0.9, cells=1, groups=dict.fromkeys(rsna.groups, sure))
    with open_study(zipped, rsna) as study:
        answer = grade_study(replace(model, calibration=calibration), study)
        refused = grade_study(replace(model, calibration=calibration), study, abstain_above=1)
    np.testing.assert_allclose(answer["moderate"].astype(float), 0.7)
    assert set(answer["grade"]) == {"Moderate"}
    assert set(answer["possible_grades"]) == {"Normal/Mild;Moderate"}
    assert refused["grade"].isna().all()
    assert set(refused["reason"]) == {"not sure enough: may be Normal/Mild or Moderate"}
    np.testing.assert_allclose(refused["moderate"].astype(float), 0.7)


def test_without_points_every_cell_says_so(phantom: Path, study_id: int, model: LoadedModel, rsna: GradingTask) -> None:
    with open_study(phantom / "train_images" / str(study_id), rsna) as study:
        answer = grade_study(model, study)
    reason = "the model has no locator and the study carries no points.csv, so it is not known where to look"
    assert set(answer["reason"]) == {reason}
    assert answer["grade"].isna().all()


def test_what_can_be_graded_is_graded(zipped: bytes, model: LoadedModel, rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        assert study.points is not None
        t1 = study.points.loc[study.points["condition"].str.contains("foraminal"), "series_id"].iloc[0]
        study.series.pop(str(t1))
        canal = study.points["condition"] == "spinal_canal_stenosis"
        study.points.loc[canal & (study.points["level"] == "L4/L5"), "instance_number"] = 4711
        answer = grade_study(model, study)
    reasons = answer.set_index(["condition", "level"])["reason"]
    missing = reasons["left_neural_foraminal_narrowing", "L1/L2"]
    assert missing == "the series that points.csv names is not among the study's images"
    assert reasons["spinal_canal_stenosis", "L4/L5"] == "the point's instance is not among the series' images"
    assert reasons["spinal_canal_stenosis", "L3/L4"] is None
    assert reasons["left_subarticular_stenosis", "L4/L5"] is None


def test_a_study_that_cannot_be_opened_has_a_row_for_every_cell(rsna: GradingTask) -> None:
    answer = refuse_study(rsna, "it is no zip")
    assert len(answer) == 25
    assert set(answer["reason"]) == {"it is no zip"}
    assert pd.isna(answer["study_id"]).all()
