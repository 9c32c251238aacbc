import socket
from pathlib import Path

import pytest
from filelock import FileLock

from lumbargrade.config.project import current_project
from lumbargrade.config.task import load_task
from lumbargrade.errors import InputError
from lumbargrade.operations.addresses import Addresses, read_addresses, write_addresses
from lumbargrade.operations.services import ServerSettings, plan_parts, run_server
from lumbargrade.operations.status import read_status


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_a_taken_port_is_named_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError) as error:
            run_server(ServerSettings(prefect_port=1, mlflow_port=port), print)
    assert str(error.value).startswith("something listens at port ") and read_addresses() is None
    assert capsys.readouterr().out == ""


def test_one_server_a_project() -> None:
    lock = current_project().server_lock
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(InputError) as error:
        run_server(ServerSettings(), print)
    assert str(error.value) == "the server of this project runs already; see `lumbargrade status`"


def test_parts_and_their_order() -> None:
    addresses, parts = plan_parts(ServerSettings(reading_room_port=8080))
    assert addresses.mlflow == "http://127.0.0.1:5000"
    after = {part.name: part.after for part in parts}
    assert after["worker"] == ("deployments", "mlflow") and after["reading-room"] == ("model",)


def test_a_store_elsewhere_needs_no_mlflow_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
    addresses, parts = plan_parts(ServerSettings())
    assert addresses.mlflow == "http://mlflow.example.org"
    assert [part.name for part in parts] == ["prefect", "deployments", "model", "worker"]


def test_a_status_says_whether_anybody_would_start_a_part_again(project: Path) -> None:
    write_addresses(
        Addresses(prefect="http://127.0.0.1:9/api", mlflow="http://127.0.0.1:9", model="http://127.0.0.1:9")
    )
    task = load_task("rsna2024")
    assert ("supervisor", "down") in {(part.name, part.state) for part in read_status(task).parts}
    with FileLock(current_project().server_lock):
        assert ("supervisor", "ready") in {(part.name, part.state) for part in read_status(task).parts}
