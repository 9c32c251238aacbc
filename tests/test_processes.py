"""Whoever is killed leaves no process behind, whichever of them it had started."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

WORK = {
    "adding": "list(each_result(time.sleep, [600] * 8, 2))",
    "packing": "list(in_processes(time.sleep, [600] * 8, 2))",
    "phantoms": "generate(pathlib.Path(sys.argv[1]), studies=400, seed=0, workers=2)",
}
SCRIPT = """
import pathlib, sys, time
from lumbargrade.data.intake.processes import each_result
from lumbargrade.phantom import generate
from lumbargrade.preprocessing.shards import in_processes

if __name__ == "__main__":
    {}
"""


@pytest.mark.parametrize("work", WORK)
def test_processes_end_when_the_one_that_started_them_is_killed(work: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT.format(WORK[work]), str(tmp_path / "phantom")]
    with subprocess.Popen(command) as parent:
        started = psutil.Process(parent.pid)
        deadline = time.monotonic() + 120
        while len(workers := started.children()) < 3 and time.monotonic() < deadline:  # two, and the one that tidies up
            time.sleep(0.1)
        parent.kill()
    assert len(workers) >= 3
    assert psutil.wait_procs(workers, timeout=120)[1] == []
