"""Worker processes of this one: a job that kills its own is lost alone, and all end with this one even if it is killed."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from lumbargrade.machine import count_processes

Job = TypeVar("Job")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Is told what is done and what there is to do."""


def process_pool(workers: int) -> ProcessPoolExecutor:
    """A pool of new processes; what they run must be importable."""
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
    )


def end_with_parent(parent: int) -> None:
    """Ends this process, from now on, when the one that started it is gone: if it was killed, it could not do so itself."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def map_in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, together: int = 1
) -> Iterator[Result]:
    """Does jobs and yields their results in their order.

    Args:
        workers: Processes; 0 is as many as the machine has room for, 1 is this one.
        together: Jobs that are handed to a process at a time.

    Raises:
        BrokenProcessPool: A process was killed.
    """
    workers = min(count_processes(workers), len(jobs))
    if workers <= 1:
        yield from map(work, jobs)
        return
    pool = process_pool(workers)
    try:
        yield from pool.map(work, jobs, chunksize=together)
    finally:
        pool.shutdown(cancel_futures=True)


def each_result(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Result | Exception]]:
    """Does jobs and yields each with its result, or with what stopped it, in the order in which they end.

    Args:
        workers: Processes; 0 is as many as the machine has room for, 1 is this one.
    """
    if workers == 1:
        for job in jobs:
            yield job, _tried(work, job)
        return
    done: set[int] = set()
    pool = process_pool(min(count_processes(workers), max(len(jobs), 1)))
    try:
        futures = {pool.submit(_tried, work, job): place for place, job in enumerate(jobs)}
        for future in as_completed(futures):
            result = future.result()
            done.add(futures[future])
            yield jobs[futures[future]], result
    except BrokenProcessPool:
        yield from _each_alone(work, [job for place, job in enumerate(jobs) if place not in done])
    finally:
        pool.shutdown(cancel_futures=True)


def _each_alone(work: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, Result | Exception]]:
    """Does jobs one after the other, so that it shows which one kills its process."""
    pool = process_pool(1)
    try:
        for job in jobs:
            try:
                result = pool.submit(_tried, work, job).result()
            except BrokenProcessPool as error:
                pool, result = process_pool(1), error
            yield job, result
    finally:
        pool.shutdown(cancel_futures=True)


def _tried(work: Callable[[Job], Result], job: Job) -> Result | Exception:
    try:
        return work(job)
    except OSError:  # a full disk is no job's fault
        raise
    except Exception as error:
        return error
