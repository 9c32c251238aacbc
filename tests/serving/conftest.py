import warnings
from pathlib import Path

import pandas as pd
import pytest
import torch

from lumbargrade.dataset.bundle import zip_study
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader, GraderConfig, save_grader
from lumbargrade.params import PrepareParams
from lumbargrade.registry.contract import CALIBRATION_NAME, GRADER
from lumbargrade.registry.models import LoadedModel
from lumbargrade.registry.package import signature
from lumbargrade.task import GradingTask
from lumbargrade.training.plan import PACKAGE


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


@pytest.fixture(scope="session")
def model_folder(graders: list[Grader], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graders as a model that MLflow wrote."""
    import mlflow

    folder = tmp_path_factory.mktemp("saved")
    paths = {f"{GRADER}{number:02d}": folder / f"{GRADER}{number:02d}.safetensors" for number in range(len(graders))}
    for grader, path in zip(graders, paths.values(), strict=True):
        save_grader(grader, path)
    paths[CALIBRATION_NAME] = folder / f"{CALIBRATION_NAME}.json"
    paths[CALIBRATION_NAME].write_text(Calibration.identity(graders[0].config.task).model_dump_json(), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow warns of type hints of its own
        mlflow.pyfunc.save_model(
            folder / "model",
            python_model=str(PACKAGE / "serving" / "model.py"),
            artifacts={name: str(path) for name, path in paths.items()},
            model_config={"threads": 1},
            signature=signature(graders[0].config.task),
            pip_requirements=[],
        )
    return folder / "model"


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
