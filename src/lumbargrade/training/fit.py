"""Trains one fold: AdamW, cosine schedule with warm-up, mixed precision, early stopping.

The same code on CPUs and GPUs; the device is the one that the process was given.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lumbargrade.errors import DivergedError, InputError
from lumbargrade.files import replaced_file, write_text
from lumbargrade.models.backbone import load_backbone
from lumbargrade.models.grader import Grader, GraderConfig, load_grader, save_grader
from lumbargrade.prepare.pack import PackedCrops
from lumbargrade.prepare.split import HOLDOUT
from lumbargrade.training.augment import mix_partners, random_erasing, random_intensity, random_transforms
from lumbargrade.training.batches import shuffled_batches, whole_batches
from lumbargrade.training.precision import Precision, begin_training, choose_precision
from lumbargrade.training.predict import cell_codes, predict_studies
from lumbargrade.training.schedule import layered_groups, steps_per_epoch, warmup_cosine
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
                save_grader(run.kept, spec.folder / MODEL)
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
    average: AveragedModel | None
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    generator: torch.Generator
    packed: PackedCrops
    cells: Tensor
    grades: Tensor
    owners: Tensor
    weights: Tensor
    training: NDArray[np.int64]
    validation: dict[str, NDArray[np.int64]]

    @classmethod
    def begin(cls, spec: FoldSpec) -> "_Run":
        params = spec.training
        device, seed = begin_training(spec.seed, spec.fold, params.deterministic)
        packed = PackedCrops(spec.crops, *([spec.located] if spec.located else []))
        training, validation = fold_rows(packed.index, pd.read_csv(spec.split), spec.fold)
        grader = Grader(GraderConfig.of(spec.task, spec.prepare, params))
        load_backbone(grader, params.weights)
        grader = grader.to(device).to(memory_format=torch.channels_last)
        averaging = get_ema_multi_avg_fn(params.ema)  # type: ignore[no-untyped-call]
        optimizer = torch.optim.AdamW(layered_groups(grader, params))
        steps = steps_per_epoch(_cells(packed.index, training), params)
        return cls(
            spec=spec,
            device=device,
            precision=choose_precision(params.precision, device),
            grader=grader,
            average=AveragedModel(grader, multi_avg_fn=averaging, use_buffers=True) if params.ema else None,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(params, steps)),
            generator=torch.Generator().manual_seed(seed),
            packed=packed,
            cells=torch.from_numpy(cell_codes(packed.index, spec.task)).to(device),
            grades=torch.from_numpy(packed.index["grade"].fillna(0).to_numpy(np.int64)).to(device),
            owners=torch.tensor(packed.index.groupby(["study_id", "folder"]).ngroup().tolist(), device=device),
            weights=torch.tensor(params.grade_weights or spec.task.grade_weights, device=device),
            training=training,
            validation=validation,
        )

    @property
    def kept(self) -> Grader:
        """The grader that is validated and kept: the last weights, or their moving average."""
        return self.grader if self.average is None else cast(Grader, self.average.module)

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
        self.grader.features.requires_grad_(number > self.spec.training.freeze_epochs)
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
        total = weight = torch.zeros((), device=self.device)
        for rows in self._batches():
            loss_sum, weight_sum = self._training_loss(rows)
            self.optimizer.zero_grad(set_to_none=True)
            self.precision.scaler.scale(loss_sum / weight_sum).backward()  # type: ignore[no-untyped-call]
            self.precision.scaler.step(self.optimizer)
            self.precision.scaler.update()
            self.schedule.step()
            if self.average is not None:
                self.average.update_parameters(self.grader)
            total, weight = total + loss_sum.detach(), weight + weight_sum
        return float(total / weight)

    def _training_loss(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Loss of augmented crops, as :func:`weighted_cross_entropy` returns it."""
        params, cells, grades = self.spec.training, self.cells[rows], self.grades[rows]
        images = self._augmented(rows)
        if not params.mixup:
            logits = self._logits(self.grader, images, rows)
            return weighted_cross_entropy(logits, grades, self.weights, params.label_smoothing)
        share = float(np.random.default_rng(self._seed()).beta(params.mixup, params.mixup))
        partners = mix_partners(self.grader.group_of_cell[cells], self.generator).to(self.device)
        logits = self._logits(self.grader, share * images + (1 - share) * images[partners], rows)
        own, other = (
            weighted_cross_entropy(logits, wanted, self.weights, params.label_smoothing)
            for wanted in (grades, grades[partners])
        )
        return share * own[0] + (1 - share) * other[0], share * own[1] + (1 - share) * other[1]

    def _augmented(self, rows: NDArray[np.int64]) -> Tensor:
        """What the network sees of some crops, changed at random."""
        params, crops = self.spec.training, self._crops(rows)
        if params.flips:
            turned = torch.rand(len(rows), 1, 1, 1, generator=self.generator) < 0.5
            crops = torch.where(turned.to(self.device), self.grader.mirror(crops, self.cells[rows]), crops)
        transforms = random_transforms(len(rows), params.augmentation, self.generator).to(self.device)
        crops = random_intensity(crops, params.augmentation, self.generator)
        crops = random_erasing(crops, params.erase, self.generator)
        return self.grader.see(crops, transforms)

    def _logits(self, grader: Grader, images: Tensor, rows: NDArray[np.int64]) -> Tensor:
        with self.precision.autocast():
            logits: Tensor = grader(images, self.cells[rows], self.owners[rows])
        return logits.float()

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        grader = self.kept.eval()
        total = weight = torch.zeros((), device=self.device)
        right = torch.zeros((), device=self.device)
        located = self.validation.get("located")
        validation = self.validation["labelled"] if located is None or not len(located) else located
        for start in range(0, len(validation), self.spec.training.batch_size):
            rows = validation[start : start + self.spec.training.batch_size]
            logits = self._logits(grader, grader.see(self._crops(rows)), rows)
            loss_sum, weight_sum = weighted_cross_entropy(logits, self.grades[rows], self.weights)
            right += (logits.argmax(1) == self.grades[rows]).sum()
            total, weight = total + loss_sum, weight + weight_sum
        return float(total / weight), float(right) / len(validation)

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        size, rows = self.spec.training.batch_size, self.training
        if self.spec.training.context == "none":
            return shuffled_batches(rows, size, self.steps, self.generator)
        return whole_batches(rows, self.owners[rows].cpu().numpy(), size, self.steps, self.generator)

    def _seed(self) -> int:
        return int(torch.randint(2**31, (), generator=self.generator))

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


def weighted_cross_entropy(
    logits: Tensor, grades: Tensor, weights: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Returns the weighted sum of the cross-entropies and the sum of the weights; their ratio is the loss.

    Args:
        logits: (batch, grades).
        grades: (batch,).
        weights: Weight of each grade, (grades,).
        smoothing: Share of a grade's probability that is given to all alike.
    """
    loss = F.cross_entropy(logits, grades, weight=weights, reduction="sum", label_smoothing=smoothing)
    return loss, weights[grades].sum()
