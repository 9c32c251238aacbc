"""Whoever is killed leaves no process behind, and a job that kills its process is the only one that is lost."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lumbargrade.errors import LumbargradeError
from lumbargrade.preprocessing.shards import in_processes
from lumbargrade.processes import each_result

JOBS = ["1 + 1", "__import__('os')._exit(3)", "2 + 2", "[][0]"]
WORK = {
    "adding": "list(each_result(time.sleep, [600] * 8, 2))",
    "packing": "list(in_processes(time.sleep, [600] * 8, 2))",
    "phantoms": "generate(pathlib.Path(sys.argv[1]), studies=400, seed=0, workers=2)",
}
SCRIPT = """
import pathlib, sys, time
from lumbargrade.phantom import generate
from lumbargrade.preprocessing.shards import in_processes
from lumbargrade.processes import each_result

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


@pytest.mark.parametrize("workers", [2, 3])
def test_a_job_that_kills_its_process_costs_itself_only(workers: int) -> None:
    results = dict(each_result(eval, JOBS, workers))
    assert (results["1 + 1"], results["2 + 2"]) == (2, 4)
    assert isinstance(results[JOBS[1]], Exception)
    assert isinstance(results["[][0]"], IndexError)


def test_a_killed_process_of_jobs_that_are_all_needed_is_an_error_in_words() -> None:
    with pytest.raises(LumbargradeError) as caught:
        list(in_processes(eval, JOBS[:2], 2))
    assert caught.value.code == "study-process-killed"
