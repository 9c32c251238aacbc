from pathlib import Path

import numpy as np
import pandas as pd

from lumbargrade.dataset.layout import open_dataset
from lumbargrade.models.grader import Grader
from lumbargrade.prepare.pack import PackedCrops, pack_crops
from lumbargrade.serving.grade import grade_study, refuse_study
from lumbargrade.serving.study import open_study
from lumbargrade.task import GradingTask
from lumbargrade.training.predict import predict_studies


def test_serving_sees_what_training_saw(
    phantom: Path, zipped: bytes, study_id: int, graders: list[Grader], rsna: GradingTask, tmp_path: Path
) -> None:
    pack_crops(open_dataset(phantom, rsna), tmp_path / "crops", graders[0].config.prepare)
    packed = PackedCrops(tmp_path / "crops")
    rows = np.flatnonzero(packed.index["study_id"] == study_id)
    trained = predict_studies(graders, packed, rows, rsna).set_index(["condition", "level"])
    with open_study(zipped, rsna) as study:
        served = grade_study(graders, [], study).set_index(["condition", "level"])
    columns = list(rsna.grade_columns)
    expected = trained.loc[served.index, columns].to_numpy()
    np.testing.assert_allclose(served[columns].to_numpy(dtype=float), expected, rtol=0, atol=1e-6)


def test_every_cell_is_answered_in_the_tasks_order(zipped: bytes, graders: list[Grader], rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        answer = grade_study(graders, [], study)
    assert list(zip(answer["condition"], answer["level"], strict=True)) == [
        (c.condition.name, c.level) for c in rsna.cells
    ]
    probabilities = answer[list(rsna.grade_columns)].to_numpy(dtype=float)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert list(answer["grade"]) == [rsna.grades[best] for best in probabilities.argmax(axis=1)]
    assert answer["reason"].isna().all()


def test_without_points_every_cell_says_so(
    phantom: Path, study_id: int, graders: list[Grader], rsna: GradingTask
) -> None:
    with open_study(phantom / "train_images" / str(study_id), rsna) as study:
        answer = grade_study(graders, [], study)
    reason = "the model has no locator and the study carries no points.csv, so it is not known where to look"
    assert set(answer["reason"]) == {reason}
    assert answer["grade"].isna().all()


def test_what_can_be_graded_is_graded(zipped: bytes, graders: list[Grader], rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        assert study.points is not None
        t1 = study.points.loc[study.points["condition"].str.contains("foraminal"), "series_id"].iloc[0]
        study.series.pop(str(t1))
        canal = study.points["condition"] == "spinal_canal_stenosis"
        study.points.loc[canal & (study.points["level"] == "L4/L5"), "instance_number"] = 4711
        answer = grade_study(graders, [], study)
    reasons = answer.set_index(["condition", "level"])["reason"]
    assert reasons["left_neural_foraminal_narrowing", "L1/L2"] == (
        f"series {t1} of points.csv is not among the study's images"
    )
    assert reasons["spinal_canal_stenosis", "L4/L5"] == "instance 4711 is not among the series' images"
    assert reasons["spinal_canal_stenosis", "L3/L4"] is None
    assert reasons["left_subarticular_stenosis", "L4/L5"] is None


def test_a_study_that_cannot_be_opened_has_a_row_for_every_cell(rsna: GradingTask) -> None:
    answer = refuse_study(rsna, "it is no zip")
    assert len(answer) == 25
    assert set(answer["reason"]) == {"it is no zip"}
    assert pd.isna(answer["study_id"]).all()
