"""How AdamW's rates go: which weights decay, how many steps an epoch has, how the learning rate rises and falls."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from torch import nn

from lumbargrade.config.params import LocatorParams, TrainingParams
from lumbargrade.models.grader import Grader


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
    return list(_groups(network.parameters(), weight_decay))


def layered_groups(grader: Grader, params: TrainingParams) -> list[dict[str, object]]:
    """Parameter groups whose rates fall from the heads down to the first layers by ``layer_decay`` a part."""
    if params.layer_decay == 1:
        return [dict(group, lr=params.learning_rate) for group in _groups(grader.parameters(), params.weight_decay)]
    backbone = list(grader.features.parameters())
    own = {id(parameter) for parameter in backbone}
    rest = [parameter for parameter in grader.parameters() if id(parameter) not in own]
    parts: list[list[nn.Parameter]] = [rest, []]
    for name, module in reversed(list(grader.features.named_children())):
        parts[-1] += list(module.parameters())
        if name.startswith("denseblock"):
            parts.append([])
    return [
        dict(group, lr=params.learning_rate * params.layer_decay**depth)
        for depth, part in enumerate(parts)
        for group in _groups(part, params.weight_decay)
    ]


def _groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> Iterator[dict[str, object]]:
    kept = list(parameters)
    yield {"params": [p for p in kept if p.ndim > 1], "weight_decay": weight_decay}
    yield {"params": [p for p in kept if p.ndim <= 1], "weight_decay": 0.0}
