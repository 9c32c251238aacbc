import http.server
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lumbargrade.operations import supervisor as children_module
from lumbargrade.operations.supervisor import Children, Part, end_leftovers
from lumbargrade.serving.mlflow_server import answers

STAYS = (sys.executable, "-c", "import time; time.sleep(600)")


def wait(children: Children, until: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not until():
        assert time.monotonic() < give_up
        children.look()
        time.sleep(0.05)


def pid_of(folder: Path) -> int:
    (found,) = [p.pid for p in psutil.Process().children() if str(folder) in " ".join(p.cmdline())]
    return found


def test_parts_start_after_each_other_and_stop_together(tmp_path: Path) -> None:
    first = tmp_path / "first"
    told: list[str] = []
    makes = (sys.executable, "-c", f"open({str(first)!r}, 'w')")
    needs = (sys.executable, "-c", f"import time; open({str(first)!r}); time.sleep(600)")
    children = Children(
        [Part("needs", needs, after=("makes",)), Part("makes", makes, once=True)], tmp_path, told.append
    )
    wait(children, lambda: children.ready)
    assert told == ["makes: done", "needs: ready"]
    pid = pid_of(first)
    children.stop()
    assert not psutil.pid_exists(pid)
    assert not (tmp_path / "processes.json").exists()


def test_a_part_that_is_killed_is_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    children = Children([Part("part", (*STAYS, str(tmp_path)))], tmp_path, told.append)
    wait(children, lambda: children.ready)
    before = pid_of(tmp_path)
    os.kill(before, signal.SIGKILL)
    wait(children, lambda: len(told) == 3)
    log = tmp_path / "logs" / "part.log"
    assert told[1:] == [f"part: was killed by signal 9; it is started again in 1 s (log: {log})", "part: ready"]
    assert pid_of(tmp_path) != before
    children.stop()


def test_what_a_part_says_is_wrong_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    code = """
import sys
from lumbargrade import last_error
from lumbargrade.errors import InputError
last_error.leave_error(InputError("there is no champion", "", "no-champion"))
sys.exit(2)
"""
    fails = (sys.executable, "-c", code)
    children = Children([Part("model", fails, ready="http://127.0.0.1:9/")], tmp_path, told.append)
    wait(children, lambda: bool(told))
    assert told[0].startswith("model: ended with exit code 2 (there is no champion); it is started again in 1 s")
    children.stop()


def test_what_a_killed_supervisor_has_left_is_ended(tmp_path: Path) -> None:
    children = Children([Part("part", (*STAYS, str(tmp_path)))], tmp_path, lambda line: None)
    wait(children, lambda: children.ready)
    pid = pid_of(tmp_path)
    assert end_leftovers(tmp_path) == ["part"]
    psutil.Process().children()
    assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert end_leftovers(tmp_path) == []
    children.stop()


LEADS = """
import subprocess, sys, time
follower = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(follower.pid, flush=True)
time.sleep(600)
"""


def leader_of(folder: Path) -> tuple[psutil.Process, psutil.Process]:
    leader = psutil.Process(pid_of(folder))
    follower = leader.children()
    deadline = time.monotonic() + 60
    while not follower and time.monotonic() < deadline:
        time.sleep(0.05)
        follower = leader.children()
    return leader, follower[0]


def test_what_a_dead_process_has_started_is_ended_too(tmp_path: Path) -> None:
    children = Children([Part("part", (sys.executable, "-c", LEADS, str(tmp_path)))], tmp_path, lambda line: None)
    wait(children, lambda: children.ready)
    leader, follower = leader_of(tmp_path)
    leader.kill()
    leader.wait()
    assert end_leftovers(tmp_path) == ["part"]
    assert psutil.wait_procs([follower], timeout=60)[1] == []
    children.stop()


def test_what_a_part_that_adopts_has_started_outlives_it(tmp_path: Path) -> None:
    part = Part("worker", (sys.executable, "-c", LEADS, str(tmp_path)), adopts=True)
    children = Children([part], tmp_path, lambda line: None)
    wait(children, lambda: children.ready)
    leader, follower = leader_of(tmp_path)
    leader.kill()
    leader.wait()
    assert end_leftovers(tmp_path) == []
    assert follower.is_running()
    follower.kill()
    children.stop()


def test_what_somebody_else_answers_at_a_parts_address_does_not_make_it_ready(tmp_path: Path) -> None:
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *told: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as stranger:
        thread = threading.Thread(target=stranger.serve_forever, args=(0.05,))
        thread.start()
        address = f"http://127.0.0.1:{stranger.server_port}/"
        children = Children([Part("model", (*STAYS, str(tmp_path)), ready=address)], tmp_path, lambda line: None)
        for _ in range(5):
            children.look()
        assert answers(address) and not children.ready
        children.stop()
        stranger.shutdown()
        thread.join()


def test_a_start_that_takes_long_and_fails_is_no_sign_of_health(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "_HEALTHY_SECONDS", 0.1)
    told: list[str] = []
    fails = (sys.executable, "-c", "import time; time.sleep(0.5); raise SystemExit(2)")
    children = Children([Part("model", fails, ready="http://127.0.0.1:9/")], tmp_path, told.append)
    wait(children, lambda: len(told) == 2)
    children.stop()
    assert ["in 1 s" in told[0], "in 2 s" in told[1]] == [True, True]


def test_a_clock_that_is_set_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = Children([Part("part", (*STAYS, str(tmp_path)))], tmp_path, lambda line: None)
    wait(children, lambda: children.ready)
    real = psutil._psplatform.boot_time
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: real() - 3600)  # what Linux derives from the clock
    assert end_leftovers(tmp_path) == ["part"]
    children.stop()


@pytest.mark.parametrize("change", ["a copy of the folder", "another start of the machine"])
def test_what_is_somebody_elses_is_not_ended(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copied project has the first one's list of processes, and numbers are given again after a restart."""
    folder = tmp_path / "first"
    folder.mkdir()
    children = Children([Part("part", (*STAYS, str(folder)))], folder, lambda line: None)
    wait(children, lambda: children.ready)
    if change == "a copy of the folder":
        folder = Path(shutil.copytree(folder, tmp_path / "copy"))
    else:
        monkeypatch.setattr(children_module, "_boot", lambda: "another")
    assert end_leftovers(folder) == []
    children.look()
    assert children.ready
    children.stop()
