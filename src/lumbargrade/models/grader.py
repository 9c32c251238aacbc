"""The grader: DenseNet-121 over a crop, with a head for each group of conditions.

Its configuration travels with its weights in one safetensors file: task, crop geometry, grey scale, input size,
normalisation. Nothing else decides what the network is shown, in training or in serving.
"""

from pathlib import Path
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from lumbargrade.config.params import PrepareParams, TrainingParams
from lumbargrade.config.task import Condition, GradingTask
from lumbargrade.models.context import StudyContext
from lumbargrade.models.densenet import FEATURES, densenet121_features
from lumbargrade.models.storage import load_network, save_network

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Normalisation of torchvision's ImageNet weights, for images from 0 to 1."""


_FLIPS = {"side": 0, "sagittal": 1, "coronal": 3, "axial": 3}
"""Axis of packed crops that a mirrored patient reverses, by the orientation of conditions without a side."""


def _kind(condition: Condition) -> str:
    return condition.orientation if condition.side is None else "side"


class GraderConfig(BaseModel):
    """All that a grader was built and trained with.

    Attributes:
        prepare: How its crops are cut.
        crop_mm: Side of the window that it looks at, in the middle of a packed crop, mm.
        image_pixels: Side of its input, pixels.
        drop_rate: Dropout in training.
        flips: Whether it was trained to see the patient mirrored too, and is asked both ways.
        context: What sees all cells of a study together before each is graded.
        mean: Subtracted from each channel of an image from 0 to 1.
        std: Each channel is divided by it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: GradingTask
    prepare: PrepareParams
    crop_mm: float
    image_pixels: int
    drop_rate: float = 0.0
    flips: bool = False
    context: Literal["none", "transformer"] = "none"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @classmethod
    def of(cls, task: GradingTask, prepare: PrepareParams, training: TrainingParams) -> Self:
        """What is built for a training."""
        return cls(
            task=task,
            prepare=prepare,
            crop_mm=training.crop_mm,
            image_pixels=training.image_pixels,
            drop_rate=training.drop_rate,
            flips=training.flips,
            context=training.context,
        )


class Grader(nn.Module):
    """Grades crops.

    A head gives each group of conditions its grades; a bias for each cell lets the network know how common a grade is
    for a condition at a level.
    """

    def __init__(self, config: GraderConfig) -> None:
        super().__init__()
        self.config = config
        task = config.task
        self.features: nn.Module = densenet121_features(config.drop_rate)
        self.dropout = nn.Dropout(config.drop_rate)
        self.context = StudyContext(FEATURES, len(task.cells)) if config.context != "none" else None
        self.heads = nn.Linear(FEATURES, len(task.groups) * len(task.grades))
        self.cell_bias = nn.Embedding(len(task.cells), len(task.grades))
        nn.init.zeros_(self.cell_bias.weight)
        self.register_buffer(
            "group_of_cell", torch.tensor([task.groups.index(c.condition.group) for c in task.cells]), persistent=False
        )
        self.register_buffer(
            "turned_over", torch.tensor([_FLIPS[_kind(c.condition)] for c in task.cells]), persistent=False
        )
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    group_of_cell: Tensor
    turned_over: Tensor
    mean: Tensor
    std: Tensor

    def forward(self, images: Tensor, cells: Tensor, studies: Tensor | None = None) -> Tensor:
        """Returns the logits of the grades, (batch, grades).

        Args:
            images: What :meth:`see` returns, (batch, 3, image_pixels, image_pixels).
            cells: Place of each image's cell in ``task.cells``, (batch,).
            studies: A number for each image's study, (batch,); one study if not given.
        """
        return self.judge(self.describe(images), cells, studies)

    def describe(self, images: Tensor) -> Tensor:
        """What the backbone makes of each image, (batch, features)."""
        maps = F.relu(self.features(images))
        pooled: Tensor = self.dropout(F.adaptive_avg_pool2d(maps, 1).flatten(1))
        return pooled

    def judge(self, described: Tensor, cells: Tensor, studies: Tensor | None = None) -> Tensor:
        """Logits of the grades from what :meth:`describe` returns, see :meth:`forward`."""
        if self.context is not None:
            described = self.context(described, cells, torch.zeros_like(cells) if studies is None else studies)
        by_group = self.heads(described).view(len(described), len(self.config.task.groups), -1)
        rows = torch.arange(len(described), device=described.device)
        logits: Tensor = by_group[rows, self.group_of_cell[cells]] + self.cell_bias(cells)
        return logits

    def mirror(self, crops: Tensor, cells: Tensor) -> Tensor:
        """Packed crops as they would be if the patient were mirrored, (batch, 3, rows, columns).

        Crops of a side stay: the right one was mirrored onto the left when it was cut.
        """
        for axis in set(_FLIPS.values()) - {0}:
            crops = torch.where((self.turned_over[cells] == axis)[:, None, None, None], crops.flip(axis), crops)
        return crops

    def see(self, crops: Tensor, transforms: Tensor | None = None) -> Tensor:
        """Turns packed crops into the network's input: takes the window, resamples, normalises.

        Args:
            crops: Grey values 0 to 255, (batch, 3, crop_pixels, crop_pixels).
            transforms: Augmentation, (batch, 2, 3): affine matrices over window coordinates from -1 to 1, each of which
                says where in the crop an output pixel is read.

        Returns:
            (batch, 3, image_pixels, image_pixels), float32, channels last.
        """
        config = self.config
        window = config.crop_mm / config.prepare.crop_mm
        if transforms is None:
            transforms = torch.eye(2, 3, device=crops.device).expand(len(crops), 2, 3)
        size = [len(crops), 3, config.image_pixels, config.image_pixels]
        grid = F.affine_grid(transforms * window, size, align_corners=False)
        images = F.grid_sample(crops.float() / 255, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def save_grader(grader: Grader, path: Path) -> None:
    """Writes weights and configuration as one safetensors file, atomically."""
    save_network(grader, grader.config, path)


def load_grader(path: Path) -> Grader:
    """Reads a grader, ready to grade (evaluation mode), on the CPU.

    Raises:
        InputError: The file is not there, or is no grader of this version.
    """
    return load_network(path, GraderConfig, Grader, "grader")
