"""Parameters as frozen, strict models, one section a stage. :mod:`lumbargrade.config.loading` reads them."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lumbargrade.config.task import load_task


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Fraction = Annotated[float, Field(ge=0, lt=1)]
Threads = Annotated[int, Field(ge=0, le=1024)]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
SinglePackaging = Literal["distilled", "averaged"]
Packaging = Literal["ensemble", "distilled", "averaged"]


class ExpectedDataset(_Section):
    """What a whole copy of a dataset counts; what is not given is not compared.

    Attributes:
        studies: Rows of ``train.csv``.
        series: Rows of ``train_series_descriptions.csv``, by description.
        files: DICOM files under ``train_images``.
        gigabytes: Size in 10^9 bytes; not compared, but used for estimates where the dataset is not there yet.
    """

    studies: int | None = Field(default=None, ge=1)
    series: dict[str, int] = Field(default_factory=dict)
    files: int | None = Field(default=None, ge=1)
    gigabytes: float | None = Field(default=None, gt=0)


class DatasetParams(_Section):
    """Where the studies come from.

    Attributes:
        path: Folder in RSNA layout, inside the project or outside it.
        phantom_studies: If ``path`` is the embedded default and is not there yet, so many synthetic studies are made.
        phantom_seed: Seed of that phantom.
        phantom_headers: Headers of its files: a profile's name, ``mix``, or shares by profile (``lumbargrade phantom --help``).
        expected: What the dataset must count, so that half a download is noticed; null is no comparison.
    """

    path: str = "data/phantom"
    phantom_studies: int = Field(default=48, ge=1)
    phantom_seed: int = Field(default=7, ge=0)
    phantom_headers: str | dict[str, float] = "plain"
    expected: ExpectedDataset | None = None


class PrepareParams(_Section):
    """How crops are cut from slices and packed.

    Attributes:
        crop_mm: Side of a packed crop in the patient, mm. Larger than the grader's, so that it can turn and shift.
        pixel_mm: Size of a packed pixel, mm.
        percentiles: Intensities of the series that become black and white, percent.
    """

    crop_mm: float = Field(default=64.0, ge=20, le=160)
    pixel_mm: float = Field(default=0.5, ge=0.1, le=2)
    percentiles: Annotated[tuple[float, float], Field(strict=False)] = (0.5, 99.5)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError("percentiles must rise and lie within 0 to 100")
        return self

    @property
    def crop_pixels(self) -> int:
        """Side of a packed crop in pixels."""
        return round(self.crop_mm / self.pixel_mm)


class ViewParams(_Section):
    """What the locator is shown: each slice of a series, whole, coarse and upright.

    Attributes:
        sagittal_mm: Side of the view of a sagittal slice, mm; the five discs and the sacrum lie within.
        axial_mm: Side of the view of an axial slice, mm.
        pixels: Side of a view, pixels.
    """

    sagittal_mm: float = Field(default=288.0, ge=100, le=600)
    axial_mm: float = Field(default=160.0, ge=60, le=400)
    pixels: int = Field(default=128, ge=64, le=512, multiple_of=16)

    def side_mm(self, orientation: str) -> float:
        """Side of the view of a slice of this orientation, mm."""
        return self.axial_mm if orientation == "axial" else self.sagittal_mm


class LocatorParams(_Section):
    """Training of the locator, which finds the places to grade.

    Attributes:
        width: Channels of its first layer; the others are multiples.
        epochs: Passes over the training slices.
        epoch_slices: Slices of an epoch, drawn so that half of them show a place to find.
        learning_rate: Peak rate of AdamW.
        augmentation: Strength of turns, shifts, scalings and intensity changes; 0 is none.
        precision, deterministic, threads, time_limit_minutes: As in ``training``.
    """

    width: int = Field(default=16, ge=8, le=256)
    epochs: int = Field(default=8, ge=1, le=1000)
    epoch_slices: int = Field(default=512, ge=1)
    batch_size: int = Field(default=8, ge=1, le=4096)
    learning_rate: float = Field(default=3e-3, gt=0, le=1)
    weight_decay: float = Field(default=1e-2, ge=0, le=10)
    warmup_epochs: float = Field(default=0.5, ge=0)
    augmentation: float = Field(default=0.5, ge=0, le=2)
    precision: Precision = "auto"
    deterministic: bool = True
    threads: Threads = 0
    time_limit_minutes: float = Field(default=0, ge=0)


class SplitParams(_Section):
    """Which studies train, validate and are held out.

    Attributes:
        holdout: Share of studies in the frozen holdout, chosen by a hash of the study id.
        folds: Folds of the cross-validation over the other studies.
        seed: Seed of the folds; the holdout has none.
    """

    holdout: Fraction = 0.2
    folds: int = Field(default=3, ge=2, le=20)
    seed: int = Field(default=0, ge=0)


class TrainingParams(_Section):
    """One training run of one fold.

    Attributes:
        weights: Where the backbone starts: ``imagenet`` (torchvision's own download), ``none``, or a weights file. A grader
            of the same task lends its heads too.
        crop_mm: Side of what the grader sees, mm.
        image_pixels: Side of what the grader sees, pixels.
        epochs: Passes over the training crops.
        epoch_crops: In a small dataset, an epoch is as many passes as it takes to see so many crops; 0 is one pass.
        warmup_epochs: Epochs over which the learning rate rises from zero; may be a fraction.
        learning_rate: Peak rate of AdamW.
        weight_decay: AdamW's decoupled decay.
        drop_rate: Dropout of DenseNet's dense layers and before the heads.
        grade_weights: Weights of the grades in the loss, or null for the task's own.
        augmentation: Strength of turns, shifts, scalings and intensity changes; 0 is none.
        style: Strength of bent grey scales, coil shading and stretched pixels, as other scanners and exports have them; 0 is
            none.
        flips: Whether the patient is mirrored at random, and in grading seen both ways. Sides are one already (the right
            is mirrored onto the left), so this turns the order of slices in the midline only.
        erase: Patches of each crop that are painted grey (cutout).
        mixup: Alpha of the beta distribution by which two crops of a group are mixed; 0 is none.
        label_smoothing: Share of a grade's probability that the loss gives to the others.
        suspects: Table of labelled cells that are doubted (the ``suspects.csv`` of a search or an evaluation), which count
            less in training; null is none. Validation counts every label in full.
        suspect_weight: How much such a cell counts, 1 being as much as others; 0 leaves it out of training.
        ema: Decay of the weights' moving average that is validated and kept, a step; 0 keeps the last weights.
        freeze_epochs: First epochs in which the backbone stays as it was loaded, its normalisation too; from ``epochs`` on, all.
        layer_decay: Factor of the learning rate from each part of the backbone to the one before it; 1 is one rate.
        context: ``transformer`` sees all cells of a study together before it grades each; batches are whole studies then.
        patience: Epochs without a better validation loss before the run stops; 0 is never.
        precision: ``auto`` takes bf16 where the device is faster with it, fp16 with loss scaling on older GPUs, else fp32.
        deterministic: Same seed, same weights, bit for bit on CPUs.
        threads: Threads of one training process on CPUs; 0 divides the cores among the processes.
        time_limit_minutes: A fold that takes longer is stopped; 0 is no limit.
    """

    weights: str = "none"
    crop_mm: float = Field(default=44.0, ge=10, le=160)
    image_pixels: int = Field(default=64, ge=32, le=512)
    epochs: int = Field(default=8, ge=1, le=1000)
    epoch_crops: int = Field(default=640, ge=0)
    warmup_epochs: float = Field(default=1.0, ge=0)
    batch_size: int = Field(default=32, ge=1, le=4096)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    weight_decay: float = Field(default=1e-2, ge=0, le=10)
    drop_rate: Fraction = 0.1
    grade_weights: Annotated[tuple[float, ...], Field(strict=False)] | None = None
    augmentation: float = Field(default=0.5, ge=0, le=2)
    style: float = Field(default=0.0, ge=0, le=2)
    flips: bool = False
    erase: int = Field(default=0, ge=0, le=20)
    mixup: float = Field(default=0.0, ge=0, le=10)
    label_smoothing: Fraction = 0.0
    suspects: str | None = None
    suspect_weight: float = Field(default=0.3, ge=0, le=1)
    ema: float = Field(default=0.0, ge=0, lt=1)
    freeze_epochs: int = Field(default=0, ge=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    context: Literal["none", "transformer"] = "none"
    patience: int = Field(default=0, ge=0)
    precision: Precision = "auto"
    deterministic: bool = True
    threads: Threads = 0
    time_limit_minutes: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _positive_weights(self) -> Self:
        if self.grade_weights is not None and min(self.grade_weights) <= 0:
            raise ValueError("grade_weights must all be above 0")
        return self


class FloatRange(_Section):
    """Numbers from ``low`` to ``high``; ``log`` searches them by their magnitude."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range starts above 0")
        return self

    def holds(self, value: Any) -> bool:
        """Whether a value may be drawn."""
        return isinstance(value, int | float) and self.low <= value <= self.high


