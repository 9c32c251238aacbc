"""Devices that training processes take turns on, and the lease that says whose turn it is.

A lease is a lock on a file: the system frees it when its holder ends, however it ends.
"""

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from lumbargrade.errors import LumbargradeError

_WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Device:
    """One place to train.

    Attributes:
        name: ``cuda:0`` or ``cpu``.
        visible: Value of CUDA_VISIBLE_DEVICES for its process; empty on CPUs.
        threads: Threads of its process.
    """

    name: str
    visible: str
    threads: int


def find_devices(threads: int = 0, cuda_devices: int | None = None) -> tuple[Device, ...]:
    """Returns the GPUs that there are, or else the CPU as one device.

    CUDA_VISIBLE_DEVICES is obeyed: only what it names is used.

    Args:
        threads: Threads of each process; 0 divides the cores among the devices.
        cuda_devices: Number of GPUs; asked of torch if not given.
    """
    cores = len(os.sched_getaffinity(0))
    count = torch.cuda.device_count() if cuda_devices is None else cuda_devices
    if count == 0:
        return (Device("cpu", "", threads or cores),)
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in listed.split(",")] if listed else [str(number) for number in range(count)]
    share = threads or max(cores // count, 1)
    return tuple(Device(f"cuda:{name}", name, share) for name in names[:count])


@contextmanager
def lease(
    devices: Sequence[Device],
    folder: Path | None = None,
    wait_seconds: float = float("inf"),
    stop: threading.Event | None = None,
) -> Iterator[Device]:
    """Yields a device that nobody else on this machine holds, waiting until one is free.

    Args:
        devices: Any of these will do.
        folder: Where the locks lie; the machine's temporary folder if not given.
        wait_seconds: How long to wait at most.
        stop: Ends the waiting when it is set.

    Raises:
        LumbargradeError: No device became free in time, or the waiting was stopped.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"lumbargrade-devices-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(device.name for device in devices)
    started = time.monotonic()
    while True:
        for device in devices:
            lock = FileLock(folder / f"{device.name.replace(':', '-')}.lock", is_singleton=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield device
            finally:
                lock.release()
            return
        if stop is not None and stop.is_set():
            raise LumbargradeError(f"stopped while waiting for a device ({names})")
        if time.monotonic() - started > wait_seconds:
            raise LumbargradeError(
                f"no device became free in {wait_seconds:g} s ({names}); another training run holds them"
            )
        time.sleep(_WAIT_SECONDS)
