"""Devices that training processes take turns on, and the lease that says whose turn it is.

A lease is a lock on a file: the system frees it when its holder ends, however it ends.
"""

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from lumbargrade.errors import LumbargradeError, StoppedError
from lumbargrade.files import write_text
from lumbargrade.machine import count_cores

_WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Device:
    """One place to train.

    Attributes:
        name: ``cuda:0`` or ``cpu``; ``cuda:0/2`` is the second place on the same GPU.
        visible: Value of CUDA_VISIBLE_DEVICES for its process; empty on CPUs.
        threads: Threads of its process.
    """

    name: str
    visible: str
    threads: int


class Lease(BaseModel):
    """Who holds a device.

    Attributes:
        pid: The process that supervises the training.
        work: What the device is used for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    pid: int
    since: datetime
    work: str


def lease_folder() -> Path:
    """Where the locks of this user's devices lie."""
    return Path(tempfile.gettempdir()) / f"lumbargrade-devices-{os.getuid()}"


def read_leases(folder: Path | None = None) -> list[Lease]:
    """The leases that are held now, by the name of the device; what a killed holder has written does not count."""
    leases = []
    for path in sorted((folder or lease_folder()).glob("*.lock")):
        lock = FileLock(path, is_singleton=False)
        try:
            lock.acquire(timeout=0)
            lock.release()
        except Timeout:
            with suppress(OSError, ValidationError):  # taken or given back at this moment
                leases.append(Lease.model_validate_json(path.with_suffix(".json").read_text(encoding="utf-8")))
    return leases


def find_devices(threads: int = 0, per_device: int = 1, cuda_devices: int | None = None) -> tuple[Device, ...]:
    """Returns the GPUs that there are, or else the CPU; a device that is shared counts several times.

    CUDA_VISIBLE_DEVICES is obeyed: only what it names is used.

    Args:
        threads: Threads of each process; 0 divides the cores among them.
        per_device: How many processes share a device.
        cuda_devices: Number of GPUs; asked of torch if not given.
    """
    cores = count_cores()
    count = torch.cuda.device_count() if cuda_devices is None else cuda_devices
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [name.strip() for name in listed.split(",")] if listed else [str(number) for number in range(count)]
    found = [(f"cuda:{gpu}", gpu) for gpu in gpus[:count]] or [("cpu", "")]
    share = threads or max(cores // (len(found) * per_device), 1)
    return tuple(
        Device(name if place == 1 else f"{name}/{place}", visible, share)
        for place in range(1, per_device + 1)
        for name, visible in found
    )


@contextmanager
def lease(
    devices: Sequence[Device],
    folder: Path | None = None,
    wait_seconds: float = float("inf"),
    stop: threading.Event | None = None,
    work: str = "",
) -> Iterator[Device]:
    """Yields a device that nobody else on this machine holds, waiting until one is free.

    Args:
        devices: Any of these will do.
        folder: Where the locks lie; the machine's temporary folder if not given.
        wait_seconds: How long to wait at most.
        stop: Ends the waiting when it is set.
        work: What the device is leased for, for those who ask.

    Raises:
        StoppedError: The waiting was stopped.
        LumbargradeError: No device became free in time.
    """
    folder = folder or lease_folder()
    folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(device.name for device in devices)
    started = time.monotonic()
    while True:
        for device in devices:
            path = folder / f"{device.name.replace(':', '-').replace('/', '-')}.lock"
            lock = FileLock(path, is_singleton=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            held = Lease(device=device.name, pid=os.getpid(), since=datetime.now(UTC), work=work)
            try:
                write_text(path.with_suffix(".json"), held.model_dump_json())
                yield device
            finally:
                path.with_suffix(".json").unlink(missing_ok=True)
                lock.release()
            return
        if stop is not None and stop.is_set():
            raise StoppedError(f"stopped while waiting for a device ({names})", "", "stopped")
        if time.monotonic() - started > wait_seconds:
            raise LumbargradeError(
                f"no device became free in {wait_seconds:g} s ({names})",
                "another training run holds them",
                "no-free-device",
            )
        time.sleep(_WAIT_SECONDS)
