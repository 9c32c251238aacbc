"""Whether the cord ends where the names of the levels say: with four or six lumbar vertebrae it ends about one level off."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, t
from torch import Tensor

from lumbargrade.config.task import GradingTask
from lumbargrade.models.conus_net import CordNet, canal_strips
from lumbargrade.models.locator import CONTRASTS, Locator
from lumbargrade.notes import Note
from lumbargrade.preprocessing.views import StackView

_REACH_MM = 7.0
"""Slices whose distance from the upper levels is more than this show too little of the canal."""
_UPPER = 3
_BEHIND_DISC = 0.6
"""From a disc's middle back to the canal's, as a share of the distance of two levels."""
_LOOKS = (-0.8, -0.6, -0.4, -0.2, 0.0)
"""Middles of the strips by which a spine is judged: around the usual end of the cord."""
_FEWEST, _LEAST_SPREAD = 8, 0.15
"""Spines that tell what is usual, at least; and the spread that they are taken to have at least, levels."""
_FAR = 3.5
"""Spines that are this many spreads off are rather named wrongly, and tell nothing of what is usual (the bound of Iglewicz and
Hoaglin for outliers by the median deviation)."""
_RARE = 1.96
"""Spreads beyond which one usual spine in twenty lies, on either side."""


@dataclass(frozen=True, eq=False)
class CanalSlice:
    """A slice that shows the canal.

    Attributes:
        index: Its place in the stack.
        contrast: Place in ``CONTRASTS``.
        column: Where the canal is at the levels, pixels of the view (column, row), (levels, 2).
    """

    stack: StackView
    index: int
    contrast: int
    column: NDArray[np.float64]


def canal_slices(
    task: GradingTask, stack: StackView, contrast: str, column: NDArray[np.float64]
) -> Iterator[CanalSlice]:
    """The slices of a sagittal stack that show the canal; none of a task with fewer than three levels.

    Args:
        column: The places of all levels in the midline, LPS, mm, (levels, 3).
    """
    if len(column) < _UPPER:
        return
    canal = column + _backward(column) if task.midline == "discs" else column
    for index, piece in enumerate(stack.slices):
        pixels = piece.view.to_pixel(canal)
        if np.abs(pixels[:_UPPER, 2]).max() <= _REACH_MM:
            yield CanalSlice(stack, index, CONTRASTS.index(contrast), pixels[:, :2])


def _backward(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """From each disc to the canal behind it, across the column in the sagittal plane."""
    along = np.gradient(column, axis=0)
    across = np.cross([1.0, 0.0, 0.0], along)
    across *= np.sign(across[:, 1:2]) / np.linalg.norm(across, axis=1, keepdims=True)
    step = np.linalg.norm(column[-1] - column[0]) / (len(column) - 1)
    return np.asarray(_BEHIND_DISC * step * across)


def canal_tensors(slices: Sequence[CanalSlice], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Images, contrasts and columns of slices, as :func:`canal_strips` takes them."""
    return (
        torch.from_numpy(np.stack([one.stack.grey(one.index) for one in slices])).to(device),
        torch.tensor([one.contrast for one in slices], device=device),
        torch.from_numpy(np.stack([one.column for one in slices]).astype(np.float32)).to(device),
    )


@torch.inference_mode()
def cord_offset(network: CordNet, slices: Sequence[CanalSlice]) -> float:
    """How many levels below their named places slices of a spine look to be; the mean, of one at least."""
    images, contrasts, columns = canal_tensors(slices, network.usual.device)
    offsets = []
    for place in _LOOKS:
        places = torch.full((len(slices),), place, device=images.device)
        offsets.append(network(canal_strips(images, contrasts, columns, places)) - places)
    return float(torch.stack(offsets).mean())


def usual_offsets(offsets: Sequence[float]) -> tuple[float, float]:
    """Median of unseen spines' offsets and the spread that a further one may have; infinite for too few spines.

    A few wrong names do not widen it. The fewer spines tell it, the wider it is (a normal distribution's prediction interval).
    """
    if len(offsets) < _FEWEST:
        return 0.0, float("inf")
    middle = float(np.median(offsets))
    off = np.abs(np.array(offsets) - middle)
    near = off[off <= _FAR * max(1.4826 * float(np.median(off)), _LEAST_SPREAD)]
    further = t.ppf(norm.cdf(_RARE), len(near) - 1) / _RARE * np.sqrt(1 + 1 / len(near))
    return middle, max(float(np.sqrt(np.mean(near**2))), _LEAST_SPREAD) * float(further)


def cord_note(locators: Sequence[Locator], slices: Sequence[CanalSlice]) -> Note | None:
    """Says so if the cord's end suggests four or six lumbar vertebrae in a spine whose levels are named."""
    if not slices:
        return None
    offsets = [cord_offset(locator.cord, slices) for locator in locators]
    middle, spread = np.mean([locator.cord.usual.tolist() for locator in locators], axis=0)
    off = float(np.mean(offsets) - middle) / spread
    if abs(off) < _RARE:
        return None
    where, count = ("higher", "six") if off > 0 else ("lower", "four")
    return Note.make(
        "cord-ends-elsewhere",
        "the cord ends {where} than usual for the levels' names: there may be {vertebrae} lumbar vertebrae; count them "
        "(some spines with five are told so too)",
        where=where,
        vertebrae=count,
    )
