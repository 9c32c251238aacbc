"""Folds on a Ray cluster; ``make test-cluster`` installs what the whole story needs."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from types import ModuleType

import psutil
import pytest
import requests
from mlflow import MlflowClient

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.training.jobs.ray_cluster import ADDRESS, Cluster, _Outcome, join_cluster, run_on_cluster, share_out
from lumbargrade.training.jobs.spec import Epoch, FoldSpec, read_history, read_result

PROGRAMS = ("initdb", "postgres")
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs `make test-cluster`")
needs_postgresql = pytest.mark.skipif(
    None in [find_spec("psycopg"), *map(shutil.which, PROGRAMS)], reason="needs PostgreSQL and `make test-cluster`"
)


def test_a_fold_takes_a_gpu_where_there_are_any() -> None:
    nodes = [{"CPU": 32.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 4.0}, {"CPU": 8.0}]
    assert share_out(nodes) == Cluster(places=8, cpus=4, gpus=1.0, per_device=1)
    assert share_out(nodes, per_device=2) == Cluster(places=16, cpus=2, gpus=0.5, per_device=2)
    assert share_out(nodes, threads=8) == Cluster(places=6, cpus=8, gpus=1.0, per_device=1)


def test_a_fold_takes_a_machine_where_there_are_no_gpus() -> None:
    assert share_out([{"CPU": 8.0}, {"CPU": 16.0}, {}]) == Cluster(places=3, cpus=8, gpus=0, per_device=2)
    assert share_out([{"CPU": 8.0}], per_device=2) == Cluster(places=2, cpus=4, gpus=0, per_device=2)
    assert share_out([{"CPU": 8.0}], threads=3) == Cluster(places=2, cpus=3, gpus=0, per_device=2)


def test_machines_that_are_too_small_are_told() -> None:
    with pytest.raises(InputError) as caught:
        share_out([{"CPU": 4.0}], threads=8)
    assert str(caught.value) == (
        "no machine of the Ray cluster has 8 cores for a fold; lower training.threads or add machines"
    )


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_a_cluster_without_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, "gpu-1:6379")
    with pytest.raises(InputError) as caught, join_cluster(0, 1):
        pass
    assert str(caught.value) == (
        "RAY_ADDRESS is gpu-1:6379, but Ray is not installed; pip install 'lumbargrade[cluster]', or unset it"
    )


@pytest.mark.cluster
@needs_ray
def test_a_cluster_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv(ADDRESS, address)
    with pytest.raises(InputError) as caught, join_cluster(0, 1):
        pass
    assert str(caught.value) == (
        f"the Ray cluster {address} does not answer (Connection refused); start it, correct RAY_ADDRESS or unset it to train "
        "on this machine"
    )


class _PretendedRay(ModuleType):
    """A cluster with one task, which has ended with an error, or never ends."""

    def __init__(self, ended: bool) -> None:
        super().__init__("ray")
        self.exceptions = ModuleType("ray.exceptions")
        self.exceptions.__dict__.update(RayError=OSError, OutOfMemoryError=MemoryError)
        self.ended = ended
        self.cancelled: list[object] = []

    def remote(self, *_: object) -> "_PretendedRay":
        return self

    def options(self, **_: object) -> "_PretendedRay":
        return self

    def wait(self, tasks: list[object], timeout: float) -> tuple[list[object], list[object]]:
        return (tasks, []) if self.ended else ([], tasks)

    def get(self, _: object) -> _Outcome:
        error = InputError("this machine has another version of Lumbargrade", "install this one", "other-version")
        return _Outcome("second", error.exit_code, error.parts)

    def cancel(self, task: object, force: bool) -> None:
        self.cancelled.append(task)


@pytest.mark.parametrize(("ended", "message"), [(True, "another version"), (False, "was stopped; run again")])
def test_a_fold_that_has_ended_is_not_cancelled(
    spec: FoldSpec, ended: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray aborts the search's process if a task is cancelled while it ends."""
    ray, stop = _PretendedRay(ended), Event()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", ray.exceptions)
    stop.set()
    with pytest.raises(LumbargradeError, match=message):
        run_on_cluster(Cluster(1, 1, 0, 1), spec, None, stop)
    assert ray.cancelled == ([] if ended else [ray])


_SEARCH = """
import os, sys
from pathlib import Path
from prefect import flow
from flows.retrain import _RUNNER, search
from lumbargrade.config.params import Params
from lumbargrade.config.task import load_task
from lumbargrade.search.plan import SearchPlan
from lumbargrade.tracking.mlflow_tracker import Tracker

params = Params.model_validate_json(Path("params.json").read_text())
folder = Path.cwd()
plan = SearchPlan(params, load_task(params.task), {"md5": "abc"}, folder / "crops", folder / "split.csv", folder / "runs")
outcome = flow(name="search", task_runner=_RUNNER)(lambda: search(plan, Tracker("cluster")))()
print("best", outcome.trial)
"""


