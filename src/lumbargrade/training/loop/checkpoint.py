"""The state of a training run between two epochs, as one file, so that a killed run goes on as if nothing had happened."""

import hashlib
import pickle
import random
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lumbargrade.config.code_digest import TRAINING, code_digest
from lumbargrade.files import remove_cut_off, write_bytes
from lumbargrade.training.jobs.spec import CHECKPOINT, AnySpec, Epoch, placeless
from lumbargrade.training.loop.precision import Precision

_BROKEN = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError)
"""What torch raises for a file that is cut off or is none of its own."""


@dataclass
class Learner:
    """All that training changes.

    Attributes:
        average: The moving average of the network's weights, if there is one.
        generator: Draws the order of the data and its augmentation.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    precision: Precision
    generator: torch.Generator
    average: AveragedModel | None = None

    def step(self, loss: Tensor) -> None:
        """One step of the optimizer down the gradient of a batch's mean loss."""
        self.optimizer.zero_grad(set_to_none=True)
        self.precision.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.precision.scaler.step(self.optimizer)
        self.precision.scaler.update()
        self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.network)

    def state(self) -> dict[str, Any]:
        """All of it, and the random numbers that are to come, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
            "generator": self.generator.get_state(),
            "random": _random_state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what :meth:`state` returned."""
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.precision.scaler.is_enabled():
            self.precision.scaler.load_state_dict(state["scaler"])
        self.generator.set_state(state["generator"])
        _set_random_state(state["random"])


class Checkpoint:
    """The checkpoint of one fold. One of another spec, other code, another torch or device is as none."""

    def __init__(self, spec: AnySpec, learner: Learner, device: torch.device) -> None:
        """Removes what a write that was cut off has left."""
        self.path = spec.folder / CHECKPOINT
        self.learner = learner
        told = [placeless(spec), code_digest(TRAINING), torch.__version__, device.type, learner.precision.name]
        self.digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
        remove_cut_off(self.path)

    def save(self, history: list[Epoch], seconds: float) -> None:
        """Writes the state after the last epoch of a history, atomically.

        Args:
            seconds: How long the training has taken so far.
        """
        told = {
            "digest": self.digest,
            "history": [epoch.model_dump() for epoch in history],
            "seconds": seconds,
            "state": self.learner.state(),
        }
        content = BytesIO()  # onto a full disk torch would write with an error of its own that does not say so
        torch.save(told, content)
        write_bytes(self.path, content.getvalue())

    def load(self) -> tuple[list[Epoch], float]:
        """Takes the state up, if there is one, and returns the history and the seconds that led to it."""
        if not self.path.is_file():
            return [], 0.0
        try:
            told = torch.load(self.path, map_location="cpu", weights_only=True)
            if told["digest"] != self.digest:
                return [], 0.0
        except _BROKEN:
            return [], 0.0
        self.learner.load(told["state"])
        return [Epoch.model_validate(epoch) for epoch in told["history"]], float(told["seconds"])


def _random_state() -> dict[str, Any]:
    """Of Python, NumPy and torch: whoever draws from them draws on."""
    numpy_state: dict[str, Any] = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": {**numpy_state, "state": {**numpy_state["state"], "key": numpy_state["state"]["key"].tolist()}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    key = np.array(state["numpy"]["state"]["key"], dtype=np.uint32)
    np.random.set_state({**state["numpy"], "state": {**state["numpy"]["state"], "key": key}})
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def remove_checkpoint(folder: Path) -> None:
    """Removes the checkpoint of a fold that is finished, or given up."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
