"""A real MLflow store, and versions without networks: what moves between them needs none."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lumbargrade.audit.log import AuditLog
from lumbargrade.config.task import GradingTask
from lumbargrade.registry.champion import Champion
from lumbargrade.tracking.mlflow_tracker import Tracker

NAME = "lumbargrade-rsna2024"
Register = Callable[..., str]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: MLflow takes seconds to make its tables."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def tracker(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Tracker:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_store, tmp_path / "mlruns/mlflow.db")
    return Tracker(NAME)


@pytest.fixture
def register(tracker: Tracker, tmp_path: Path) -> Register:
    """Registers a version that the gate has judged."""
    tracker.client.create_registered_model(NAME)

    def make(decision: str | None = "needs approval", **tags: str) -> str:
        run = tracker.start_run("search", "search")
        if decision is not None:
            tags |= {"gate.decision": decision, "gate.reason": "as it was told"}
        return str(tracker.client.create_model_version(NAME, str(tmp_path / "model"), run, tags=tags).version)

    return make


@pytest.fixture
def open_champion(tracker: Tracker, rsna: GradingTask) -> Callable[[], Champion]:
    """Opens the champion as the next command would."""
    return lambda: Champion(tracker, rsna, AuditLog())
