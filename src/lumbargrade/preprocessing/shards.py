"""Images of one size, packed into a few files that are mapped into memory; and the processes that make them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbargrade.errors import LumbargradeError
from lumbargrade.processes import Job, Result, map_in_processes


def in_processes(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Does jobs in several processes and returns their results in order.

    Args:
        workers: Processes; 0 is as many as the machine has room for, 1 is this one.

    Raises:
        LumbargradeError: A process was killed.
    """
    try:
        yield from map_in_processes(work, jobs, workers, together=4)
    except BrokenProcessPool as error:
        raise LumbargradeError(
            "a process that reads studies was killed, perhaps for lack of memory",
            "use fewer workers, or free memory, and run again",
            "study-process-killed",
        ) from error


class ShardWriter:
    """Fills files ``<name>-NNN.npy`` one after the other, without holding them in memory."""

    def __init__(self, folder: Path, name: str, size: int = 4096) -> None:
        self._folder = folder
        self._name = name
        self._size = size
        self._waiting: list[NDArray[np.uint8]] = []
        self._shard = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Takes an image; its place is the number of images before it."""
        self._waiting.append(image)
        if len(self._waiting) == self._size:
            self.close()

    def close(self) -> None:
        """Writes what is left."""
        if self._waiting:
            np.save(self._folder / f"{self._name}-{self._shard:03d}.npy", np.stack(self._waiting))
            self._waiting = []
            self._shard += 1


class Shards:
    """Packed images, by their place."""

    def __init__(self, folder: Path, name: str) -> None:
        paths = sorted(folder.glob(f"{name}-*.npy"))
        self._files: list[Any] = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
        self._ends = np.cumsum([len(file) for file in self._files])

    def take(self, place: int) -> NDArray[np.uint8]:
        """Returns an image."""
        shard = int(np.searchsorted(self._ends, place, side="right"))
        start = int(self._ends[shard - 1]) if shard else 0
        image: NDArray[np.uint8] = self._files[shard][place - start]
        return image
