"""Patients' files in temporary folders: private, and gone once nobody holds them, however their owner ended."""

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lumbargrade import scratch
from lumbargrade.scratch import ScratchError, keep_sweeping, scratch_error, scratch_folder, scratch_root, sweep

HOLDER = """
import sys, time
from lumbargrade.scratch import scratch_folder
with scratch_folder("study") as folder:
    (folder / "image.dcm").write_bytes(b"a patient")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@contextmanager
def holding() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that holds a scratch folder with a patient's file."""
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_folder_is_the_users_alone_and_gone_at_the_end(temporary: Path) -> None:
    before = os.umask(0)
    try:
        with scratch_folder("study") as folder:
            (folder / "a").write_text("a")
            for each in (folder, folder.parent, scratch_root()):
                assert stat.S_IMODE(each.lstat().st_mode) == 0o700
            assert folder.is_relative_to(temporary / f"lumbargrade-{os.getuid()}")
    finally:
        os.umask(before)
    assert files(temporary) == []
    assert [path.name for path in scratch_root().iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_removed_and_a_living_ones_folder_is_not() -> None:
    with holding() as (killed, left), holding() as (_, kept):
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert (left / "image.dcm").exists()
        assert sweep() == 1
        assert not left.parent.exists()
        assert (kept / "image.dcm").read_bytes() == b"a patient"
        assert sweep() == 0


def test_the_next_folder_sweeps_first() -> None:
    with holding() as (killed, left):
        killed.kill()
        killed.wait()
        with scratch_folder("study"):
            assert not left.parent.exists()


def test_a_folder_of_this_process_is_held_too() -> None:
    with scratch_folder("page") as folder:
        assert sweep() == 0
        assert folder.is_dir()


def test_a_removal_that_was_cut_off_is_finished() -> None:
    root = scratch_root()
    (root / "study-1" / "files").mkdir(parents=True)
    (root / "removed-2").mkdir()
    (root / "removed-2" / "image.dcm").touch()
    assert sweep() == 2
    assert files(root) == []


def test_a_timer_sweeps_what_dies_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_timer", threading.Lock())
    with holding() as (killed, left):
        keep_sweeping(seconds=0.05)
        keep_sweeping(seconds=0.05)
        assert left.exists()
        killed.kill()
        end = time.monotonic() + 20
        while left.exists():
            assert time.monotonic() < end
            time.sleep(0.02)


def test_what_earlier_versions_left_is_removed_once_nobody_can_use_it(temporary: Path) -> None:
    fresh, old, page, foreign = (temporary / f"lumbargrade-{name}" for name in ("study-1", "study-2", "spool-3", "x"))
    for folder in (fresh, old, page, foreign):
        (folder / "study-a").mkdir(parents=True)
        (folder / "study-a" / "image.dcm").touch()
    link = temporary / "lumbargrade-study-link"
    link.symlink_to(foreign)
    day_ago = time.time() - 25 * 3600
    for folder in (old, foreign):
        os.utime(folder, (day_ago, day_ago))
    with (page / ".lock").open("wb") as lock:
        assert scratch._can_lock(lock)
        assert sweep() == 1
        assert page.exists()
    assert sweep() == 1
    assert (old.exists(), page.exists()) == (False, False)
    assert fresh.exists() and foreign.exists() and link.is_symlink()


def test_a_link_in_the_folders_place_is_refused(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (temporary / f"lumbargrade-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ScratchError, match="is not a folder of this user"), scratch_folder("study"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_folder_is_refused(temporary: Path) -> None:
    root = temporary / f"lumbargrade-{os.getuid()}"
    root.mkdir(exist_ok=True)  # another test's sweeping may have made it
    os.chown(root, 12345, -1)
    with pytest.raises(ScratchError, match="remove it, or set TMPDIR to a folder of your own"), scratch_folder("study"):
        pass


def test_a_folder_that_others_could_read_is_closed_to_them(temporary: Path) -> None:
    root = temporary / f"lumbargrade-{os.getuid()}"
    root.mkdir(exist_ok=True)
    root.chmod(0o755)
    assert stat.S_IMODE(scratch_root().lstat().st_mode) == 0o700


def test_a_temporary_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    with pytest.raises(ScratchError, match=r"gone \(TMPDIR\) does not exist; make it"), scratch_folder("study"):
        pass


def test_a_full_disk_is_named_by_the_folder_that_the_environment_names(temporary: Path) -> None:
    with scratch_folder("study") as folder:
        error = scratch_error(OSError(errno.ENOSPC, "No space left on device"), folder)
    assert str(error).startswith(f"the disk of the temporary folder {temporary} is full; free space there")


def test_without_the_variable_it_is_the_systems_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert scratch_root().parent == tmp_path
