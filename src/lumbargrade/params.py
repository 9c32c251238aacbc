"""Parameters: ``params.yaml`` as frozen, strict models, one section a stage.

Read once (:func:`load_params`), overridden by recipes and ``--set section.key=value``, then handed down.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lumbargrade.errors import InputError
from lumbargrade.files import write_text
from lumbargrade.task import load_task


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Fraction = Annotated[float, Field(ge=0, lt=1)]
Threads = Annotated[int, Field(ge=0, le=1024)]


class DatasetParams(_Section):
    """Where the studies come from.

    Attributes:
        path: Folder in RSNA layout, inside the project or outside it.
        phantom_studies: If ``path`` is the embedded default and is not there yet, so many synthetic studies are made.
        phantom_seed: Seed of that phantom.
    """

    path: str = "data/phantom"
    phantom_studies: int = Field(default=48, ge=1)
    phantom_seed: int = Field(default=7, ge=0)


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
        weights: Where the backbone starts: ``imagenet`` (torchvision's own download), ``none``, or a weights file.
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
        patience: Epochs without a better validation loss before the run stops; 0 is never.
        precision: ``auto`` takes bf16 where the device has it (and fp16 with loss scaling on older GPUs).
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
    patience: int = Field(default=0, ge=0)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
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
        space: For each searched field of ``training``, a range or choices. The first trial is ``training``
            as it stands.
    """

    trials: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)
    space: dict[str, FloatRange | Choices] = Field(default_factory=dict)


class ServingParams(_Section):
    """How gradings are made.

    Attributes:
        threads: Threads of the model's process; 0 is all cores.
    """

    threads: Threads = 0


class Params(_Section):
    """All parameters of one run.

    Attributes:
        task: A name of :func:`lumbargrade.task.task_names`, or a YAML file.
        seed: Seed of the networks' first weights, of the order of crops and of augmentation.
        workers: Processes that read files; 0 is one for each core.
    """

    task: str = "rsna2024"
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0, le=256)
    dataset: DatasetParams = DatasetParams()
    prepare: PrepareParams = PrepareParams()
    split: SplitParams = SplitParams()
    training: TrainingParams = TrainingParams()
    search: SearchParams = SearchParams()
    serving: ServingParams = ServingParams()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        check_fit(self.training, self.prepare)
        weights = self.training.grade_weights
        task = load_task(self.task)
        if weights is not None and len(weights) != len(task.grades):
            raise ValueError(
                f"training.grade_weights has {len(weights)} values; task {task.name} has {len(task.grades)} grades"
            )
        known = TrainingParams.model_fields
        for field in self.search.space:
            if field not in known:
                raise ValueError(f"search.space.{field}: training has no such parameter{_did_you_mean(field, known)}")
        for field, values in self.search.space.items():
            if not values.holds(self.training.model_dump(mode="json")[field]):
                raise ValueError(
                    f"training.{field} lies outside search.space.{field}; the first trial is the training section as it "
                    "stands, so widen the one or change the other"
                )
            for value in [values.low, values.high] if isinstance(values, FloatRange) else values.choices:
                check_fit(override_training(self.training, {field: value}), self.prepare)
        return self

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


def load_params(path: Path, recipe: Path | None = None, overrides: Iterable[str] = ()) -> Params:
    """Reads parameters: the file, then a recipe laid over it, then ``section.key=value`` overrides.

    Raises:
        InputError: A file is missing or no YAML, or a parameter is unknown, of the wrong type or out of range.
    """
    values = _read_yaml(path)
    if recipe is not None:
        values = _overlay(values, _read_yaml(recipe))
    for override in overrides:
        values = _overlay(values, _parse_override(override))
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(_explain(error)) from error


def save_params(params: Params, path: Path) -> None:
    """Writes parameters as YAML, in full; an unchanged file is not touched."""
    text = yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"parameter file {path} does not exist; run in the project's folder or give --params")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"parameter file {path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict):
        raise InputError(f"parameter file {path} must hold sections such as training:, not {type(values).__name__}")
    return values


def _parse_override(override: str) -> dict[str, Any]:
    name, separator, text = override.partition("=")
    if not separator or not name:
        raise InputError(f"--set {override!r} is not of the form section.key=value, such as training.epochs=20")
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {name}: {text!r} is not a YAML value") from error
    if isinstance(value, str):
        value = _as_number(value)
    for key in reversed(name.split(".")):
        value = {key: value}
    return dict(value)


def _as_number(text: str) -> str | float:
    """YAML reads ``1e-3`` as text; people mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _overlay(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        is_search_space_entry = isinstance(value, dict) and ("choices" in value or "low" in value)
        if isinstance(value, dict) and isinstance(below, dict) and not is_search_space_entry:
            merged[key] = _overlay(below, value)
        else:
            merged[key] = value
    return merged


def _explain(error: ValidationError) -> str:
    problems: dict[str, str] = {}
    for problem in error.errors():
        # A union reports each of its kinds: the first one says enough.
        where = [
            str(part) for part in problem["loc"] if not str(part).startswith(("FloatRange", "Choices", "function-"))
        ]
        section = ".".join(where[:3])
        problems.setdefault(section, _explain_one(where, problem["type"], problem["msg"], problem["input"]))
    return "; ".join(problems.values())


def _explain_one(where: list[str], kind: str, message: str, value: Any) -> str:
    name = ".".join(where)
    if kind == "extra_forbidden":
        return f"parameter {name} is unknown{_did_you_mean(where[-1], _section_fields(where[:-1]))}"
    if kind == "value_error":
        text = message.removeprefix("Value error, ")
        return f"{name}: {text}" if name else text
    return f"parameter {name} is wrong: {message[0].lower()}{message[1:]}, not {value!r}"


def _section_fields(where: list[str]) -> list[str]:
    section: Any = Params
    for part in where:
        section = section.model_fields[part].annotation if part in getattr(section, "model_fields", {}) else None
    return list(getattr(section, "model_fields", {}))


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
