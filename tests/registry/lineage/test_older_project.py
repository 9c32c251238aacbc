"""A project that an older release made (commit 67a2602) is verified, shown and traced by this one, wherever it lies now."""

import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lumbargrade.audit.keys import SIGNING_KEY
from lumbargrade.audit.log import AuditLog
from lumbargrade.cli.app import app
from lumbargrade.config.task import load_task
from lumbargrade.registry.lineage.verify import verify
from lumbargrade.registry.versions import open_registry

PACKED = Path(__file__).with_name("project-67a2602.tar.gz")


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(PACKED) as packed:
        packed.extractall(tmp_path, filter="data")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv(SIGNING_KEY, raising=False)
    monkeypatch.setenv("LUMBARGRADE_PROJECT", str(tmp_path / "project"))
    return tmp_path / "project"


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def test_nothing_was_altered(older: Path) -> None:
    done = command("audit", "verify")
    assert done.exit_code == 0, done.stdout
    assert "nothing was altered" in done.stdout


def test_its_version_is_shown(older: Path) -> None:
    shown = json.loads(command("audit", "show", "1", "--json").stdout)
    assert shown["lumbargrade"]["version"] == "1"
    assert "It is not recorded what this model was trained on." in command("audit", "show", "1").stdout


def test_what_is_altered_is_still_found(older: Path) -> None:
    (weights,) = (older / "mlruns/artifacts").rglob("artifacts/grader-00.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    found = verify(open_registry(load_task("rsna2024")), load_task("rsna2024"), AuditLog())
    assert ["grader-00.safetensors" in problem.problem for problem in found.problems] == [True]
