"""A notice is sent once, by however many processes, and never lost."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lumbargrade.config.project import current_project
from lumbargrade.notifications import sent
from lumbargrade.notifications.sent import sent_once

SENDS = """
import sys, time
from pathlib import Path
from lumbargrade.notifications.sent import sent_once
with sent_once("failed 7") as is_new:
    if is_new:
        with open("mails", "a") as mails:
            mails.write("x")
        time.sleep(float(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sender(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SENDS, str(seconds)], cwd=folder)


def test_processes_at_the_same_time_send_one(project: Path) -> None:
    processes = [sender(project, 0.5) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert (project / "mails").read_text() == "x"


def test_one_that_was_killed_before_it_could_note_it_is_sent_again(project: Path) -> None:
    first = sender(project, 600)
    deadline = time.monotonic() + 60
    while not (project / "mails").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.wait()
    assert sender(project, 0).wait(60) == 0
    assert (project / "mails").read_text() == "xx"
    assert sender(project, 0).wait(60) == 0
    assert (project / "mails").read_text() == "xx"


def test_one_that_failed_is_not_taken_for_sent() -> None:
    with pytest.raises(RuntimeError), sent_once("failed 7") as first:
        raise RuntimeError
    with sent_once("failed 7") as second:
        assert first and second


def test_a_folder_that_cannot_be_written_keeps_no_notice_back(project: Path) -> None:
    folder = current_project().operations
    folder.parent.mkdir()
    folder.write_text("in the way")
    for _ in range(2):
        with sent_once("failed 7") as is_new:
            assert is_new


def test_what_is_old_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    with sent_once("failed 7"):
        pass
    monkeypatch.setattr(sent, "_KEEP_SECONDS", -60)
    with sent_once("failed 8"):
        pass
    assert len(list(current_project().sent_notices.iterdir())) <= 2
