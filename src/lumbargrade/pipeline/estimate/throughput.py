"""What a training takes: memory, from the tensors that a small batch keeps for its gradients; pace, from a few steps."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from lumbargrade.config.params import LocatorParams, Params, TrainingParams
from lumbargrade.config.task import GradingTask
from lumbargrade.frozen import Frozen
from lumbargrade.models.grader import Grader, GraderConfig
from lumbargrade.models.heatmap import turned
from lumbargrade.models.locator import Locator, LocatorConfig, Offsets, SpineShape, normalise
from lumbargrade.training.grader.fit import weighted_cross_entropy
from lumbargrade.training.jobs.devices import find_devices
from lumbargrade.training.loop.augment import random_intensity, random_transforms
from lumbargrade.training.loop.precision import choose_precision

_WEIGHT_BYTES = 16
"""A weight, its gradient and AdamW's two moments, 4 bytes each."""
_SMALL, _LARGER = 2, 4
"""Batches whose kept tensors are measured; what a larger one keeps lies on the line through them."""
_STEPS, _SECONDS = 4, 20.0
"""Steps that are timed, and after how long no other one is begun."""


class TrainingCost(Frozen):
    """What training a network takes on this machine.

    Attributes:
        weights: Number of its parameters.
        memory_bytes: Weights, gradients, optimizer, and what a batch keeps for its gradients. The device's own libraries
            and their workspaces come on top.
        images_per_second: Training images; None if a batch does not fit the device.
        device: Where the steps were timed.
    """

    network: str
    weights: int
    batch_size: int
    image_pixels: int
    memory_bytes: int
    images_per_second: float | None
    device: str


@dataclass(frozen=True)
class TrainedNetwork:
    """A network, and the loss of a batch of so many random images on a device."""

    name: str
    module: nn.Module
    training: TrainingParams | LocatorParams
    image_pixels: int
    loss: Callable[[int, torch.device], Tensor]


def make_grader(params: Params, task: GradingTask) -> TrainedNetwork:
    """The grader as it is trained, at its batch size and image size."""
    training = params.training
    grader = Grader(GraderConfig.of(task, params.prepare, training))
    generator = torch.Generator().manual_seed(0)
    side = params.prepare.crop_pixels

    def loss(batch: int, device: torch.device) -> Tensor:
        crops = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8).to(device)
        crops = random_intensity(crops, training.augmentation, generator)
        images = grader.see(crops, random_transforms(batch, training.augmentation, generator).to(device))
        cells = torch.zeros(batch, dtype=torch.long, device=device)
        weights = torch.tensor(training.grade_weights or task.grade_weights, device=device)
        total, weight = weighted_cross_entropy(grader(images, cells).float(), cells, weights)
        return total / weight

    return TrainedNetwork("grader", grader, training, training.image_pixels, loss)


def make_locator(params: Params, task: GradingTask) -> TrainedNetwork:
    """The locator as it is trained: the network that has the most maps."""
    shape = SpineShape(steps=Offsets(mean=[], precision=[]), places={})
    config = LocatorConfig(
        task=task, prepare=params.prepare, views=params.views, width=params.locator.width, shape=shape
    )
    locator = Locator(config)
    orientation = next(iter(locator.networks))
    generator = torch.Generator().manual_seed(0)
    pixels = params.views.pixels

    def loss(batch: int, device: torch.device) -> Tensor:
        views = torch.randint(0, 256, (batch, 3, pixels, pixels), dtype=torch.uint8).to(device)
        images = turned(views, random_transforms(batch, params.locator.augmentation, generator).to(device))
        maps, contrasts = locator(normalise(images), orientation)
        loss: Tensor = -maps.log_softmax(2).mean() - contrasts.log_softmax(1).mean()
        return loss

    return TrainedNetwork("locator", locator, params.locator, pixels, loss)


def estimate_cost(network: TrainedNetwork) -> TrainingCost:
    """Estimates memory and pace of a network's training in one process with all threads."""
    device = find_devices(network.training.threads)[0]
    place = torch.device("cpu" if device.name == "cpu" else "cuda")
    weights = sum(parameter.numel() for parameter in network.module.parameters())
    batch = network.training.batch_size
    small, larger = (_kept_bytes(network, size) for size in (_SMALL, _LARGER))
    each = (larger - small) / (_LARGER - _SMALL)
    with _threads(device.threads):
        pace = _images_per_second(network, place)
    return TrainingCost(
        network=network.name,
        weights=weights,
        batch_size=batch,
        image_pixels=network.image_pixels,
        memory_bytes=round(weights * _WEIGHT_BYTES + small + each * (batch - _SMALL)),
        images_per_second=pace,
        device=device.name,
    )


def _kept_bytes(network: TrainedNetwork, batch: int) -> int:
    """Bytes that the forward pass of a batch keeps for the backward pass, but for the weights themselves.

    It is measured on the CPU in numbers as narrow as a GPU would take.
    """
    tensors = [*network.module.parameters(), *network.module.buffers()]
    own = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    kept: dict[int, Tensor] = {}  # the tensors too, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in own:
            kept[address] = tensor
        return tensor

    narrow = network.training.precision != "fp32"
    network.module.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            network.loss(batch, torch.device("cpu"))
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _images_per_second(network: TrainedNetwork, device: torch.device) -> float | None:
    """Pace of training steps, after one that is not timed; None if the device's memory does not hold a batch."""
    times: list[float] = []
    begun = time.monotonic()
    try:
        for seconds in training_steps(network, device):
            times.append(seconds)
            if len(times) > _STEPS or (len(times) > 1 and time.monotonic() - begun > _SECONDS):
                break
    except torch.OutOfMemoryError:
        return None
    return network.training.batch_size / median(times[1:])


def training_steps(network: TrainedNetwork, device: torch.device) -> Iterator[float]:
    """Does training steps without end; yields the seconds that each has taken. The first one is slower."""
    precision = choose_precision(network.training.precision, device)
    module = network.module.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(module.parameters(), lr=network.training.learning_rate, fused=True)
    while True:
        started = time.monotonic()
        with precision.autocast():
            loss = network.loss(network.training.batch_size, device)
        optimizer.zero_grad(set_to_none=True)
        precision.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        precision.scaler.step(optimizer)
        precision.scaler.update()
        loss.item()
        yield time.monotonic() - started


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
