"""The locator: where in a study's slices the places to grade are.

Two heat-map networks: the sagittal one finds each level's place of each group of conditions, the axial one the places of
the left and the right. What they cannot know, which side a sagittal slice is of and which level an axial one, geometry
adds (:mod:`lumbargrade.localization`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask
from lumbargrade.models.heatmap import STRIDE, HeatmapNet, turned
from lumbargrade.models.storage import load_network, save_network

CONTRASTS = ("T1", "T2")
_MEAN, _STD = 0.25, 0.25
_BATCH = 32
_UNREAD = "cord."
"""Tensors of a network that earlier locators had, which doubted the levels' names by the end of the spinal cord."""
_SCALES = {"sagittal": (0.8, 1.0, 1.25), "axial": (1.0,)}
"""How much wider than its view a slice is seen, one after the other: names of levels depend on a spine's size too much."""


class Mark(NamedTuple):
    """What one map of a network shows: the places of a group, of a level (sagittal) or a side (axial)."""

    group: str
    level: str | None
    side: str | None


def marks_of(task: GradingTask, orientation: str) -> tuple[Mark, ...]:
    """The maps that slices of an orientation have in a task; none if it shows nothing there."""
    marks: dict[Mark, None] = {}
    for cell in task.cells:
        if cell.condition.orientation == orientation:
            group, side = cell.condition.group, cell.condition.side
            marks[Mark(group, None, side) if orientation == "axial" else Mark(group, cell.level, None)] = None
    return tuple(marks)


def column_group(task: GradingTask) -> str | None:
    """The group whose places name the levels: the first one that lies in the midline of a sagittal series."""
    middle = (c.group for c in task.conditions if c.orientation == "sagittal" and c.side is None)
    return next(middle, None)


class Offsets(BaseModel):
    """How vectors in the patient (LPS, mm) are spread: means, (n, 3), and inverses of their covariances, (n, 3, 3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: list[list[float]]
    precision: list[list[list[float]]]


class SpineShape(BaseModel):
    """How lumbar spines are built, learned from the points of the training studies.

    Attributes:
        steps: From each level's place in the midline to the next one's.
        places: From a level's place in the midline to that of a group on a side, by ``group/side``; a row a level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Offsets
    places: dict[str, Offsets]


def place_key(group: str, side: str | None) -> str:
    """How :class:`SpineShape` calls the places of a group on a side."""
    return f"{group}/{side or 'middle'}"


class LocatorConfig(BaseModel):
    """All that a locator was built and trained with.

    Attributes:
        prepare: Its grey scale is that of the crops.
        views: What it is shown.
        width: Channels of its networks' finest level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: GradingTask
    prepare: PrepareParams
    views: ViewParams
    width: int
    shape: SpineShape


class Locator(nn.Module):
    """The networks: one for each orientation that the task uses."""

    def __init__(self, config: LocatorConfig) -> None:
        super().__init__()
        self.config = config
        marks = {name: marks_of(config.task, name) for name in ("sagittal", "axial")}
        self.networks = nn.ModuleDict(
            {name: HeatmapNet(len(found), len(CONTRASTS), config.width) for name, found in marks.items() if found}
        )

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def forward(self, images: Tensor, orientation: str) -> tuple[Tensor, Tensor]:
        """Logits of the marks' places and of the contrasts, as :class:`HeatmapNet` returns them."""
        logits: tuple[Tensor, Tensor] = self.networks[orientation](images)
        return logits


def normalise(views: Tensor) -> Tensor:
    """Turns grey values 0 to 255, (batch, 3, pixels, pixels), into the networks' input, channels last."""
    return ((views.float() / 255 - _MEAN) / _STD).contiguous(memory_format=torch.channels_last)


class Maps(NamedTuple):
    """What locators see in some slices, on the average.

    Attributes:
        places: Probability that a mark is at each place, (slices, marks, rows, columns); their sum is that it is there.
        contrasts: Probabilities of ``CONTRASTS``, (slices, contrasts).
    """

    places: NDArray[np.float32]
    contrasts: NDArray[np.float32]


@torch.inference_mode()
def see_slices(
    locators: Sequence[Locator],
    images: NDArray[np.uint8],
    orientation: str,
    frames: Sequence[tuple[float, float]] = ((1.0, 1.0),),
) -> Maps:
    """Returns the mean of the locators' probabilities, over several scales too.

    Args:
        locators: In evaluation mode, on one device, of one configuration.
        images: (slices, 3, pixels, pixels).
        frames: How much wider and how much higher than its view a slice is seen, each at all scales.
    """
    zooms = [(scale * wide, scale * high) for wide, high in frames for scale in _SCALES[orientation]]
    places, contrasts = [], []
    for start in range(0, len(images), _BATCH):
        batch = torch.from_numpy(images[start : start + _BATCH]).to(locators[0].device)
        seen = [_see(locator, batch, orientation, *zoom) for locator in locators for zoom in zooms]
        places.append(torch.stack([maps for maps, _ in seen]).mean(dim=0).cpu().numpy())
        contrasts.append(torch.stack([kinds for _, kinds in seen]).mean(dim=0).cpu().numpy())
    return Maps(np.concatenate(places), np.concatenate(contrasts))


def _see(locator: Locator, images: Tensor, orientation: str, wide: float, high: float) -> tuple[Tensor, Tensor]:
    """What a locator sees in images of which it is shown so much more, or less, as the fields of :class:`Maps`."""
    same = wide == high == 1
    there_and_back = torch.tensor([[wide, high], [1 / wide, 1 / high]], device=images.device)
    wider, back = (F.pad(torch.diag(zoom), (0, 1)).expand(len(images), 2, 3) for zoom in there_and_back)
    logits, kinds = locator(normalise(images if same else turned(images, wider)), orientation)
    side = images.shape[-1] // STRIDE
    maps = torch.softmax(logits, dim=2)[:, :, :-1].reshape(len(images), -1, side, side)
    if not same:
        there = maps.sum(dim=(2, 3), keepdim=True).clamp(min=1e-12)
        maps = turned(maps, back) / (wide * high)
        maps = maps / (maps.sum(dim=(2, 3), keepdim=True) / there).clamp(min=1)
    return maps, torch.softmax(kinds, dim=1)


def save_locator(locator: Locator, path: Path) -> None:
    """Writes weights and configuration as one safetensors file, atomically."""
    save_network(locator, locator.config, path)


def load_locator(path: Path) -> Locator:
    """Reads a locator, ready to be used (evaluation mode), on the CPU.

    Raises:
        InputError: The file is not there, or is no locator of this version.
    """
    return load_network(path, LocatorConfig, Locator, "locator", unread=_UNREAD)
