"""Trains one fold of the locator and locates the studies that it has not seen."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lumbargrade.config.params import LocatorParams
from lumbargrade.errors import InputError
from lumbargrade.localization.localize import locate_views
from lumbargrade.models.heatmap import STRIDE, turned
from lumbargrade.models.locator import Locator, LocatorConfig, load_locator, normalise, save_locator
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.preprocessing.split.split import HOLDOUT
from lumbargrade.training.jobs.spec import MODEL, FoldResult, LocatorSpec
from lumbargrade.training.locator.targets import SliceTargets, learn_shape, slice_targets
from lumbargrade.training.loop.augment import (
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
from lumbargrade.training.loop.schedule import parameter_groups, warmup_cosine

_SPREAD = 1.0
_NEAR = 3.0
"""Widths of a place on the map, in its pixels: of what is learned, and of what counts as found."""
_CONTRAST_WEIGHT = 0.1
_SCALE, _SHIFT = 0.4, 0.15
"""Largest augmentation of scale (logarithm) and place: fields of view differ, and so does nominal spacing."""
_PATCHES = 4
"""Erased patches an image at strength 1: names must follow from more than one part of the spine."""
_CUT_OFF, _CUT_BELOW = 0.3, 8.0
"""Share of sagittal images, at strength 1, that end among the levels, and how far below a mark at least, pixels."""
_SHARES = {"sagittal": 2, "axial": 1}
"""Batches of each orientation in a round: naming levels is the harder part."""


def train_locator(spec: LocatorSpec) -> FoldResult:
    """Trains a fold and writes model, history, located points and, last, the result; goes on where it was killed.

    Raises:
        InputError: The fold has no studies to train on or to locate, or too few points.
        DivergedError: The loss became infinite or no number.
    """
    run = _Run.begin(spec)
    course = train_epochs(run)
    trained = load_locator(spec.folder / MODEL).to(run.device)
    tables = [locate_views([trained], study, run.packed.stacks[study]) for study in run.validation_studies]
    return finish_fold(run, course, pd.concat(tables, ignore_index=True))


def fold_studies(packed: PackedViews, split: pd.DataFrame, fold: int) -> tuple[list[int], list[int]]:
    """Studies that train and that validate in a fold; nothing of the holdout.

    Raises:
        InputError: One of the two is empty.
    """
    folds = split.set_index("study_id")["fold"].to_dict()
    training = [study for study in packed.studies if folds.get(study, HOLDOUT) not in (HOLDOUT, fold)]
    validation = [study for study in packed.studies if folds.get(study) == fold]
    if not training or not validation:
        raise InputError(
            f"fold {fold} has {len(training)} studies to train the locator on and {len(validation)} to locate",
            "",
            "fold-too-small",
        )
    return training, validation


def _steps(params: LocatorParams) -> int:
    """Batches of an epoch."""
    return max(params.epoch_slices // params.batch_size, 1)


@dataclass
class _Run:
    spec: LocatorSpec
    device: torch.device
    locator: Locator
    learner: Learner
    packed: PackedViews
    validation_studies: list[int]
    training: dict[str, SliceTargets]
    validation: dict[str, SliceTargets]

    @classmethod
    def begin(cls, spec: LocatorSpec) -> "_Run":
        params = spec.training
        device, seed = begin_training(spec.seed, spec.fold, params.deterministic)
        packed = PackedViews(spec.packed)
        studies, unseen = fold_studies(packed, pd.read_csv(spec.split), spec.fold)
        config = LocatorConfig(
            task=spec.task,
            prepare=spec.prepare,
            views=spec.views,
            width=params.width,
            shape=learn_shape(packed, spec.task, studies),
        )
        locator = Locator(config).to(device).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            parameter_groups(locator, params.weight_decay), lr=params.learning_rate, fused=True
        )
        training = {name: slice_targets(packed, spec.task, name, studies) for name in locator.networks}
        return cls(
            spec=spec,
            device=device,
            locator=locator,
            learner=Learner(
                network=locator,
                optimizer=optimizer,
                schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(params, _steps(params))),
                precision=choose_precision(params.precision, device),
                generator=torch.Generator().manual_seed(seed),
            ),
            packed=packed,
            validation_studies=unseen,
            training={name: targets for name, targets in training.items() if len(targets)},
            validation={name: slice_targets(packed, spec.task, name, unseen) for name in locator.networks},
        )

    @property
    def images_per_epoch(self) -> int:
        """Slices that an epoch trains on."""
        return _steps(self.spec.training) * self.spec.training.batch_size

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Trains on so many slices, then looks at a sample of the unseen ones."""
        return self._train(), *self._validate()

    def keep(self) -> None:
        """Writes the locator."""
        save_locator(self.locator, self.spec.folder / MODEL)

    def _train(self) -> float:
        self.locator.train()
        strength = self.spec.training.augmentation
        losses = []
        for orientation, rows in self._batches():
            targets = self.training[orientation]
            transforms = random_transforms(len(rows), strength, self.learner.generator, _SCALE, _SHIFT)
            transforms = random_aspects(transforms, strength, self.learner.generator)
            images = self._images(targets, rows)
            images = random_gamma(turned(images, transforms.to(self.device)), strength, self.learner.generator)
            images = random_bias(images, strength, self.learner.generator)
            images = random_intensity(images, strength, self.learner.generator)
            images = random_erasing(images, round(strength * _PATCHES), self.learner.generator)
            places, present = moved_places(targets.places[rows], targets.present[rows], transforms, images.shape[-1])
            if orientation == "sagittal":
                images, present = cut_off(images, places, present, strength * _CUT_OFF, self.learner.generator)
            loss, _ = self._loss(images, orientation, places, present, targets.contrast[rows])
            self.learner.step(loss)
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    @torch.inference_mode()
    def _validate(self) -> tuple[float, float]:
        self.locator.eval()
        size = self.spec.training.batch_size
        losses, found = [], []
        for orientation, targets in self.validation.items():
            shown = np.flatnonzero((targets.present > 0.5).any(axis=1))
            rows = shown[:: max(len(shown) // (4 * size), 1)][: 4 * size]
            for start in range(0, len(rows), size):
                some = rows[start : start + size]
                places, present = torch.from_numpy(targets.places[some]), torch.from_numpy(targets.present[some])
                images = self._images(targets, some)
                loss, near = self._loss(images, orientation, places, present, targets.contrast[some])
                losses.append(loss)
                found.append(near)
        if not losses:
            return 0.0, 0.0
        return float(torch.stack(losses).mean()), float(torch.cat(found).float().mean())

    def _loss(
        self, images: Tensor, orientation: str, places: Tensor, present: Tensor, contrast: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor]:
        """The loss, and for each mark that is there whether its likeliest place is near."""
        with self.learner.precision.autocast():
            logits, contrasts = self.locator(normalise(images), orientation)
        places, present = places.to(self.device), present.to(self.device)
        side = images.shape[-1] // STRIDE
        wanted = target_maps(places, present.clamp(min=0), side)
        known = present >= 0
        each = -(wanted * F.log_softmax(logits, dim=2)).sum(dim=2)
        loss = (each * known).sum() / known.sum().clamp(min=1)
        loss = loss + _CONTRAST_WEIGHT * F.cross_entropy(contrasts, torch.from_numpy(contrast).to(self.device))
        likeliest = logits[:, :, :-1].argmax(dim=2)
        off = torch.stack([likeliest % side, likeliest // side], dim=2) - _on_map(places)
        return loss, (off.norm(dim=2) <= _NEAR)[present > 0.9]

    def _images(self, targets: SliceTargets, rows: NDArray[np.int64]) -> Tensor:
        images = np.stack([stack.image(index) for stack, index in (targets.stacks[row] for row in rows)])
        return torch.from_numpy(images).to(self.device, non_blocking=True)

    def _batches(self) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Half of a batch shows something to find; orientations take turns."""
        turns = [name for name in self.training for _ in range(_SHARES[name])]
        half = self.spec.training.batch_size // 2
        pools = {}
        for name, targets in self.training.items():
            shown = (targets.present > 0.5).any(axis=1)
            full, empty = np.flatnonzero(shown), np.flatnonzero(~shown)
            pools[name] = (full if len(full) else empty, empty if len(empty) else full)
        for step in range(_steps(self.spec.training)):
            name = turns[step % len(turns)]
            full, empty = pools[name]
            yield (
                name,
                np.concatenate([self._draw(full, self.spec.training.batch_size - half), self._draw(empty, half)]),
            )

    def _draw(self, pool: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        drawn = torch.randint(len(pool), (count,), generator=self.learner.generator).numpy()
        return np.asarray(pool[drawn])


def target_maps(places: Tensor, present: Tensor, side: int) -> Tensor:
    """What the network should say: a bell around each place, and how much of the mark is absent.

    Args:
        places: Pixels of the image (column, row), (batch, marks, 2).
        present: 0 to 1, (batch, marks).
        side: Side of the maps.

    Returns:
        (batch, marks, side * side + 1), each of sum 1.
    """
    axis = torch.arange(side, device=places.device)
    x, y = _on_map(places).unbind(dim=2)
    bells = [torch.exp(-0.5 * ((axis - middle[..., None]) / _SPREAD) ** 2) for middle in (y, x)]
    maps = (bells[0][..., :, None] * bells[1][..., None, :]).flatten(2)
    maps = maps / maps.sum(dim=2, keepdim=True).clamp(min=1e-12) * present[..., None]
    return torch.cat([maps, (1 - present)[..., None]], dim=2)


def cut_off(
    images: Tensor, places: Tensor, present: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blackens some images below a row among their marks, so that names follow from what lies above the sacrum too.

    Args:
        images: (batch, channels, rows, columns).
        places: Pixels of the image (column, row), (batch, marks, 2).
        present: How much of the mark is there, (batch, marks).
        share: Of the images that are cut off.

    Returns:
        The images, and what is present above their ends.
    """
    chosen, where = torch.rand(2, len(images), generator=generator)
    rows, there = places[:, :, 1], present > 0.5
    highest = torch.where(there, rows, torch.inf).amin(dim=1)
    lowest = torch.where(there, rows, -torch.inf).amax(dim=1)
    end = highest + where * (lowest - highest) + _CUT_BELOW
    end = torch.where((chosen < share) & there.any(dim=1), end, torch.inf)
    below = torch.arange(images.shape[-2]) > end[:, None]
    images = torch.where(below[:, None, :, None].to(images.device), 0.0, images)
    return images, torch.where((rows > end[:, None]) & (present > 0), 0.0, present)


def _on_map(places: Tensor) -> Tensor:
    return (places + 0.5) / STRIDE - 0.5


def moved_places(
    places: NDArray[np.float32], present: NDArray[np.float32], transforms: Tensor, side: int
) -> tuple[Tensor, Tensor]:
    """Where places are after the images were turned; what has left the image is absent."""
    centred = (torch.from_numpy(places) + 0.5) * 2 / side - 1
    matrix, shift = transforms[:, :, :2], transforms[:, :, 2]
    back = torch.linalg.solve(matrix, (centred - shift[:, None]).transpose(1, 2)).transpose(1, 2)
    moved = (back + 1) * side / 2 - 0.5
    inside = ((moved >= 0) & (moved <= side - 1)).all(dim=2)
    amount = torch.from_numpy(present)
    return moved, torch.where((amount > 0) & ~inside, 0.0, amount)
