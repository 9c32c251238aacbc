"""What MLflow stores of a search: its folds, or the one grader that was distilled from them."""

import warnings
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import open_study
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader, save_grader
from lumbargrade.models.trained_on import TrainedOnStatement, state
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.example import example_study
from lumbargrade.registry.package import register_model
from lumbargrade.registry.resolve import load_model
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.spec import FoldResult
from lumbargrade.training.jobs.student import Student
from tests.candidates import make_candidate
from tests.predictions import FACTS
from tests.projects import NAME


@pytest.fixture
def candidate(graders: list[Grader], rsna: GradingTask, tracker: Tracker, tmp_path: Path) -> Candidate:
    """Two folds, of which the student is like the second: what it says differs from what they say together."""
    folds = []
    for number, grader in enumerate([*graders, graders[1]]):
        folder = tmp_path / f"trained-{number}"
        folder.mkdir()
        save_grader(grader, folder / "model.safetensors")
        folds.append(FoldResult.model_construct(fold=number, folder=folder))
    calibration = tmp_path / "calibration.json"
    calibration.write_text(Calibration.identity(rsna).model_dump_json(), encoding="utf-8")
    return make_candidate(
        rsna,
        student=Student("distilled", folds.pop(), ("one", "two"), "student"),
        folds=tuple(folds),
        calibration=calibration,
        search_run_id=tracker.start_run("search", "search"),
    )


@pytest.mark.slow
def test_a_distilled_version_holds_one_grader_and_answers_as_it_alone(
    tracker: Tracker, candidate: Candidate, graders: list[Grader], rsna: GradingTask, phantom: Path
) -> None:
    zipped = zip_study(phantom, int(next((phantom / "train_images").iterdir()).name))
    with warnings.catch_warnings(action="ignore"):  # MLflow warns of its own use of pandas and type hints
        version = register_model(tracker, candidate, example_study(), {})
        served = mlflow.pyfunc.load_model(f"models:/{NAME}/{version}")
        answer = served.predict(pd.DataFrame({"study": [zipped]}))
    held = load_model(f"models:/{NAME}/{version}")
    assert (held.name, held.facts) == (f"{NAME}/{version}", FACTS)
    assert {TrainedOnStatement.model_validate_json(told) for told in answer["trained_on"]} == {state(FACTS)}
    assert len(held.graders) == 1
    assert len(answer) == 25 and answer["grade"].notna().sum() > 15

    def said(*ours: Grader) -> NDArray[np.float64]:
        with open_study(zipped, rsna) as study:
            graded = grade_study(replace(held, graders=list(ours)), study)
        return graded[list(rsna.grade_columns)].to_numpy(dtype=float)

    told = answer[list(rsna.grade_columns)].to_numpy(dtype=float)
    np.testing.assert_allclose(told, said(graders[1]), atol=1e-6)
    assert np.nanmax(np.abs(told - said(*graders))) > 0.01
