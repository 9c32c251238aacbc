"""What in a crop spoke for a grade: how much less sure of it the graders are when a patch is covered (occlusion).

Each crop is looked at alone, also by graders that see a study's other cells when they grade. The network's last map is
2 x 2 for an input of 64 pixels, too coarse to point with; ``benchmarks/explain.py`` says how well this points.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import Occlusion
from numpy.typing import NDArray
from torch import Tensor

from lumbargrade.models.grader import Grader

_PATCHES = 8
"""Patches in a row; each is covered in turn."""

_GREY = 0.0
"""What covers a patch: the mean of the network's input."""


@torch.inference_mode()
def explain_crops(
    graders: Sequence[Grader], crops: NDArray[np.uint8], cells: NDArray[np.int64], grades: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Returns what in each crop spoke for a grade, 0 to 1, (crops, crop_pixels, crop_pixels); the mean of the graders.

    Pixel (r, c) lies over pixel (r, c) of the packed crop; outside of what the graders look at it is 0. The strongest
    place of a crop is 1, unless nothing spoke for the grade: then all is 0. The same crops give the same map.

    Args:
        graders: In evaluation mode, on one device, with the same crop geometry.
        crops: (crops, 3, crop_pixels, crop_pixels).
        cells: Place of each crop's cell in ``task.cells``.
        grades: The grade of each crop that is explained, from 0.
    """
    device = graders[0].mean.device
    heats = []
    for crop, cell, grade in zip(crops, cells, grades, strict=True):
        packed = torch.from_numpy(crop[None]).to(device)
        heat = torch.stack([_over_crop(_evidence(grader, packed, int(cell), int(grade)), grader) for grader in graders])
        mean = heat.mean(0).clamp(min=0)
        heats.append((mean / mean.max().clamp(min=torch.finfo(mean.dtype).tiny)).cpu().numpy())
    return np.stack(heats).astype(np.float32)


def _evidence(grader: Grader, crop: Tensor, cell: int, grade: int) -> Tensor:
    """By how much covering each patch lowers the log odds of the grade, (image_pixels, image_pixels)."""
    pixels = grader.config.image_pixels
    patch = -(-pixels // _PATCHES)

    def odds(images: Tensor) -> Tensor:
        apart = torch.arange(len(images), device=images.device)
        logits = grader(images, torch.full_like(apart, cell), apart).double()
        others = torch.cat([logits[:, :grade], logits[:, grade + 1 :]], dim=1)
        log_odds: Tensor = logits[:, grade] - others.logsumexp(dim=1)
        return log_odds

    change: Tensor = Occlusion(odds).attribute(
        grader.see(crop),
        sliding_window_shapes=(3, patch, patch),
        strides=(3, patch, patch),
        baselines=_GREY,
        perturbations_per_eval=_PATCHES**2,
    )
    # All pixels of a patch have its value; the mean over a patch's size puts the peak into the patch's middle.
    reach = patch // 2
    return F.avg_pool2d(change[:, :1], 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)[0, 0]


def _over_crop(evidence: Tensor, grader: Grader) -> Tensor:
    """Lays what was found in the grader's window over the packed crop, (crop_pixels, crop_pixels)."""
    config = grader.config
    side = config.prepare.crop_pixels
    to_window = torch.eye(2, 3, dtype=evidence.dtype, device=evidence.device) * config.prepare.crop_mm / config.crop_mm
    grid = F.affine_grid(to_window[None], [1, 1, side, side], align_corners=False)
    heat = F.grid_sample(evidence[None, None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    inside: Tensor = grid[0].abs().amax(dim=-1) <= 1
    return heat[0, 0] * inside
