import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from lumbargrade.errors import InputError
from lumbargrade.tracking.mlflow_tracker import Tracker


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_the_projects_own_store_is_made_where_the_design_says(tmp_path: Path) -> None:
    tracker = Tracker("here")
    run_id = tracker.start_run("run", "key")
    assert (tmp_path / "mlruns/mlflow.db").is_file()
    assert tracker.client.get_run(run_id).info.artifact_uri.startswith(str(tmp_path / "mlruns/artifacts"))
    assert Tracker("here").experiment_id == tracker.experiment_id


@pytest.mark.slow
def test_a_kill_while_the_stores_tables_are_made_spoils_nothing(tmp_path: Path) -> None:
    killed = """
import os, signal
from sqlalchemy import Engine, event
from lumbargrade.tracking.mlflow_tracker import Tracker

def kill(connection, cursor, statement, *_):
    if "CREATE TABLE spans" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "after_cursor_execute", kill)
Tracker("here")
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -signal.SIGKILL
    Tracker("here").start_run("run", "key")
    assert sorted(each.name for each in (tmp_path / "mlruns").iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_run_is_found_again_by_its_key(empty_project: Path) -> None:
    tracker = Tracker("here")
    run_id = tracker.start_run("run", "key", tags={"colour": "red"})
    tracker.log_params(run_id, {"training": {"epochs": 3}, "seed": 0})
    tracker.log_metrics(run_id, {"loss": 0.5}, step=4)
    tracker.end_run(run_id, "KILLED")
    assert Tracker("here").start_run("run", "key") == run_id
    run = tracker.client.get_run(run_id)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"training.epochs": "3", "seed": "0"}
    assert tracker.last_step(run_id, "loss") == 4
    assert tracker.last_step(run_id, "accuracy") == 0


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (InputError("no", "", "no"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_run_ends_as_its_work_did(empty_project: Path, error: BaseException | None, status: str) -> None:
    tracker = Tracker("here")
    with suppress(InputError, KeyboardInterrupt), tracker.run("run", "key", tags={"colour": "red"}) as run_id:
        assert tracker.client.get_run(run_id).info.status == "RUNNING"
        if error is not None:
            raise error
    run = tracker.find_run("key")
    assert run is not None
    assert (run.info.run_id, run.info.status, run.data.tags["colour"]) == (run_id, status, "red")
    with tracker.run("run", "key") as again:
        assert again == run_id


def test_a_server_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(InputError) as caught:
        Tracker("here")
    assert str(caught.value) == (
        "the MLflow store http://127.0.0.1:9 cannot be used (ConnectionError); start its server, correct "
        "MLFLOW_TRACKING_URI, or unset it to use the project's own database"
    )


@pytest.mark.parametrize("uri", ["sqlite:///file.txt", "nonsense://x"])
def test_a_store_that_is_none_is_told(uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("this is no database, whatever its name says, and it is long enough to be read")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError, match=r"the MLflow store .* cannot be used"):
        Tracker("here")
