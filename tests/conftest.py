"""What several folders of tests share: small datasets, and a small model."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.phantom import generate

if TYPE_CHECKING:  # torch takes seconds, and most tests need none
    from lumbargrade.models.grader import Grader

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A change is judged by the same examples each time; `pytest --hypothesis-profile=default` draws other ones.
settings.register_profile("same examples", derandomize=True)
settings.load_profile("same examples")

SPIDER = Path(__file__).parents[2] / "shared" / "data" / "spider"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-study", action="store_true", help="Try each real-world shape on all studies, not on one.")


@pytest.fixture
def rsna() -> GradingTask:
    return load_task("rsna2024")


@pytest.fixture
def disc() -> GradingTask:
    return load_task("disc_degeneration")


@pytest.fixture
def spider() -> Path:
    """64 real studies; they are not part of the project."""
    if not SPIDER.is_dir():
        pytest.skip("the SPIDER studies are not beside this checkout")
    return SPIDER


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six phantom studies, made once for all test processes; not to be changed."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "phantom"
    with FileLock(shared / "phantom.lock"):
        generate(folder, studies=6, seed=11, workers=1)
    return folder


@pytest.fixture(scope="session")
def graders() -> list["Grader"]:
    """Two untrained graders whose weights are far from each other."""
    import torch

    from lumbargrade.config.params import PrepareParams
    from lumbargrade.models.grader import Grader, GraderConfig

    config = GraderConfig(task=load_task("rsna2024"), prepare=PrepareParams(), crop_mm=44, image_pixels=32)
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        grader = Grader(config).eval()
        torch.nn.init.normal_(grader.cell_bias.weight)
        made.append(grader)
    return made


@pytest.fixture(scope="session")
def model_folder(graders: list["Grader"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graders as a model that MLflow wrote."""
    import mlflow

    from lumbargrade.config.code_digest import PACKAGE
    from lumbargrade.models.bundle import CALIBRATION_NAME, GRADER
    from lumbargrade.models.calibration import Calibration
    from lumbargrade.models.grader import save_grader
    from lumbargrade.registry.package import signature

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
            python_model=str(PACKAGE / "serving" / "pyfunc.py"),
            artifacts={name: str(path) for name, path in paths.items()},
            model_config={"threads": 1},
            signature=signature(graders[0].config.task),
            pip_requirements=[],
        )
    return folder / "model"
