"""Augmentation, on the device where the crops are: turns, shifts, scalings, changes of intensity, erased patches.

Crops are never flipped here: the right side was mirrored onto the left when it was cut, so a flip would undo it.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_TURN_DEGREES = 15.0
_SHIFT = 0.12
_SCALE = 0.15
_ASPECT = 0.4
_CONTRAST = 0.25
_BRIGHTNESS = 0.15
_NOISE = 0.04
_GAMMA = 0.4
_BIAS = 0.3
"""Largest changes (noise and bias: typical ones) at strength 1; shift as a share of the half window, noise of the grey
scale."""
_BIAS_KNOTS = 4
_PATCH = (0.06, 0.3)
"""Sides of an erased patch as shares of the image's."""
_GREYEST = 160.0


def random_transforms(
    count: int, strength: float, generator: torch.Generator, scale_range: float = _SCALE, shift_range: float = _SHIFT
) -> Tensor:
    """Draws affine matrices for :meth:`Grader.see`, (count, 2, 3), on the CPU."""
    turn, scale, right, down = (2 * torch.rand(4, count, generator=generator) - 1) * strength
    angle = turn * math.radians(_TURN_DEGREES)
    factor = torch.exp(scale * scale_range)
    cosine, sine = torch.cos(angle) * factor, torch.sin(angle) * factor
    rows = [torch.stack([cosine, -sine, right * shift_range], 1), torch.stack([sine, cosine, down * shift_range], 1)]
    return torch.stack(rows, 1)


def random_aspects(transforms: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Stretches images of affine matrices (batch, 2, 3) along one side and squashes them along the other."""
    half = (torch.rand(len(transforms), generator=generator) - 0.5) * strength * _ASPECT
    stretch = torch.stack([torch.exp(half), torch.exp(-half)], 1)
    linear = transforms[:, :, :2] * stretch[:, :, None]
    return torch.cat([linear, transforms[:, :, 2:]], 2)


def random_intensity(crops: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Changes contrast and brightness of each crop and adds noise; grey values stay within 0 to 255.

    Args:
        crops: (batch, channels, rows, columns), 0 to 255.

    Returns:
        The same shape, float32.
    """
    contrast, brightness = (2 * torch.rand(2, len(crops), 1, 1, 1, generator=generator) - 1) * strength
    noise = torch.randn(crops.shape, generator=generator) * (_NOISE * strength * 255)
    changed = (crops.float() - 128) * torch.exp(contrast * _CONTRAST).to(crops.device) + 128
    changed += (brightness * _BRIGHTNESS * 255 + noise).to(crops.device)
    return changed.clamp_(0, 255)


def random_gamma(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Bends the grey scale of each image, as other contrasts and coils do.

    Args:
        images: (batch, channels, rows, columns), 0 to 255.
    """
    bend = (2 * torch.rand(len(images), 1, 1, 1, generator=generator) - 1) * strength * _GAMMA
    return 255 * (images / 255).clamp(0, 1) ** torch.exp(bend).to(images.device)


def random_bias(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightens and darkens parts of each image smoothly, as coils do.

    Args:
        images: (batch, channels, rows, columns), 0 to 255.
    """
    knots = torch.randn(len(images), 1, _BIAS_KNOTS, _BIAS_KNOTS, generator=generator) * strength * _BIAS
    field = F.interpolate(knots, size=images.shape[-2:], mode="bicubic", align_corners=True)
    return (images * torch.exp(field).to(images.device)).clamp_(0, 255)


def random_erasing(images: Tensor, patches: int, generator: torch.Generator) -> Tensor:
    """Paints patches of each image grey, so that no single part of it decides (cutout, DeVries and Taylor 2017).

    Args:
        images: (batch, channels, rows, columns), 0 to 255.
        patches: How many; they may overlap.
    """
    rows, columns = images.shape[-2:]
    for _ in range(patches):
        draw = torch.rand(5, len(images), generator=generator).to(images.device)
        inside = _span(draw[0], draw[1], rows)[:, None, :, None] & _span(draw[2], draw[3], columns)[:, None, None, :]
        images = torch.where(inside, draw[4, :, None, None, None] * _GREYEST, images)
    return images


def _span(middle: Tensor, size: Tensor, places: int) -> Tensor:
    """Which places lie in a patch, (batch, places), along one side of an image."""
    share = (torch.arange(places, device=middle.device) + 0.5) / places
    least, most = _PATCH
    return (share - middle[:, None]).abs() * 2 < (least + (most - least) * size)[:, None]


def mix_partners(kinds: Tensor, generator: torch.Generator) -> Tensor:
    """Draws for each row of a batch another of the same kind to be mixed with (mixup, Zhang et al. 2018); maybe itself.

    Args:
        kinds: (batch,), whole numbers.
    """
    order = torch.argsort(kinds.cpu().double() + torch.rand(len(kinds), generator=generator).double())
    ordered = kinds.cpu()[order]
    following = order.roll(-1)
    first = torch.searchsorted(ordered, ordered)
    same = ordered == ordered.roll(-1)
    same[-1] = False
    partners = torch.empty_like(order)
    partners[order] = torch.where(same, following, order[first])
    return partners
