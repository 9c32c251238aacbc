"""A job that kills its process is the only one that is lost; processes end with the one that started them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lumbargrade.dataset.intake.processes import each_result

JOBS = ["1 + 1", "__import__('os')._exit(3)", "2 + 2", "[][0]"]


@pytest.mark.parametrize("workers", [2, 3])
def test_a_job_that_kills_its_process_costs_itself_only(workers: int) -> None:
    results = dict(each_result(eval, JOBS, workers))
    assert (results["1 + 1"], results["2 + 2"]) == (2, 4)
    assert isinstance(results[JOBS[1]], Exception)
    assert isinstance(results["[][0]"], IndexError)


KILLED = """
import os, signal
from lumbargrade.dataset.intake.processes import each_result

if __name__ == "__main__":
    for _, number in each_result(eval, ["__import__('os').getpid()", "__import__('time').sleep(600)"], 1 + 1):
        print(number, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_when_the_one_that_started_them_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
    assert parent.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(worker)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
