"""Studies de-identified in processes of their own: a file that kills its reader costs its own study only."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def each_result(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Result | Exception]]:
    """Does jobs and yields each with its result, or with what stopped it, in the order in which they end.

    Args:
        workers: Processes; 0 is one for each core, 1 is this one, which a file may kill.
    """
    if workers == 1:
        for job in jobs:
            yield job, _tried(work, job)
        return
    done: set[int] = set()
    try:
        with _pool(min(workers or os.cpu_count() or 1, max(len(jobs), 1))) as pool:
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
        with _pool(1) as pool:
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


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_watch_parent)


def _watch_parent() -> None:
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the one that started it was killed, which cannot tell it so."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
