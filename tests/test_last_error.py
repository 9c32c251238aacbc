"""A command's error is data for the process that started it, and a sentence for people."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lumbargrade.errors import InputError
from lumbargrade.last_error import ERROR_FILE, leave_error, read_error
from lumbargrade.serving.mlflow_server import COMMAND


def test_a_command_leaves_its_error_to_whoever_started_it(tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    done = subprocess.run(
        [sys.executable, *COMMAND, "audit", "log", "--version", "1", "--task", "nothing.yaml"],
        env={**os.environ, ERROR_FILE: str(file)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    error = read_error(file)
    assert error is not None
    assert (done.returncode, done.stderr) == (2, f"error: {error}\n")
    assert error.code


def test_nothing_is_left_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ERROR_FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    leave_error(InputError("there is no champion", "", "no-champion"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_error_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    assert read_error(file) is None
    file.write_text('{"what": "cut')
    assert read_error(file) is None