class Choices(_Section):
    """A list of values to choose from."""

    choices: list[Any] = Field(min_length=1)

    def holds(self, value: Any) -> bool:
        """Whether a value may be drawn."""
        return value in self.choices


class SearchParams(_Section):
    """What Optuna tries.

    Attributes:
        trials: Trials in all; a search that has fewer goes on when it is run again.
        seed: Seed of the sampler.
        pruning: When a trial is stopped between its folds: ``none`` is never; ``wilcoxon`` if its studies' losses are
            worse than the best trial's by a paired test.
        pruning_p: Chance of error at which ``wilcoxon`` stops a trial; it is tested after each fold.
        epoch_keep: Share of the trials that go on in their first fold: after a third of its epochs a trial is stopped if its
            best validation loss is not among the best of what other trials had by then, of at least three; 1 is all.
        space: For each searched field of ``training``, a range or choices. The first trial is ``training``
            as it stands.
    """

    trials: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)
    pruning: Literal["none", "wilcoxon"] = "wilcoxon"
    pruning_p: float = Field(default=0.01, gt=0, lt=1)
    epoch_keep: float = Field(default=1.0, gt=0, le=1)
    space: dict[str, FloatRange | Choices] = Field(default_factory=dict)


class CalibrationParams(_Section):
    """How sure answers are.

    Attributes:
        coverage: How often a cell's set of possible grades shall hold the true one, whichever that is.
    """

    coverage: float = Field(default=0.9, gt=0.5, lt=1)


