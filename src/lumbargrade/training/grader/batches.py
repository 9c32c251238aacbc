"""Which crops make a batch."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray


def shuffled_batches(
    rows: NDArray[np.int64], size: int, steps: int, generator: torch.Generator
) -> Iterator[NDArray[np.int64]]:
    """Full batches of so many steps; all rows come before one comes again."""
    passes = -(-steps * size // len(rows))
    order = np.concatenate([rows[_permutation(len(rows), generator)] for _ in range(passes)])
    for step in range(steps):
        yield order[step * size : (step + 1) * size]


def whole_batches(
    rows: NDArray[np.int64], units: NDArray[np.int64], size: int, steps: int, generator: torch.Generator
) -> Iterator[NDArray[np.int64]]:
    """Batches of whole units, of at least ``size`` rows.

    Args:
        units: The unit of each row, such as its study, (rows,).
    """
    order = np.argsort(units, kind="stable")
    members = np.split(rows[order], np.flatnonzero(np.diff(units[order])) + 1)
    waiting: list[NDArray[np.int64]] = []
    for _ in range(steps):
        batch: list[NDArray[np.int64]] = []
        while sum(map(len, batch)) < min(size, len(rows)):
            waiting = waiting or [members[place] for place in _permutation(len(members), generator)]
            batch.append(waiting.pop())
        yield np.concatenate(batch)


def _permutation(count: int, generator: torch.Generator) -> NDArray[np.int64]:
    return torch.randperm(count, generator=generator).numpy()
