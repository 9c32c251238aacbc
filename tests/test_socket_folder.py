"""A temporary folder whose path leaves no room for the names of sockets, as batch queues make them."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from multiprocessing import util
from multiprocessing.connection import Listener, arbitrary_address
from pathlib import Path

import pytest

from lumbargrade import socket_folder
from lumbargrade.errors import LumbargradeError
from lumbargrade.socket_folder import shorten_socket_paths


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("of-a-batch-job-" * 10)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setitem(multiprocessing.current_process()._config, "tempdir", "")
    monkeypatch.delitem(multiprocessing.current_process()._config, "tempdir")
    return folder


def test_sockets_have_room_wherever_the_temporary_folder_is(long: Path) -> None:
    with pytest.raises(OSError, match="AF_UNIX path too long"):
        Listener(str(long / "listener-12345678"))
    shorten_socket_paths()
    folder = Path(util.get_temp_dir())
    with Listener(arbitrary_address("AF_UNIX")):
        assert list(folder.iterdir())
    assert folder.stat().st_mode & 0o077 == 0
    shorten_socket_paths()
    assert Path(util.get_temp_dir()) == folder
    folder.rmdir()


def test_a_short_one_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.setitem(multiprocessing.current_process()._config, "tempdir", "")
    monkeypatch.delitem(multiprocessing.current_process()._config, "tempdir")
    shorten_socket_paths()
    assert "tempdir" not in multiprocessing.current_process()._config


def test_without_any_short_folder_it_is_said(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_folder, "_SHORT", ("/nowhere",))
    with pytest.raises(LumbargradeError) as caught:
        shorten_socket_paths()
    assert caught.value.code == "temporary-folder-too-long"


@pytest.mark.slow
def test_files_are_decoded_in_guarded_processes_below_a_long_temporary_folder(long: Path) -> None:
    script = "from lumbargrade.viewer.studies.sandbox import start_guard; start_guard(); print('started')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(long)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("started\n", 0), done.stderr
