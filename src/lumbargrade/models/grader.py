"""The grader: DenseNet-121 over a crop, with a head for each group of conditions.

Its configuration travels with its weights in one safetensors file: task, crop geometry, grey scale, input size,
normalisation. Nothing else decides what the network is shown, in training or in serving.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torchvision.models import densenet121

from lumbargrade.models.storage import load_network, save_network
from lumbargrade.params import PrepareParams
from lumbargrade.task import GradingTask

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Normalisation of torchvision's DenseNet-121 weights, for images from 0 to 1."""


class GraderConfig(BaseModel):
    """All that a grader was built and trained with.

    Attributes:
        prepare: How its crops are cut.
        crop_mm: Side of the window that it looks at, in the middle of a packed crop, mm.
        image_pixels: Side of its input, pixels.
        drop_rate: Dropout in training.
        mean: Subtracted from each channel of an image from 0 to 1.
        std: Each channel is divided by it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: GradingTask
    prepare: PrepareParams
    crop_mm: float
    image_pixels: int
    drop_rate: float = 0.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


class Grader(nn.Module):
    """Grades crops.

    A head gives each group of conditions its grades; a bias for each cell lets the network know how common a grade is
    for a condition at a level.
    """

    def __init__(self, config: GraderConfig) -> None:
        super().__init__()
        self.config = config
        task = config.task
        network = densenet121(weights=None, drop_rate=config.drop_rate)
        self.features: nn.Module = network.features
        self.dropout = nn.Dropout(config.drop_rate)
        self.heads = nn.Linear(network.classifier.in_features, len(task.groups) * len(task.grades))
        self.cell_bias = nn.Embedding(len(task.cells), len(task.grades))
        nn.init.zeros_(self.cell_bias.weight)
        self.register_buffer(
            "group_of_cell", torch.tensor([task.groups.index(c.condition.group) for c in task.cells]), persistent=False
        )
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    group_of_cell: Tensor
    mean: Tensor
    std: Tensor

    def forward(self, images: Tensor, cells: Tensor) -> Tensor:
        """Returns the logits of the grades, (batch, grades).

        Args:
            images: What :meth:`see` returns, (batch, 3, image_pixels, image_pixels).
            cells: Place of each image's cell in ``task.cells``, (batch,).
        """
        maps = F.relu(self.features(images))
        pooled = self.dropout(F.adaptive_avg_pool2d(maps, 1).flatten(1))
        by_group = self.heads(pooled).view(len(images), len(self.config.task.groups), -1)
        rows = torch.arange(len(images), device=images.device)
        logits: Tensor = by_group[rows, self.group_of_cell[cells]] + self.cell_bias(cells)
        return logits

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