@pytest.mark.cluster
@needs_ray
@needs_postgresql
def test_a_search_on_two_machines_goes_on_when_one_dies(packed: Path) -> None:
    """PostgreSQL for Optuna and MLflow, MLflow's server, two Ray nodes of one core; one is killed in the midst of a fold."""
    params = {
        "task": "disc_degeneration",
        "prepare": {"crop_mm": 40.0, "pixel_mm": 1.25},
        "split": {"folds": 2},
        "training": {"crop_mm": 36.0, "image_pixels": 32, "epochs": 12, "batch_size": 16, "epoch_crops": 64},
        "search": {"trials": 3, "pruning": "wilcoxon", "space": {"learning_rate": {"low": 1e-4, "high": 1e-2}}},
    }
    (packed / "params.json").write_text(json.dumps(params))
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root.chmod(0o755)
        database = stack.enter_context(postgres(root / "pg"))
        mlflow = stack.enter_context(mlflow_server(f"{database}/mlflow", root / "mlflow"))
        ray_port = free_port()
        stack.enter_context(ray_node(root / "alpha", "alpha", ["--head", f"--port={ray_port}"]))
        beta = stack.enter_context(ray_node(root / "beta", "beta", [f"--address=127.0.0.1:{ray_port}"]))
        environment = {
            **os.environ,
            "RAY_ADDRESS": f"127.0.0.1:{ray_port}",
            "MLFLOW_TRACKING_URI": mlflow,
            "LUMBARGRADE_SEARCH_STORAGE": f"{database}/optuna",
            "PREFECT_HOME": str(root / "prefect"),
        }
        with (root / "search.log").open("w") as log:
            search = subprocess.Popen(
                [sys.executable, "-c", _SEARCH], cwd=packed, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        stack.callback(search.kill)
        cut, before = kill_in_mid_fold(beta, search, root / "search.log")
        assert search.wait(timeout=400) == 0, (root / "search.log").read_text()[-3000:]
        client = MlflowClient(mlflow)
        (experiment,) = client.search_experiments(filter_string="name = 'cluster'")
        runs = client.search_runs([experiment.experiment_id])
    folds = [run for run in runs if run.data.tags["lumbargrade.kind"] == "fold" and run.info.status == "FINISHED"]
    results = [result for path in packed.glob("runs/*/*/fold-*") if (result := read_result(path))]
    assert len(folds) == len(results) == len({run.data.tags["lumbargrade.key"] for run in folds})
    assert {run.data.tags["lumbargrade.host"] for run in folds} <= {"alpha", "beta"}
    assert "RUNNING" not in {run.info.status for run in runs}
    assert sum(run.data.tags["lumbargrade.kind"] == "trial" for run in runs) == 3
    moved = read_result(cut)
    assert moved is not None
    assert moved.host == "alpha"
    assert moved.history()[: len(before)] == before, "a finished epoch was trained again"
    assert not list(packed.glob("runs/*/optuna.log"))


def kill_in_mid_fold(node: psutil.Process, search: subprocess.Popen[bytes], log: Path) -> tuple[Path, list[Epoch]]:
    """Kills a Ray node with ``kill -9`` while it trains; returns the fold's folder and the epochs that were finished."""
    for _ in range(12000):
        assert search.poll() is None, log.read_text()[-3000:]
        for process in node.children(recursive=True):
            try:
                command = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if "lumbargrade.training.worker" in command:
                folder = Path(command[-1])
                epochs = read_history(folder)
                if 2 <= len(epochs) <= 8:
                    for each in [node, *node.children(recursive=True)]:
                        each.kill()
                    return folder, read_history(folder)
        time.sleep(0.05)
    raise AssertionError("the node never trained")


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server with two databases; it refuses to be run by root."""
    user = "nobody" if os.getuid() == 0 else None
    folder.mkdir()
    if user:
        shutil.chown(folder, user)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "user": user, "cwd": folder}
    subprocess.run(["initdb", "--auth=trust", "--username=lumbar", "-D", folder / "data"], check=True, **quiet)
    port = free_port()
    command = ["postgres", "-D", folder / "data", "-p", str(port), "-c", "unix_socket_directories=", "-h", "127.0.0.1"]
    server = subprocess.Popen(command, **quiet)
    try:
        address = f"postgresql+psycopg://lumbar@127.0.0.1:{port}"
        create_databases(port, ("optuna", "mlflow"))
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def create_databases(port: int, names: tuple[str, ...]) -> None:
    import psycopg

    for _ in range(100):
        try:
            with psycopg.connect(
                host="127.0.0.1", port=port, user="lumbar", dbname="postgres", autocommit=True
            ) as base:
                for name in names:
                    base.execute(f"CREATE DATABASE {name}")
            return
        except psycopg.OperationalError:
            time.sleep(0.2)
    raise AssertionError("PostgreSQL did not start")


@contextmanager
def mlflow_server(store: str, artifacts: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--port", str(port)]
    command += ["--artifacts-destination", str(artifacts), "--workers", "1"]
    with (artifacts.parent / "mlflow.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert server.poll() is None, (artifacts.parent / "mlflow.log").read_text()[-3000:]
            try:
                requests.get(f"{address}/health", timeout=1).raise_for_status()
                break
            except requests.RequestException:
                time.sleep(0.3)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@contextmanager
def ray_node(folder: Path, name: str, more: list[str]) -> Iterator[psutil.Process]:
    """A node with one core and a temporary folder, so locks, of its own."""
    folder.mkdir()
    command = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus=1", "--num-gpus=0"]
    command += [f"--node-name={name}", "--object-store-memory=100000000", "--disable-usage-stats", *more]
    if "--head" in more:
        command += ["--include-dashboard=false", f"--temp-dir={folder}"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    node = psutil.Process(process.pid)
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "log.txt").read_text()[-3000:]
            if "Ray runtime started" in (folder / "log.txt").read_text():
                break
            time.sleep(0.2)
        yield node
    finally:
        alive = [*node.children(recursive=True), node] if node.is_running() else []
        for each in alive:
            each.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
