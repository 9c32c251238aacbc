from pathlib import Path

import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader


@pytest.fixture
def model(graders: list[Grader], rsna: GradingTask) -> LoadedModel:
    return LoadedModel(graders, [], "", Calibration.identity(rsna))


@pytest.fixture
def study_id(phantom: Path, rsna: GradingTask) -> int:
    """A phantom study with a point for each of its 25 cells."""
    points = pd.read_csv(phantom / "train_label_coordinates.csv").groupby("study_id").size()
    return int(points[points >= len(rsna.cells)].index[0])


@pytest.fixture
def zipped(phantom: Path, study_id: int) -> bytes:
    return zip_study(phantom, study_id)
