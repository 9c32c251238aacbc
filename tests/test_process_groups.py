"""A program in a session of its own ends with all that it has started, asked to or by force."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lumbargrade.process_groups import ProcessGroup, group_lives

LEADER = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, {})
child = subprocess.Popen(["sleep", "600"])
print(os.environ["SAYS"], child.pid, flush=True)
{}
"""
DEAF, HEARS = "signal.SIG_IGN", "signal.SIG_DFL"
STAYS, LEAVES, SAYS_BYE = (
    "time.sleep(600)",
    "sys.exit(3)",
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); time.sleep(600)",
)

Begin = Callable[[str, str], tuple[ProcessGroup, psutil.Process]]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a leader that starts a child; returns both once they run."""
    groups = []

    def begin(on_term: str, then: str) -> tuple[ProcessGroup, psutil.Process]:
        log = tmp_path / f"log-{len(groups)}"
        with log.open("wb") as file:
            groups.append(ProcessGroup([sys.executable, "-c", LEADER.format(on_term, then)], file, {"SAYS": "hello"}))
        while not log.read_bytes().endswith(b"\n"):
            time.sleep(0.02)
        words, child = log.read_text().split()
        assert words == "hello"
        return groups[-1], psutil.Process(int(child))

    yield begin
    for group in groups:
        group.end(0)


@pytest.mark.parametrize(("on_term", "then", "code"), [(HEARS, STAYS, -signal.SIGTERM), (HEARS, SAYS_BYE, 7)])
def test_it_is_asked_to_end_first(begin: Begin, on_term: str, then: str, code: int) -> None:
    group, child = begin(on_term, then)
    time.sleep(0.2)
    started = time.monotonic()
    group.end(30)
    assert time.monotonic() - started < 20
    assert group.poll() == code
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_who_does_not_end_in_time_is_killed(begin: Begin) -> None:
    group, child = begin(DEAF, STAYS)
    group.end(0.3)
    assert group.poll() == -signal.SIGKILL
    assert psutil.wait_procs([child], timeout=20)[1] == []


def test_what_a_dead_leader_left_behind_is_ended_too(begin: Begin) -> None:
    group, child = begin(HEARS, LEAVES)
    group.wait(60)
    assert group.poll() == 3
    assert group_lives(group.pid)
    group.end(0)
    assert psutil.wait_procs([child], timeout=20)[1] == []


def test_a_context_kills_it_at_its_end(begin: Begin) -> None:
    group, child = begin(DEAF, STAYS)
    with pytest.raises(KeyboardInterrupt), group:
        raise KeyboardInterrupt
    assert group.poll() == -signal.SIGKILL
    assert psutil.wait_procs([child], timeout=20)[1] == []


def test_waiting_ends_though_the_leader_stays(begin: Begin) -> None:
    group, _ = begin(HEARS, STAYS)
    group.wait(0.1)
    assert group.poll() is None
