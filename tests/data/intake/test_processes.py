"""A job that kills its process is the only one that is lost."""

import pytest

from lumbargrade.data.intake.processes import each_result

JOBS = ["1 + 1", "__import__('os')._exit(3)", "2 + 2", "[][0]"]


@pytest.mark.parametrize("workers", [2, 3])
def test_a_job_that_kills_its_process_costs_itself_only(workers: int) -> None:
    results = dict(each_result(eval, JOBS, workers))
    assert (results["1 + 1"], results["2 + 2"]) == (2, 4)
    assert isinstance(results[JOBS[1]], Exception)
    assert isinstance(results["[][0]"], IndexError)
