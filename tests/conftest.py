"""What several folders of tests share: small datasets, and a project to run in."""

import os
from pathlib import Path

import pytest

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
