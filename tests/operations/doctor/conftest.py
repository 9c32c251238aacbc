import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as it is cloned; nothing in it was run yet, and the environment says nothing of it."""
    made = tmp_path / "project"
    for name in ("params.yaml", "dvc.yaml", "prefect.yaml", ".dvc/config", "data/datasets.yaml"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, made / name)
    monkeypatch.chdir(made)
    for name in ("MLFLOW_TRACKING_URI", "LUMBARGRADE_PROJECT", "LUMBARGRADE_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "none"))
    return made
