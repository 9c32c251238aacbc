"""Trains one fold: AdamW, cosine schedule with warm-up, mixed precision, early stopping.

The same code on CPUs and GPUs; the device is the one that the process was given.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lumbargrade.evaluation.calibrate import calibrated_loss
from lumbargrade.inference.predict import cell_codes, predict_studies
from lumbargrade.models.grader import Grader, GraderConfig, load_grader, save_grader
from lumbargrade.models.weights import load_weights
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.training.grader.batches import shuffled_batches, whole_batches
from lumbargrade.training.grader.input_files import check_unchanged
from lumbargrade.training.grader.label_weights import label_trust
from lumbargrade.training.grader.sampling import Rows, crops_per_epoch, fold_rows
from lumbargrade.training.jobs.spec import MODEL, Epoch, FoldResult, FoldSpec, GraderSpec
from lumbargrade.training.loop.augment import (
    mix_partners,
    random_aspects,
    random_bias,
    random_erasing,
    random_gamma,
    random_intensity,
    random_transforms,
)
from lumbargrade.training.loop.checkpoint import Learner
from lumbargrade.training.loop.loop import finish_fold, train_epochs
from lumbargrade.training.loop.precision import begin_training, choose_precision
from lumbargrade.training.loop.schedule import layered_groups, steps_per_epoch, warmup_cosine


def train_fold(spec: FoldSpec, each_epoch: Callable[[Epoch], None] | None = None) -> FoldResult:
    """Trains a fold and writes model, history, predictions and, last, the result; goes on where it was killed.

    Raises:
        InputError: The fold has no crops to train on or to validate with, or a file that it names is missing or another one.
        DivergedError: The loss became infinite or no number.
    """
    run = GraderRun.begin(spec)
    course = train_epochs(run, spec.training.patience, each_epoch)
    return finish_fold(run, course, run.predictions())


@dataclass
class GraderRun:
    """The state of one training run."""

    spec: GraderSpec
    device: torch.device
    grader: Grader
    learner: Learner
    packed: PackedCrops
    cells: Tensor
    grades: Tensor
    owners: Tensor
    weights: Tensor
    trust: Tensor | None
    training: Rows
    validation: dict[str, Rows]

    @classmethod
    def begin(cls, spec: GraderSpec) -> Self:
        """Reads what a training run works on, and seeds it.

        Raises:
            InputError: There are no crops to train on or to validate with, or a file that is named is missing or another one.
        """
        params = spec.training
        check_unchanged(spec.files)
        device, seed = begin_training(spec.seed, spec.fold, params.deterministic)
        packed = PackedCrops(spec.crops, *([spec.located] if spec.located else []))
        trust = label_trust(params, packed.index, spec.task)
        training, validation = cls.choose(packed.index, pd.read_csv(spec.split), spec.fold, trust)
        grader = Grader(GraderConfig.of(spec.task, spec.prepare, params))
        load_weights(grader, params.weights)
        grader = grader.to(device).to(memory_format=torch.channels_last)
        averaging = get_ema_multi_avg_fn(params.ema)  # type: ignore[no-untyped-call]
        optimizer = torch.optim.AdamW(layered_groups(grader, params), fused=True)
        steps = steps_per_epoch(crops_per_epoch(packed.index, training), params)
        learner = Learner(
            network=grader,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(params, steps)),
            precision=choose_precision(params.precision, device),
            generator=torch.Generator().manual_seed(seed),
            average=AveragedModel(grader, multi_avg_fn=averaging, use_buffers=True) if params.ema else None,
        )
        return cls(
            spec=spec,
            device=device,
            grader=grader,
            learner=learner,
            packed=packed,
            cells=torch.from_numpy(cell_codes(packed.index, spec.task)).to(device),
            grades=torch.from_numpy(packed.index["grade"].fillna(0).to_numpy(np.int64)).to(device),
            owners=torch.tensor(packed.index.groupby(["study_id", "folder"]).ngroup().tolist(), device=device),
            weights=torch.tensor(params.grade_weights or spec.task.grade_weights, device=device),
            trust=None if trust is None else torch.from_numpy(trust).to(device),
            training=training,
            validation=validation,
        )

    @staticmethod
    def choose(
        index: pd.DataFrame, split: pd.DataFrame, fold: int, trust: NDArray[np.float32] | None
    ) -> tuple[Rows, dict[str, Rows]]:
        """Rows that train and that validate, see :func:`fold_rows`."""
        return fold_rows(index, split, fold, trust)

    @property
    def kept(self) -> Grader:
        """The grader that is validated and kept: the last weights, or their moving average."""
        return self.grader if self.learner.average is None else cast(Grader, self.learner.average.module)

    @property
    def images_per_epoch(self) -> int:
        """Crops that an epoch trains on; some of them several times in a small dataset."""
        return self.steps * self.spec.training.batch_size

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return steps_per_epoch(crops_per_epoch(self.packed.index, self.training), self.spec.training)

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Passes once over the training crops, then over the validation crops."""
        thawed = number > self.spec.training.freeze_epochs
        self.grader.train()
        self.grader.features.requires_grad_(thawed).train(thawed)
        return self._train(), *self._validate()

    def keep(self) -> None:
        """Writes the grader."""
        save_grader(self.kept, self.spec.folder / MODEL)

    def predictions(self) -> pd.DataFrame:
        """What the grader that was kept says of the validation cells, by ``points``."""
        graders = [load_grader(self.spec.folder / MODEL).to(self.device)]
        return pd.concat(
            predict_studies(graders, self.packed, rows, self.spec.task).assign(points=points)
            for points, rows in self.validation.items()
            if len(rows)
        )

    def _train(self) -> float:
        total = weight = torch.zeros((), device=self.device)
        for rows in self._batches():
            loss_sum, weight_sum = self._training_loss(rows)
            self.learner.step(loss_sum / weight_sum)
            total, weight = total + loss_sum.detach(), weight + weight_sum
        return float(total / weight)

    def _training_loss(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Loss of augmented crops, as :func:`weighted_cross_entropy` returns it."""
        images = self._augmented(rows)
        if not self.spec.training.mixup:
            return self._loss(self._logits(self.grader, images, rows), rows)
        images, share, partners = self._mixed(images, rows)
        logits = self._logits(self.grader, images, rows)
        own, other = self._loss(logits, rows), self._loss(logits, rows[partners.cpu().numpy()])
        return share * own[0] + (1 - share) * other[0], share * own[1] + (1 - share) * other[1]

    def _loss(self, logits: Tensor, labelled: Rows) -> tuple[Tensor, Tensor]:
        """Loss against the labels of these rows, as :func:`weighted_cross_entropy` returns it."""
        trust = None if self.trust is None else self.trust[labelled]
        return weighted_cross_entropy(
            logits, self.grades[labelled], self.weights, self.spec.training.label_smoothing, trust
        )

    def _augmented(self, rows: Rows) -> Tensor:
        """What the network sees of some crops, changed at random."""
        params, crops = self.spec.training, self._crops(rows)
        if params.flips:
            turned = torch.rand(len(rows), 1, 1, 1, generator=self.learner.generator) < 0.5
            crops = torch.where(turned.to(self.device), self.grader.mirror(crops, self.cells[rows]), crops)
        generator = self.learner.generator
        transforms = random_transforms(len(rows), params.augmentation, generator)
        crops = random_intensity(crops, params.augmentation, generator)
        if params.style:
            transforms = random_aspects(transforms, params.style, generator)
            crops = random_bias(random_gamma(crops, params.style, generator), params.style, generator)
        crops = random_erasing(crops, params.erase, generator)
        return self.grader.see(crops, transforms.to(self.device))

    def _mixed(self, images: Tensor, rows: Rows) -> tuple[Tensor, float, Tensor]:
        """Images mixed with others of their group; the share that is their own; the places of the others."""
        alpha = self.spec.training.mixup
        share = float(np.random.default_rng(self._seed()).beta(alpha, alpha))
        groups = self.grader.group_of_cell[self.cells[rows]]
        partners = mix_partners(groups, self.learner.generator).to(self.device)
        return share * images + (1 - share) * images[partners], share, partners

    def _logits(self, grader: Grader, images: Tensor, rows: Rows) -> Tensor:
        with self.learner.precision.autocast():
            logits: Tensor = grader(images, self.cells[rows], self.owners[rows])
        return logits.float()

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        grader = self.kept.eval()
        located = self.validation.get("located")
        validation = self.validation["labelled"] if located is None or not len(located) else located
        size = self.spec.training.batch_size
        parts = [validation[start : start + size] for start in range(0, len(validation), size)]
        logits = torch.cat([self._logits(grader, grader.see(self._crops(rows)), rows) for rows in parts])
        grades = self.grades[validation].cpu().numpy()
        groups = self.packed.index["group"].to_numpy(np.str_)[validation]
        loss = calibrated_loss(self.spec.task, groups, logits.double().cpu().numpy(), grades)
        return loss, float((logits.argmax(1).cpu().numpy() == grades).mean())

    def _batches(self) -> Iterator[Rows]:
        size, rows = self.spec.training.batch_size, self.training
        if self.spec.training.context == "none":
            return shuffled_batches(rows, size, self.steps, self.learner.generator)
        return whole_batches(rows, self.owners[rows].cpu().numpy(), size, self.steps, self.learner.generator)

    def _seed(self) -> int:
        return int(torch.randint(2**31, (), generator=self.learner.generator))

    def _crops(self, rows: Rows) -> Tensor:
        return torch.from_numpy(self.packed.take(rows)).to(self.device, non_blocking=True)


def weighted_cross_entropy(
    logits: Tensor, grades: Tensor, weights: Tensor, smoothing: float = 0.0, trust: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Returns the weighted sum of the cross-entropies and the sum of the weights; their ratio is the loss.

    Args:
        logits: (batch, grades).
        grades: (batch,).
        weights: Weight of each grade, (grades,).
        smoothing: Share of a grade's probability that is given to all alike.
        trust: How much each label counts beside its grade's weight, 0 to 1, (batch,).
    """
    loss = F.cross_entropy(logits, grades, weight=weights, reduction="sum", label_smoothing=smoothing)
    if trust is None:
        return loss, weights[grades].sum()
    # Taken off, not multiplied before the sum: with every trust 1 that is exactly 0, and the loss the same bit for bit.
    each = F.cross_entropy(logits, grades, weight=weights, reduction="none", label_smoothing=smoothing)
    return loss - ((1 - trust) * each).sum(), weights[grades].sum() - ((1 - trust) * weights[grades]).sum()
