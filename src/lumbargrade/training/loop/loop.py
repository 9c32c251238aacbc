"""What training a grader and training a locator share: epoch after epoch, checkpoints, and what a fold leaves behind."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from lumbargrade.errors import DivergedError
from lumbargrade.files import replaced_file, write_text
from lumbargrade.training.jobs.spec import (
    HISTORY,
    PREDICTIONS,
    RESULT,
    AnySpec,
    Epoch,
    FoldResult,
    LocatorSpec,
    WorkerSettings,
)
from lumbargrade.training.loop.checkpoint import Checkpoint, Learner, remove_checkpoint


class Run(Protocol):
    """A training run of one fold."""

    device: torch.device
    learner: Learner

    @property
    def spec(self) -> AnySpec:
        """What it was told."""

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch trains on; some of them several times in a small dataset."""

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Trains for an epoch; returns training loss, validation loss and accuracy (see :class:`Epoch`)."""

    def keep(self) -> None:
        """Writes the network as it is now: it is the best so far."""


@dataclass(frozen=True)
class Course:
    """How the epochs of a fold went.

    Attributes:
        best: The epoch whose weights are kept.
        epochs: Number of epochs.
        started: When the training would have begun, had it not been interrupted (:func:`time.monotonic`).
        began: When this process began.
    """

    best: Epoch
    epochs: int
    started: float
    began: datetime


def train_epochs(run: Run, patience: int = 0, each_epoch: Callable[[Epoch], None] | None = None) -> Course:
    """Trains epoch after epoch, from the last one that a killed run of the same fold had finished.

    The checkpoint is written first, then the network if it is the best one, then the history: a run that is killed in
    between does again what may be missing, and the history never tells of an epoch that the checkpoint does not have.

    Args:
        patience: Epochs without a better validation loss before the training stops; 0 keeps the last epoch's weights.

    Raises:
        DivergedError: The loss became infinite or no number.
    """
    spec = run.spec
    checkpoint = Checkpoint(spec, run.learner, run.device)
    history, seconds = checkpoint.load()
    started, began = time.monotonic() - seconds, datetime.now(UTC)
    write_text(spec.folder / HISTORY, "".join(_line(epoch) for epoch in history))
    if history and patience and _best(history, patience) is history[-1]:
        run.keep()
    while len(history) < spec.training.epochs and not _stops(history, patience):
        try:
            epoch = _epoch(run, len(history) + 1)
        except DivergedError:
            remove_checkpoint(spec.folder)
            raise
        history.append(epoch)
        checkpoint.save(history, time.monotonic() - started)
        if patience and _best(history, patience) is epoch:
            run.keep()
        with (spec.folder / HISTORY).open("a", encoding="utf-8") as file:
            file.write(_line(epoch))
        if each_epoch is not None:
            each_epoch(epoch)
    best = _best(history, patience)
    if best is history[-1]:
        run.keep()
    return Course(best, len(history), started, began)


def finish_fold(run: Run, course: Course, predictions: pd.DataFrame) -> FoldResult:
    """Writes predictions and, last, the result; the checkpoint has done its work."""
    spec = run.spec
    with replaced_file(spec.folder / PREDICTIONS) as temporary:
        predictions.to_parquet(temporary, index=False)
    seconds, told = time.monotonic() - course.started, WorkerSettings()
    result = FoldResult(
        fold=spec.fold,
        folder=spec.folder,
        epoch=course.best.epoch,
        epochs=course.epochs,
        validation_loss=course.best.validation_loss,
        host=told.host or socket.gethostname(),
        device=told.device or run.device.type,
        began=course.began,
        ended=max(datetime.now(UTC), course.began),  # the clock may have been set back meanwhile
        precision=run.learner.precision.name,
        threads=torch.get_num_threads(),
        images_per_second=course.epochs * run.images_per_epoch / seconds,
        seconds=seconds,
    )
    write_text(spec.folder / RESULT, result.model_dump_json(indent=2))
    remove_checkpoint(spec.folder)
    return result


def _epoch(run: Run, number: int) -> Epoch:
    started = time.monotonic()
    train_loss, validation_loss, accuracy = run.epoch(number)
    if not np.isfinite([train_loss, validation_loss]).all():
        training = run.spec.training
        section = "locator" if isinstance(run.spec, LocatorSpec) else "training"
        raise DivergedError(
            f"{run.spec.name}: the loss is no longer a number in epoch {number}",
            f"lower {section}.learning_rate (now {training.learning_rate:g}) or set {section}.precision to fp32",
            "loss-diverged",
        )
    return Epoch(
        epoch=number,
        train_loss=train_loss,
        validation_loss=validation_loss,
        validation_accuracy=accuracy,
        learning_rate=float(run.learner.schedule.get_last_lr()[0]),
        seconds=time.monotonic() - started,
    )


def _best(history: list[Epoch], patience: int) -> Epoch:
    return min(history, key=lambda epoch: epoch.validation_loss) if patience else history[-1]


def _stops(history: list[Epoch], patience: int) -> bool:
    """Whether the last epochs have not been better for too long."""
    return bool(history and patience) and history[-1].epoch - _best(history, patience).epoch >= patience


def _line(epoch: Epoch) -> str:
    return epoch.model_dump_json() + "\n"
