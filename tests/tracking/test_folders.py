"""A project wherever it lies, and wherever it is moved to: real DVC, MLflow, signatures and log."""

import subprocess
import sys
from pathlib import Path

import pytest

ODD = "a b#ü:';&[~]$骨"
MAKE = """
import sys
from pathlib import Path
from tests.projects import make_project
make_project(Path(sys.argv[1]))
"""
VERIFY = """
from lumbargrade.audit.log import AuditLog
from lumbargrade.config.task import load_task
from lumbargrade.registry.lineage.verify import verify
from lumbargrade.registry.versions import open_registry
task = load_task("rsna2024")
print([str(problem) for problem in verify(open_registry(task), task, AuditLog(), None).problems])
"""


def run(script: str, folder: Path, *arguments: str) -> str:
    """A process of its own, as MLflow keeps what it has opened by its address."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1] if done.stdout else ""


@pytest.mark.slow
def test_a_project_works_in_any_folder_and_in_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / ODD
    folder.mkdir()
    run(MAKE, folder, str(folder))
    assert run(VERIFY, folder) == "[]"
    moved = folder.rename(tmp_path / "moved to #2")
    assert run(VERIFY, moved) == "[]"
    assert [path.name for path in tmp_path.iterdir()] == [moved.name]