class PackageParams(_Section):
    """Which graders a version holds.

    Attributes:
        graders: ``ensemble`` is the best trial's, one a fold, whose probabilities are averaged. The others take a fold's
            time to grade a study: ``distilled`` is one that learns to answer as those do together, ``averaged`` is one with
            the mean of their weights, if they began with the same.
        student_epochs: Passes of the distilled grader over all crops outside the holdout; 0 is as many as a fold's.
    """

    graders: Packaging = "ensemble"
    student_epochs: int = Field(default=0, ge=0, le=1000)


class GateParams(_Section):
    """When a candidate takes the champion's place; both are graded on the frozen holdout.

    Attributes:
        promotion: ``automatic`` promotes a candidate that is better beyond chance and breaks no rail; ``approval`` leaves
            every promotion to a person.
        confidence: Share of resampled studies that an interval of a difference holds; what reaches beyond it is not held
            to be chance.
        severe_recall_drop: How much less of the severe cells may be found, as a share of them.
        calibration_error_rise: How much larger the calibration error may be.
        condition_loss_rise: How much larger the loss of any condition may be, in units of the score.
        subgroup_loss_rise: The same for the studies of any scanner, field strength, sex or age.
        min_cells: Labelled cells that a condition or a subgroup must have to be looked at.
        holdout_looks: After so many looks at one holdout its results count for less, and the gate says so.
    """

    promotion: Literal["automatic", "approval"] = "automatic"
    confidence: float = Field(default=0.9, ge=0.5, lt=1)
    severe_recall_drop: Fraction = 0.05
    calibration_error_rise: Fraction = 0.03
    condition_loss_rise: float = Field(default=0.05, ge=0)
    subgroup_loss_rise: float = Field(default=0.1, ge=0)
    min_cells: int = Field(default=100, ge=1)
    holdout_looks: int = Field(default=20, ge=1)


class ServingParams(_Section):
    """How gradings are made.

    Attributes:
        abstain_above: A cell with more possible grades than this is answered with a reason, not with a grade; 0 is never.
        threads: Threads of the model's process; 0 is all cores.
    """

    abstain_above: int = Field(default=0, ge=0)
    threads: Threads = 0


