"""Studies de-identified in processes of their own: a file that kills its reader costs its own study only."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from lumbargrade.machine import count_processes
from lumbargrade.processes import process_pool

Job = TypeVar("Job")
Result = TypeVar("Result")


def each_result(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Result | Exception]]:
    """Does jobs and yields each with its result, or with what stopped it, in the order in which they end.

    Args:
        workers: Processes; 0 is as many as the machine has room for, 1 is this one, which a file may kill.
    """
    if workers == 1:
        for job in jobs:
            yield job, _tried(work, job)
        return
    done: set[int] = set()
    try:
        with process_pool(min(count_processes(workers), max(len(jobs), 1))) as pool:
            futures = {pool.submit(_tried, work, job): place for place, job in enumerate(jobs)}
            for future in as_completed(futures):
                result = future.result()
                done.add(futures[future])
                yield jobs[futures[future]], result
    except BrokenProcessPool:
        for place, job in enumerate(jobs):
            if place not in done:
                yield job, _alone(work, job)


def _alone(work: Callable[[Job], Result], job: Job) -> Result | Exception:
    try:
        with process_pool(1) as pool:
            return pool.submit(_tried, work, job).result()
    except BrokenProcessPool as error:
        return error


def _tried(work: Callable[[Job], Result], job: Job) -> Result | Exception:
    try:
        return work(job)
    except OSError:  # a full disk is nobody's study's fault
        raise
    except Exception as error:
        return error
