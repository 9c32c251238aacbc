"""A model server that has died is there again soon, and nothing of the old one lives on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.serving import kept_server as kept
from lumbargrade.serving import mlflow_server as server
from lumbargrade.serving.kept_server import kept_server
from lumbargrade.serving.mlflow_server import ScoringServer, running_server
from lumbargrade.serving.ports import free_port

from .scoring import WORKER, Crew, crew, wait_until

pytestmark = pytest.mark.slow

__all__ = ["crew"]


@pytest.mark.parametrize("victim", ["worker", "leader"])
def test_a_server_of_which_a_process_is_killed_is_replaced_as_a_whole(crew: Crew, victim: str) -> None:
    with crew.kept() as server:
        before = [crew.leader(), crew.worker()]
        getattr(crew, victim)().kill()
        wait_until(lambda: len(crew.servers) == 2 and server.is_up)
        assert requests.get(f"{server.address}/ping", timeout=60).status_code == 200
        assert psutil.wait_procs(before, timeout=30)[1] == []
    assert crew.said[0].startswith("version 1: its process was killed by signal 9")
    assert crew.said[0].endswith("it is started again now (restart 1)")
    assert crew.said[1] == "version 1 answers again"


def test_a_server_that_hangs_is_replaced(crew: Crew) -> None:
    with crew.kept() as server:
        hung = crew.worker()
        hung.send_signal(signal.SIGSTOP)
        wait_until(lambda: len(crew.servers) == 2 and server.is_up)
        assert not hung.is_running() or hung.status() == psutil.STATUS_ZOMBIE
    assert crew.said[0].startswith("version 1: its process hangs, and was ended")


def test_a_server_whose_worker_is_dead_is_replaced_though_its_leader_lives_on(crew: Crew) -> None:
    with crew.kept() as server:
        leader, worker = crew.leader(), crew.worker()
        leader.send_signal(signal.SIGSTOP)
        worker.kill()
        wait_until(lambda: len(crew.servers) == 2 and server.is_up)
        assert psutil.wait_procs([leader], timeout=30)[1] == []
    assert crew.said[0].startswith("version 1: its process does not listen any longer, and was ended")


def test_a_server_that_dies_again_and_again_is_started_after_longer_and_longer_pauses(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_FIRST_PAUSE", 0.1)
    with crew.kept() as server:
        for restarts in range(1, 4):
            crew.worker().kill()
            wait_until(lambda: len(crew.said) == 2 * restarts and server.is_up)  # noqa: B023
    whens = [line.split("started again ")[1] for line in crew.said[::2]]
    assert whens == ["now (restart 1)", "in 0.1 s (restart 2)", "in 0.2 s (restart 3)"]


@pytest.mark.parametrize(
    "error", [InputError("its weights were altered", "", "version-altered"), OSError(28, "No space left on device")]
)
def test_a_server_that_cannot_be_started_again_is_down_until_it_can(
    crew: Crew, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_FIRST_PAUSE", 0.1)
    with crew.kept() as server:
        crew.failures = [error, error]
        crew.worker().kill()
        wait_until(lambda: len(crew.said) > 1)
        assert not server.is_up
        wait_until(lambda: len(crew.servers) == 2 and server.is_up)
    failed = [line for line in crew.said if "cannot be started again" in line]
    assert [line.rsplit(" in ", 1)[1] for line in failed] == ["0.1 s", "0.2 s"]
    assert str(error) in failed[0]


def test_lines_that_nobody_can_write_down_leave_the_server_kept(crew: Crew) -> None:
    def tell(line: str) -> None:
        raise BrokenPipeError

    with kept_server(crew.begin, "version 1", tell) as server:
        crew.worker().kill()
        wait_until(lambda: len(crew.servers) == 2 and server.is_up)


def test_a_closed_server_is_not_started_again(crew: Crew) -> None:
    with crew.kept():
        processes = [crew.leader(), crew.worker()]
    assert psutil.wait_procs(processes, timeout=30)[1] == []
    assert (len(crew.servers), crew.said) == (1, [])


def test_what_the_process_says_is_told_in_its_own_lines(crew: Crew) -> None:
    with kept_server(crew.begin, "version 1", crew.said.append, echo=True) as server:
        crew.worker().kill()
        wait_until(lambda: len(crew.servers) == 2 and server.is_up)
    assert crew.said[0].startswith("Exception: Command returned")


KEEPS = """
import sys, time
from lumbargrade.serving.mlflow_server import running_server
with running_server(sys.argv[2:], int(sys.argv[1]), "a test") as server:
    print(server.process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("between", [0, 1], ids=["below it", "below what is below it"])
def test_a_server_ends_with_whoever_started_it_even_if_that_is_killed(tmp_path: Path, between: int) -> None:
    port = free_port()
    keeps = ["-c", KEEPS, str(port)]
    command = [sys.executable, *keeps, *(keeps * between), "-c", WORKER, str(port), str(tmp_path / "asked")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    assert len(family) == 2 * (between + 1), "a server and its guard, each"
    assert psutil.wait_procs(family, timeout=60)[1] == []


def test_a_guard_is_gone_when_its_server_is(crew: Crew) -> None:
    before = set(psutil.Process().children())
    with crew.kept():
        assert len(set(psutil.Process().children()) - before) == 2
    assert set(psutil.Process().children()) <= before


def start_stranger(port: int, folder: Path) -> subprocess.Popen[bytes]:
    stranger = subprocess.Popen([sys.executable, "-c", WORKER, str(port), str(folder / "asked")])
    wait_until(lambda: answers(port))
    return stranger


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_a_port_of_somebody_else_is_named_and_not_used(tmp_path: Path) -> None:
    port = free_port()
    stranger = start_stranger(port, tmp_path)
    try:
        with pytest.raises(InputError, match=f"port {port} cannot be listened at"), running_server([], port, "a test"):
            pytest.fail("used")
    finally:
        stranger.kill()
        stranger.wait()


def test_an_answer_of_somebody_else_is_not_taken_for_the_own_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_refuse_taken", lambda port: None)  # it came between the look and the start
    port = free_port()
    stranger = start_stranger(port, tmp_path)
    waits = ["-c", "import time; time.sleep(3); print('error: the address is in use')"]
    try:
        with pytest.raises(LumbargradeError, match="the address is in use"), running_server(waits, port, "a test"):
            pytest.fail("used")
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(("code", "words"), [("sys.exit(3)", "exit code 3"), ("os.kill(os.getpid(), 15)", "signal 15")])
def test_how_a_process_ended_is_said(code: str, words: str, tmp_path: Path) -> None:
    log = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    with subprocess.Popen([sys.executable, "-c", f"import os, sys; {code}"]) as process:
        process.wait()
    assert words in ScoringServer("http://127.0.0.1:9", process, log).ended()
    os.close(log)
