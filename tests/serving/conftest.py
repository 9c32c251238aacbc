from pathlib import Path

import pandas as pd
import pytest
import torch

from lumbargrade.dataset.bundle import zip_study
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader, GraderConfig
from lumbargrade.params import PrepareParams
from lumbargrade.registry.models import LoadedModel
from lumbargrade.task import GradingTask


@pytest.fixture(scope="session")
def graders() -> list[Grader]:
    """Two untrained graders whose weights are far from each other."""
    from lumbargrade.task import load_task

    config = GraderConfig(task=load_task("rsna2024"), prepare=PrepareParams(), crop_mm=44, image_pixels=32)
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        grader = Grader(config).eval()
        torch.nn.init.normal_(grader.cell_bias.weight)
        made.append(grader)
    return made


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
