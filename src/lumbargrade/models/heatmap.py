"""A small encoder-decoder that says for each mark where in an image it is, or that it is not there."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 2
"""Pixels of the image to a place of the map."""


class HeatmapNet(nn.Module):
    """U-shaped network with an absent place beside each map, and a guess of the image's contrast.

    Args:
        marks: Maps.
        contrasts: Kinds of contrast to tell apart.
        width: Channels of the finest level.
    """

    def __init__(self, marks: int, contrasts: int, width: int) -> None:
        super().__init__()
        wide = [width, 2 * width, 4 * width, 6 * width]
        self.stem = nn.Sequential(_block(3, width, STRIDE), _block(width, width))
        self.down = nn.ModuleList(nn.Sequential(_block(a, b, 2), _block(b, b)) for a, b in pairwise(wide))
        self.bottom = _block(wide[-1], wide[-1])
        self.up = nn.ModuleList(
            _block(coarse + fine, fine) for coarse, fine in zip(wide[:0:-1], wide[-2::-1], strict=True)
        )
        self.maps = nn.Conv2d(width, marks, 1)
        self.absent = nn.Linear(wide[-1], marks)
        self.contrast = nn.Linear(wide[-1], contrasts)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Looks for the marks.

        Args:
            images: (batch, 3, rows, columns), normalised; both sides multiples of 16.

        Returns:
            Logits of the places of each mark, row by row, and last of its absence, (batch, marks, places + 1); logits of
            the contrasts, (batch, contrasts).
        """
        levels = [self.stem(images)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = self.bottom(levels.pop())
        pooled = x.float().mean(dim=(2, 3))
        for up in self.up:
            finer = levels.pop()
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), finer], dim=1))
        places = self.maps(x).float().flatten(2)
        return torch.cat([places, self.absent(pooled).float()[:, :, None]], dim=2), self.contrast(pooled).float()


def turned(images: Tensor, transforms: Tensor) -> Tensor:
    """Images as affine matrices (batch, 2, 3) see them; black where they end."""
    grid = F.affine_grid(transforms, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _block(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )
