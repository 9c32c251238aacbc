"""A decoder may hang, take all memory, or crash: the reading room goes on."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from lumbargrade.dicom.limits import StudyTimeoutError
from lumbargrade.errors import InputError
from lumbargrade.scratch import ScratchError
from lumbargrade.viewer.studies import sandbox
from lumbargrade.viewer.studies.sandbox import GuardError, Limits, run_guarded

LIMITS = Limits(seconds=60, memory_bytes=4 << 30)


def answers(one: int, tell: Any) -> dict[str, int]:
    tell(1, 2)
    return {"is": one, "process": os.getpid()}


def refuses(tell: Any) -> None:
    raise InputError("this is wrong", "do that", "wrong")


def hangs(tell: Any) -> None:
    child = subprocess.Popen(["sleep", "60"])
    tell(child.pid, 0)
    time.sleep(60)


def crashes(tell: Any) -> None:
    ctypes.string_at(0)


def raises(tell: Any) -> None:
    raise RuntimeError("PatientName Meyer^Anna")


def takes_memory(tell: Any) -> int:
    return len(bytearray(1 << 30))


def sleeps(tell: Any) -> None:
    time.sleep(60)


def writes_much(path: str, tell: Any) -> None:
    with Path(path).open("wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))


def fills_disk(tell: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def cannot_unpack(tell: Any) -> None:
    raise ScratchError("/secret/folder is full", "", "temporary-folder-full")


def takes_too_long(tell: Any) -> None:
    raise StudyTimeoutError("it took too long", "send less", "study-took-too-long")


def prints(tell: Any) -> str:
    os.write(1, b"Meyer^Anna")
    os.write(2, b"Meyer^Anna")
    return "said"


WAITING = """
import os, sys, time
from pathlib import Path

def wait(path, tell):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    import waiting
    from lumbargrade.viewer.studies.sandbox import Limits, run_guarded
    run_guarded(waiting.wait, sys.argv[1], limits=Limits(600, 4 << 30))
"""


def test_a_guarded_process_ends_with_the_one_that_asked(tmp_path: Path) -> None:
    """Whoever asked may have been killed, and what is decoded for nobody would be left in the spool."""
    (tmp_path / "waiting.py").write_text(WAITING)
    pid = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "waiting.py", str(pid)], cwd=tmp_path) as asking:
        until(lambda: pid.exists() and pid.read_text() != "")
        asking.kill()
    until(lambda: not psutil.pid_exists(int(pid.read_text())) or _is_zombie(int(pid.read_text())))


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_full_disk_is_not_called_damage() -> None:
    for function in (fills_disk, cannot_unpack):
        with pytest.raises(GuardError, match="the server's disk is full"):
            run_guarded(function, limits=LIMITS)


def test_a_study_that_takes_too_long_is_not_called_damaged() -> None:
    with pytest.raises(GuardError, match="it took too long"):
        run_guarded(takes_too_long, limits=LIMITS)


def test_a_result_comes_from_another_process_with_its_progress() -> None:
    seen = []
    result = run_guarded(answers, 7, limits=LIMITS, on_progress=lambda *told: seen.append(told))
    assert (result["is"], seen) == (7, [(1, 2)])
    assert result["process"] != os.getpid()


def test_what_the_user_did_wrong_is_told() -> None:
    with pytest.raises(InputError, match="this is wrong; do that") as caught:
        run_guarded(refuses, limits=LIMITS)
    assert caught.value.parts == {"what": "this is wrong", "remedy": "do that", "code": "wrong"}


def test_what_hangs_is_killed_with_its_children() -> None:
    children = []
    with pytest.raises(GuardError):
        run_guarded(hangs, limits=Limits(1, 4 << 30), on_progress=lambda pid, _: children.append(pid))
    with pytest.raises(ProcessLookupError):
        for _ in range(50):  # until whoever inherited it has buried it
            os.kill(children[0], 0)
            if Path(f"/proc/{children[0]}/stat").read_text().split()[2] == "Z":
                raise ProcessLookupError
            time.sleep(0.1)


def fills_the_disk(tell: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/spool/Meyer^Anna")


@pytest.mark.parametrize(
    ("function", "limits", "words"),
    [
        (raises, LIMITS, "making tea failed by a fault of the server (RuntimeError)"),
        (crashes, LIMITS, "making tea crashed (SIGSEGV): the files are damaged"),
        (takes_memory, Limits(60, 1 << 30), "making tea took more memory than the server allows"),
        (fills_the_disk, LIMITS, "making tea stopped as the server's disk is full"),
        (sleeps, Limits(1, 4 << 30), "making tea took longer than 1 s"),
    ],
)
def test_each_end_has_its_own_reason(function: Any, limits: Limits, words: str) -> None:
    with pytest.raises(GuardError) as caught:
        run_guarded(function, limits=limits, doing="making tea")
    assert str(caught.value).startswith(words)
    assert "Meyer" not in str(caught.value)


@pytest.mark.parametrize("function", [crashes, raises])
def test_a_crash_is_an_error_without_what_the_file_said(function: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GuardError) as caught:
        run_guarded(function, limits=LIMITS)
    assert "Meyer" not in str(caught.value) + "".join(capfd.readouterr())


def test_memory_is_limited() -> None:
    assert run_guarded(takes_memory, limits=LIMITS) == 1 << 30
    with pytest.raises(GuardError):
        run_guarded(takes_memory, limits=Limits(60, 1 << 30))


def test_files_are_limited(tmp_path: Path) -> None:
    with pytest.raises(GuardError):
        run_guarded(writes_much, str(tmp_path / "much"), limits=Limits(60, 4 << 30, 1 << 20))
    assert (tmp_path / "much").stat().st_size <= 1 << 20


def test_nothing_that_a_library_prints_gets_out(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(prints, limits=LIMITS) == "said"
    assert capfd.readouterr() == ("", "")


def test_a_killed_process_is_an_error() -> None:
    with pytest.raises(GuardError):
        run_guarded(kills_itself, limits=LIMITS)


def kills_itself(tell: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_it_imports_beforehand_has_no_torch() -> None:
    """The page and its guarded processes read answers and files; torch would cost each of them seconds and memory."""
    modules = [name for name in sandbox._PRELOADED if name != "__main__"] + ["lumbargrade.viewer.http.app"]
    told = (
        f"import importlib, sys; [importlib.import_module(name) for name in {modules}]; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
