"""A pool of folds on devices of this machine, without Prefect."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

from lumbargrade.training.jobs.devices import Device
from lumbargrade.training.jobs.executor import FoldFuture, FoldPool
from lumbargrade.training.jobs.process import OnEpoch, run_fold
from lumbargrade.training.jobs.spec import AnySpec


@contextmanager
def local_pool(devices: Sequence[Device]) -> Iterator[FoldPool]:
    """Trains on devices of this machine, with a thread to watch over each fold's process."""
    with ThreadPoolExecutor(len(devices)) as threads:

        def submit(spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldFuture:
            return threads.submit(run_fold, spec, devices, on_epoch, stop)

        with FoldPool(submit, len(devices)) as pool:
            yield pool
