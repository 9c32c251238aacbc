"""Trains one fold: AdamW, cosine schedule with warm-up, mixed precision, early stopping.

The same code on CPUs and GPUs; the device is the one that the process was given.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lumbargrade.errors import DivergedError, InputError
from lumbargrade.files import replaced_file, write_text
from lumbargrade.models.backbone import load_backbone
from lumbargrade.models.grader import Grader, GraderConfig, load_grader, save_grader
from lumbargrade.prepare.pack import PackedCrops
from lumbargrade.prepare.split import HOLDOUT
from lumbargrade.training.augment import random_intensity, random_transforms
from lumbargrade.training.precision import Precision, begin_training, choose_precision
from lumbargrade.training.predict import cell_codes, predict_studies
from lumbargrade.training.schedule import parameter_groups, steps_per_epoch, warmup_cosine
from lumbargrade.training.spec import HISTORY, MODEL, PREDICTIONS, RESULT, Epoch, FoldResult, FoldSpec

_FAR_MM = 10.0
"""A located crop farther than this from its label shows something else."""


def train_fold(spec: FoldSpec, each_epoch: Callable[[Epoch], None] | None = None) -> FoldResult:
    """Trains a fold from its beginning and writes model, history, predictions and, last, the result.

    Raises:
        InputError: The fold has no crops to train on or to validate with, or the weights cannot be had.
        DivergedError: The loss became infinite or no number.
    """
    started = time.monotonic()
    run = _Run.begin(spec)
    best: Epoch | None = None
    (spec.folder / HISTORY).unlink(missing_ok=True)
    for number in range(1, spec.training.epochs + 1):
        epoch = run.epoch(number)
        with (spec.folder / HISTORY).open("a", encoding="utf-8") as history:
            history.write(epoch.model_dump_json() + "\n")
        if each_epoch is not None:
            each_epoch(epoch)
        patience = spec.training.patience
        if patience == 0 or best is None or epoch.validation_loss < best.validation_loss:
            best = epoch
            if patience or number == spec.training.epochs:
                save_grader(run.grader, spec.folder / MODEL)
        elif number - best.epoch >= patience:
            break
    assert best is not None
    graders = [load_grader(spec.folder / MODEL).to(run.device)]
    predictions = pd.concat(
        predict_studies(graders, run.packed, rows, spec.task).assign(points=points)
        for points, rows in run.validation.items()
        if len(rows)
    )
    with replaced_file(spec.folder / PREDICTIONS) as temporary:
        predictions.to_parquet(temporary, index=False)
    seconds = time.monotonic() - started
    result = FoldResult(
        fold=spec.fold,
        folder=spec.folder,
        epoch=best.epoch,
        epochs=number,
        validation_loss=best.validation_loss,
        device=run.device.type,
        precision=run.precision.name,
        threads=torch.get_num_threads(),
        images_per_second=number * run.crops_per_epoch / seconds,
        seconds=seconds,
    )
    write_text(spec.folder / RESULT, result.model_dump_json(indent=2))
    return result


@dataclass
class _Run:
    """The state of one training run."""

    spec: FoldSpec
    device: torch.device
    precision: Precision
    grader: Grader
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    generator: torch.Generator
    packed: PackedCrops
    cells: Tensor
    grades: Tensor
    weights: Tensor
    training: NDArray[np.int64]
    validation: dict[str, NDArray[np.int64]]

    @classmethod
    def begin(cls, spec: FoldSpec) -> "_Run":
        params = spec.training
        device, seed = begin_training(spec.seed, spec.fold, params.deterministic)
        packed = PackedCrops(spec.crops, *([spec.located] if spec.located else []))
        training, validation = fold_rows(packed.index, pd.read_csv(spec.split), spec.fold)
        config = GraderConfig(
            task=spec.task,
            prepare=spec.prepare,
            crop_mm=params.crop_mm,
            image_pixels=params.image_pixels,
            drop_rate=params.drop_rate,
        )
        grader = Grader(config)
        load_backbone(grader, params.weights)
        grader = grader.to(device).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(parameter_groups(grader, params.weight_decay), lr=params.learning_rate)
        steps = steps_per_epoch(_cells(packed.index, training), params)
        return cls(
            spec=spec,
            device=device,
            precision=choose_precision(params.precision, device),
            grader=grader,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(params, steps)),
            generator=torch.Generator().manual_seed(seed),
            packed=packed,
            cells=torch.from_numpy(cell_codes(packed.index, spec.task)).to(device),
            grades=torch.from_numpy(packed.index["grade"].fillna(0).to_numpy(np.int64)).to(device),
            weights=torch.tensor(params.grade_weights or spec.task.grade_weights, device=device),
            training=training,
            validation=validation,
        )

    @property
    def crops_per_epoch(self) -> int:
        """Crops that an epoch trains on; some of them several times in a small dataset."""
        return self.steps * self.spec.training.batch_size

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return steps_per_epoch(_cells(self.packed.index, self.training), self.spec.training)

    def epoch(self, number: int) -> Epoch:
        """Passes once over the training crops, then over the validation crops."""
        started = time.monotonic()
        train_loss = self._train()
        validation_loss, accuracy = self._validate()
        if not np.isfinite([train_loss, validation_loss]).all():
            raise DivergedError(
                f"fold {self.spec.fold}: the loss is no longer a number in epoch {number}; lower training.learning_rate "
                f"(now {self.spec.training.learning_rate:g}) or set training.precision to fp32"
            )
        return Epoch(
            epoch=number,
            train_loss=train_loss,
            validation_loss=validation_loss,
            validation_accuracy=accuracy,
            learning_rate=float(self.schedule.get_last_lr()[0]),
            seconds=time.monotonic() - started,
        )

    def _train(self) -> float:
        self.grader.train()
        strength = self.spec.training.augmentation
        total = weight = torch.zeros((), device=self.device)
        for rows in self._batches():
            transforms = random_transforms(len(rows), strength, self.generator).to(self.device)
            crops = random_intensity(self._crops(rows), strength, self.generator)
            loss_sum, weight_sum = self._loss(crops, rows, transforms)
            self.optimizer.zero_grad(set_to_none=True)
            self.precision.scaler.scale(loss_sum / weight_sum).backward()  # type: ignore[no-untyped-call]
            self.precision.scaler.step(self.optimizer)
            self.precision.scaler.update()
            self.schedule.step()
            total, weight = total + loss_sum.detach(), weight + weight_sum
        return float(total / weight)

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        self.grader.eval()
        total = weight = torch.zeros((), device=self.device)
        right = torch.zeros((), device=self.device)
        located = self.validation.get("located")
        validation = self.validation["labelled"] if located is None or not len(located) else located
        for start in range(0, len(validation), self.spec.training.batch_size):
            rows = validation[start : start + self.spec.training.batch_size]
            with self.precision.autocast():
                logits = self.grader(self.grader.see(self._crops(rows)), self.cells[rows]).float()
            loss_sum, weight_sum = weighted_cross_entropy(logits, self.grades[rows], self.weights)
            right += (logits.argmax(1) == self.grades[rows]).sum()
            total, weight = total + loss_sum, weight + weight_sum
        return float(total / weight), float(right) / len(validation)

    def _loss(self, crops: Tensor, rows: NDArray[np.int64], transforms: Tensor) -> tuple[Tensor, Tensor]:
        images = self.grader.see(crops, transforms)
        with self.precision.autocast():
            logits = self.grader(images, self.cells[rows]).float()
        return weighted_cross_entropy(logits, self.grades[rows], self.weights)

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        size = self.spec.training.batch_size
        steps = self.steps
        passes = -(-steps * size // len(self.training))
        order = np.concatenate([self._shuffled() for _ in range(passes)])
        for step in range(steps):
            yield order[step * size : (step + 1) * size]

    def _shuffled(self) -> NDArray[np.int64]:
        order = torch.randperm(len(self.training), generator=self.generator).numpy()
        return np.asarray(self.training[order])

    def _crops(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.packed.take(rows)).to(self.device, non_blocking=True)


def fold_rows(
    index: pd.DataFrame, split: pd.DataFrame, fold: int
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Rows of the index that train and that validate in a fold; only labelled crops, nothing of the holdout.

    A crop that was located far from where the cell is does not train; it validates all the same.

    Returns:
        Rows that train; rows that validate, ``labelled`` and ``located`` ones apart, of which the latter may be none.

    Raises:
        InputError: There are none to train on, or no labelled ones to validate with.
    """
    folds = index["study_id"].map(split.set_index("study_id")["fold"])
    graded = index["grade"].notna() & folds.notna() & (folds != HOLDOUT)
    training = np.flatnonzero(graded & (folds != fold) & ~(index["error_mm"] > _FAR_MM))
    kinds = ["labelled", "located"][: index["folder"].max() + 1]
    validation = {
        kind: np.flatnonzero(graded & (folds == fold) & (index["folder"] == place)) for place, kind in enumerate(kinds)
    }
    labelled = len(validation["labelled"])
    if not len(training) or not labelled:
        raise InputError(f"fold {fold} has {len(training)} crops to train on and {labelled} to validate with")
    return training, validation


def _cells(index: pd.DataFrame, rows: NDArray[np.int64]) -> int:
    """Crops of an epoch: one for each labelled or located crop, whichever are more; the two take turns."""
    return int(index["folder"].iloc[rows].value_counts().max())


def weighted_cross_entropy(logits: Tensor, grades: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the weighted sum of the cross-entropies and the sum of the weights; their ratio is the loss.

    Args:
        logits: (batch, grades).
        grades: (batch,).
        weights: Weight of each grade, (grades,).
    """
    return F.cross_entropy(logits, grades, weight=weights, reduction="sum"), weights[grades].sum()
