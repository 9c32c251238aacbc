"""How AdamW's rates go: which weights decay, how many steps an epoch has, how the learning rate rises and falls."""

from collections.abc import Callable

import numpy as np
from torch import nn

from lumbargrade.params import LocatorParams, TrainingParams


def steps_per_epoch(crops: int, params: TrainingParams) -> int:
    """Full batches only, so that no batch normalisation sees a few crops; but at least one batch."""
    return max(max(crops, params.epoch_crops) // params.batch_size, 1)


def warmup_cosine(params: TrainingParams | LocatorParams, steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: a line up from zero, then half a cosine down to zero.

    Args:
        steps: Steps of an epoch.
    """
    warmup = params.warmup_epochs * steps
    last = max(params.epochs * steps, warmup + 1)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return float(0.5 * (1 + np.cos(np.pi * min((step - warmup) / (last - warmup), 1))))

    return factor


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Decays matrices and kernels, not biases and normalisation."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
