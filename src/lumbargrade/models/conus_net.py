"""Which level a piece of the spinal canal is at, from the cord and the nerves in it.

Levels are named up from the sacrum. Where there are four or six lumbar vertebrae, the end of the cord lies about one level off
the names. The network sees the canal alone, straightened, two levels of it: bones and discs follow the sacrum, and what lies
further down would tell of it.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLACES = (-1.7, 0.9)
"""Where the middle of a strip may be, in levels below the uppermost one: around the usual end of the cord, and one off."""
ROWS, COLUMNS = 48, 24
_LEVELS = 2.0
"""Height of a strip, in levels."""
_HALF_WIDTH = 0.22
"""Half its width, as a share of the distance of two levels: about 8 mm."""
_ABOVE = 4
"""Levels above the uppermost one, as far as strips reach."""
_TANGENT = 0.5
"""Levels over which the canal's direction is taken."""
_WIDE = (24, 48, 96, 128)
"""Channels of its layers, each half as high and wide as the one before."""


class StripChanges(NamedTuple):
    """How strips differ from what they show, each (batch,).

    Attributes:
        stretch: Factor of the width.
        shift: To the side, as a share of the distance of two levels.
        shear: Tangent of the angle by which rows are turned.
        black: Share of the rows, from the top, that are black as if the image ended there.
        known: The uppermost level whose place is taken to be known: were the line always carried on from the same one, a
            strip would show by where it leaves the canal how the levels are named.
        bend: How far the line leaves the canal, as a share of the way above ``bent``.
        bent: Share of the rows, from the top, that the line is bent in.
    """

    stretch: Tensor
    shift: Tensor
    shear: Tensor
    black: Tensor
    known: Tensor
    bend: Tensor
    bent: Tensor


class CordNet(nn.Module):
    """Says where a strip of the canal is.

    Attributes:
        usual: Median of how far below the named place it says that spines are, and their spread, levels; what it says of a
            spine is told from chance by these. The spread is infinite until they are measured.
    """

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers = [_layer(2, _WIDE[0], 1)]
        for before, wide in pairwise(_WIDE):
            layers += [_layer(before, before, 2), _layer(before, wide, 1)]
        self.features = nn.Sequential(*layers)
        self.place = nn.Linear(_WIDE[-1] * ROWS // 2 ** (len(_WIDE) - 1), 1)
        self.drop = nn.Dropout(0.3)
        self.register_buffer("usual", torch.tensor([0.0, torch.inf]))

    def forward(self, strips: Tensor) -> Tensor:
        """Places the middles of strips, (batch,), in levels below the uppermost one.

        Args:
            strips: As :func:`canal_strips` returns them.
        """
        pooled = self.features(strips).float().mean(dim=3).flatten(1)
        placed: Tensor = self.place(self.drop(pooled))[:, 0]
        return placed


def _layer(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def canal_strips(
    images: Tensor, contrasts: Tensor, columns: Tensor, places: Tensor, changes: StripChanges | None = None
) -> Tensor:
    """Cuts straightened strips out of the canal; beyond an image they are black.

    Args:
        images: Sagittal views, (batch, rows, columns).
        contrasts: Place in ``CONTRASTS``, (batch,).
        columns: Where the canal is at the levels, pixels (column, row), (batch, levels, 2).
        places: Where the middles of the strips shall be, in levels below the uppermost one, (batch,).

    Returns:
        Grey values of mean 0 and deviation 1 and, as a second channel, the contrast: (batch, 2, :data:`ROWS`,
        :data:`COLUMNS`).
    """
    where = places[:, None] + (torch.arange(ROWS, device=images.device) + 0.5) / ROWS * _LEVELS - _LEVELS / 2
    line = _line(columns, torch.zeros_like(contrasts) if changes is None else changes.known)
    middle = _along(line, where)
    tangent = F.normalize(_along(line, where + _TANGENT) - _along(line, where - _TANGENT), dim=2)
    across = torch.stack([tangent[..., 1], -tangent[..., 0]], dim=2)
    step = (line[:, -1] - line[:, _ABOVE]).norm(dim=1) / (columns.shape[1] - 1)
    offsets = ((torch.arange(COLUMNS, device=images.device) + 0.5) / COLUMNS * 2 - 1) * _HALF_WIDTH
    offsets = offsets.expand(len(images), ROWS, -1)
    shares = (torch.arange(ROWS, device=images.device) + 0.5) / ROWS
    if changes is not None:
        across = across + changes.shear[:, None, None] * tangent
        bend = changes.bend[:, None] * (changes.bent[:, None] - shares).clamp(min=0) * _LEVELS
        offsets = offsets * changes.stretch[:, None, None] + changes.shift[:, None, None] + bend[:, :, None]
    offsets = offsets * step[:, None, None]
    pixels = middle[:, :, None] + offsets[..., None] * across[:, :, None]
    size = torch.tensor(images.shape[:0:-1], device=images.device)
    strips = F.grid_sample(images[:, None].float(), (pixels + 0.5) * 2 / size - 1, align_corners=False)
    if changes is not None:
        strips = strips * (shares[None] > changes.black[:, None])[:, None, :, None]
    strips = strips - strips.mean(dim=(2, 3), keepdim=True)
    strips = strips / (strips.std(dim=(2, 3), keepdim=True) + 1.0)
    return torch.cat([strips, contrasts.to(strips)[:, None, None, None].expand_as(strips)], dim=1)


def _line(columns: Tensor, known: Tensor) -> Tensor:
    """The canal's line, carried on upwards from a level, (batch,), by its direction below that."""
    count = columns.shape[1]
    number = torch.arange(-_ABOVE, count, device=columns.device).expand(len(columns), -1)

    def at(index: Tensor) -> Tensor:
        return columns.gather(1, index.clamp(0, count - 1)[..., None].expand(-1, -1, 2))

    first = at(known[:, None])
    step = (at(known[:, None] + 2) - first) / 2
    carried = first + (number - known[:, None])[..., None] * step
    return torch.where((number < known[:, None])[..., None], carried, at(number))


def _along(line: Tensor, where: Tensor) -> Tensor:
    """Points of a line at places in levels below the uppermost one, (batch, places, 2)."""
    place = (where + _ABOVE).clamp(0, line.shape[1] - 1)
    before = place.floor().long().clamp(max=line.shape[1] - 2)
    share = (place - before)[..., None]
    first, second = (line.gather(1, index[..., None].expand(-1, -1, 2)) for index in (before, before + 1))
    return first + share * (second - first)