class WatchParams(_Section):
    """When the watch says that what is served has drifted.

    Attributes:
        window: Last studies that are compared with the reference, after each study anew.
        reference: Studies that a reference must have; a version whose holdout has fewer is compared with the first so many
            that it answered.
        false_alarms: Share of undrifted stretches of ``horizon`` studies in which any look raises drift.
        horizon: Studies over which ``false_alarms`` is counted.
        replays: Undrifted stretches, drawn from the reference, that the threshold is measured on.
    """

    window: int = Field(default=30, ge=10, le=500)
    reference: int = Field(default=60, ge=30)
    false_alarms: float = Field(default=0.005, gt=0, lt=0.5)
    horizon: int = Field(default=300, ge=50, le=2000)
    replays: int = Field(default=1000, ge=200, le=20_000)

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        if self.false_alarms * self.replays < 5:
            raise ValueError(
                f"{self.replays} replays do not suffice to measure false_alarms {self.false_alarms:g}; "
                f"give at least {round(5 / self.false_alarms)}"
            )
        if self.horizon <= self.window:
            raise ValueError(f"horizon {self.horizon} must be more than window {self.window}")
        return self


class Params(_Section):
    """All parameters of one run.

    Attributes:
        task: A name of :func:`lumbargrade.config.task.task_names`, or a YAML file.
        seed: Seed of the networks' first weights, of the order of crops and of augmentation.
        workers: Processes that read files; 0 is one for each core that has memory.
        folds_per_device: Folds that are trained at once on one device; 0 is one on a GPU, and on the CPU as many as train
            fastest there, which is measured once.
    """

    task: str = "rsna2024"
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0, le=256)
    folds_per_device: int = Field(default=0, ge=0, le=64)
    dataset: DatasetParams = DatasetParams()
    prepare: PrepareParams = PrepareParams()
    views: ViewParams = ViewParams()
    locator: LocatorParams = LocatorParams()
    split: SplitParams = SplitParams()
    training: TrainingParams = TrainingParams()
    search: SearchParams = SearchParams()
    calibration: CalibrationParams = CalibrationParams()
    package: PackageParams = PackageParams()
    gate: GateParams = GateParams()
    serving: ServingParams = ServingParams()
    watch: WatchParams = WatchParams()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        check_fit(self.training, self.prepare)
        weights = self.training.grade_weights
        task = load_task(self.task)
        if weights is not None and len(weights) != len(task.grades):
            raise ValueError(
                f"training.grade_weights has {len(weights)} values; task {task.name} has {len(task.grades)} grades"
            )
        self._check_averaged()
        known = TrainingParams.model_fields
        for field in self.search.space:
            if field not in known:
                raise ValueError(f"search.space.{field}: training has no such parameter{did_you_mean(field, known)}")
        for field, values in self.search.space.items():
            if not values.holds(self.training.model_dump(mode="json")[field]):
                raise ValueError(
                    f"training.{field} lies outside search.space.{field}; the first trial is the training section as it "
                    "stands, so widen the one or change the other"
                )
            for value in [values.low, values.high] if isinstance(values, FloatRange) else values.choices:
                check_fit(override_training(self.training, {field: value}), self.prepare)
        return self

    def _check_averaged(self) -> None:
        searched = self.search.space.get("weights")
        tried = [self.training.weights, *(searched.choices if isinstance(searched, Choices) else ())]
        if self.package.graders == "averaged" and "none" in tried:
            raise ValueError(
                "package.graders averaged needs folds that begin with the same weights, and training.weights none draws "
                "each its own; set training.weights, or package them as ensemble or distilled"
            )

    def digest(self, *sections: str) -> str:
        """Hash of these sections (all, if none is named), as hexadecimal digits."""
        values = self.model_dump(mode="json", include=set(sections) if sections else None)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def check_fit(training: TrainingParams, prepare: PrepareParams) -> None:
    """Checks that packed crops are large enough to be trained on.

    Raises:
        ValueError: They are not.
    """
    if training.crop_mm > prepare.crop_mm:
        raise ValueError(
            f"training.crop_mm {training.crop_mm:g} is larger than the packed crops (prepare.crop_mm {prepare.crop_mm:g})"
        )


def override_training(training: TrainingParams, values: Mapping[str, Any]) -> TrainingParams:
    """Returns ``training`` with some values replaced, all checked again."""
    return TrainingParams.model_validate({**training.model_dump(), **values})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ends a sentence about an unknown name with the nearest known one, or with all of them."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
