"""What several folders of tests share: small datasets, and a project to run in."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from lumbargrade.dataset.phantom import generate
from lumbargrade.task import GradingTask, load_task

os.environ.setdefault("OMP_NUM_THREADS", "1")

SPIDER = Path(__file__).parents[2] / "shared" / "data" / "spider"


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
