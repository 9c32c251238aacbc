"""A run that is asked to end, as systemd, Kubernetes and `kill` do, or killed."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_run_has_begun_beside_it_ends_with_it(number: signal.Signals, tmp_path: Path) -> None:
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    story = tmp_path / "story.txt"
    with story.open("w") as told:
        run = psutil.Popen(
            [str(Path(sys.executable).parent / "lumbargrade"), "run", "--allow-dirty"],
            cwd=tmp_path,
            env={**os.environ, "PREFECT_HOME": str(tmp_path / "prefect"), "MLFLOW_TRACKING_URI": ""},
            stderr=told,
        )
    stop_at = time.monotonic() + 120
    while not any((tmp_path / "data").rglob("*.dcm")):  # its workers have begun too
        assert run.poll() is None, story.read_text()
        assert time.monotonic() < stop_at
        time.sleep(0.1)
    children = run.children(recursive=True)
    assert any("uvicorn" in child.cmdline() for child in children), "Prefect's server"
    run.send_signal(number)
    assert run.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert "Traceback" not in story.read_text()
