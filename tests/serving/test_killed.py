"""`lumbargrade models serve` on a registered, signed version, when its processes are killed: MLflow's own server is below it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest
import requests

from lumbargrade.serving.kept_server import kept_server
from lumbargrade.serving.mlflow_server import running_champion
from lumbargrade.serving.ports import free_port
from tests.projects import Project

from .scoring import wait_until

pytestmark = pytest.mark.slow

BEHIND_A_PROXY = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
"""Which nobody can reach: whatever asks a part of this machine through it gets no answer."""


@dataclass(frozen=True)
class Served:
    """The command, and where its standard error goes."""

    command: psutil.Popen
    address: str
    log: Path

    @property
    def worker(self) -> psutil.Process:
        (worker,) = [each for each in self.command.children(recursive=True) if "uvicorn" in " ".join(each.cmdline())]
        return worker

    def status(self, path: str = "ping") -> int:
        try:
            return requests.get(f"{self.address}/{path}", timeout=60).status_code
        except requests.ConnectionError:
            return 0

    def said(self, words: str) -> bool:
        assert self.command.poll() is None, self.log.read_text()
        return words in self.log.read_text()


@contextmanager
def served(tmp_path: Path, *arguments: str) -> Iterator[Served]:
    port, log = free_port(), tmp_path / "said"
    main = "from lumbargrade.cli import main; main()"
    with log.open("w") as file:
        command = psutil.Popen(
            [sys.executable, "-c", main, "models", "serve", *arguments, "--port", str(port)],
            stderr=file,
            stdout=subprocess.DEVNULL,
            env=os.environ | BEHIND_A_PROXY,
        )
    found = Served(command, f"http://127.0.0.1:{port}", log)
    processes: list[psutil.Process] = []
    try:
        wait_until(lambda: found.said("version 1 answers"), 180)
        yield found
    finally:
        processes = [] if not command.is_running() else command.children(recursive=True)
        command.kill()
        command.wait()
    assert psutil.wait_procs(processes, timeout=60)[1] == [], "whoever kills it leaves nothing behind"


@pytest.mark.parametrize("arguments", [[], pytest.param(["1"], marks=pytest.mark.long)], ids=["champion", "version"])
def test_a_scoring_process_that_is_killed_is_replaced(project: Project, tmp_path: Path, arguments: list[str]) -> None:
    with served(tmp_path, *arguments) as found:
        killed = found.worker
        killed.kill()
        wait_until(lambda: found.status() == 503)
        assert found.status("version") == 503
        wait_until(lambda: found.status() == 200, 180)
        assert found.worker != killed
        said = found.log.read_text()
    assert "version 1: its process was killed by signal 9; it is started again now (restart 1)" in said
    assert project.verify().problems == ()


def test_a_version_that_was_altered_meanwhile_is_not_served_again(project: Project, tmp_path: Path) -> None:
    with served(tmp_path) as found:
        weights = project.model / "artifacts/grader-00.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        found.worker.kill()
        wait_until(lambda: found.said("cannot be started again, and grades nothing: version 1 of"), 180)
        assert found.said("it is not what was signed") and found.status() == 503


def test_a_model_server_that_is_killed_below_the_page_is_replaced_at_its_address(project: Project) -> None:
    port, said = free_port(), list[str]()
    begin = partial(running_champion, "rsna2024", None, port)
    with kept_server(begin, "the model server", said.append, echo=True) as server:
        front = next(each for each in psutil.Process().children() if "serve" in each.cmdline())
        below = front.children(recursive=True)
        front.kill()
        wait_until(lambda: "the model server answers again" in said, 180)
        wait_until(lambda: said.count("version 1 answers") == 2)  # its own lines are passed on
        assert requests.get(f"http://127.0.0.1:{port}/ping", timeout=60).headers["x-model-version"] == "1"
        assert server.address == f"http://127.0.0.1:{port}"
        assert psutil.wait_procs(below, timeout=60)[1] == []
    assert any("the model server: its process was killed by signal 9" in line for line in said)
