"""What a training process is told, and what it leaves behind: plain files, so that it needs no other service."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_settings import BaseSettings, SettingsConfigDict

from lumbargrade.config.params import LocatorParams, PrepareParams, SinglePackaging, TrainingParams, ViewParams
from lumbargrade.config.task import GradingTask

SPEC = "spec.json"
MODEL = "model.safetensors"
HISTORY = "history.jsonl"
CHECKPOINT = "checkpoint.pt"
PREDICTIONS = "predictions.parquet"
RESULT = "result.json"
ERROR = "error.json"
LOG = "log.txt"
DEVICE, HOST, PARENT = "LUMBARGRADE_DEVICE", "LUMBARGRADE_HOST", "LUMBARGRADE_PARENT"
"""Environment variables of :class:`WorkerSettings`."""


class WorkerSettings(BaseSettings):
    """What a training process is told by the one that starts it.

    Attributes:
        device: Name of the device that it was lent.
        host: Name that its machine goes by in a cluster.
        parent: Id of the process that it ends with.
    """

    model_config = SettingsConfigDict(env_prefix="LUMBARGRADE_", env_ignore_empty=True, extra="ignore", frozen=True)

    device: str | None = None
    host: str | None = None
    parent: int | None = None


class _CropsSpec(BaseModel):
    """What making any grader depends on.

    Attributes:
        crops: Folder of the packed crops at labelled points.
        located: Folder of those where the locator looked, if there is a locator. Both train; the latter validate.
        split: Table of studies and folds (CSV).
        fold: The fold that validates; the others, but for the holdout, train.
        folder: Where the process writes.
        files: SHA-256 of the files that ``training`` names: with other bytes it is another grader.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: GradingTask
    prepare: PrepareParams
    training: TrainingParams
    crops: Path
    located: Path | None = None
    split: Path
    fold: int
    seed: int
    folder: Path
    files: dict[str, str] = Field(default_factory=dict)


class FoldSpec(_CropsSpec):
    """Everything that training one fold of the grader depends on."""

    kind: Literal["grader"] = "grader"

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"fold {self.fold}"


class Teacher(BaseModel):
    """A trained grader of which another one is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path
    sha256: str


class StudentSpec(_CropsSpec):
    """Everything that making one grader that answers as several do together depends on.

    All crops outside the holdout train: its fold is the number after the last, which no study has. ``training`` is the
    teachers', but for the epochs.

    Attributes:
        how: Whether it learns their answers, or gets the mean of their weights.
        teachers: The graders that it shall answer as, in the order of their folds.
    """

    kind: Literal["student"] = "student"
    how: SinglePackaging = "distilled"
    teachers: tuple[Teacher, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        """How messages call it."""
        return "the student" if self.how == "distilled" else "the averaged grader"


class LocatorSpec(BaseModel):
    """Everything that training one fold of the locator depends on.

    Attributes:
        packed: Folder of the packed views.
        split: Table of studies and folds (CSV).
        fold: The fold whose studies are located; the others, but for the holdout, train.
        folder: Where the process writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["locator"] = "locator"
    task: GradingTask
    prepare: PrepareParams
    views: ViewParams
    training: LocatorParams
    packed: Path
    split: Path
    fold: int
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"locator, fold {self.fold}"


GraderSpec = FoldSpec | StudentSpec
AnySpec = GraderSpec | LocatorSpec


def placeless(spec: AnySpec) -> str:
    """What a spec says, wherever the project lies: paths are told as seen from the spec's own folder."""

    def seen(path: Path) -> Path:
        return Path(os.path.relpath(path, spec.folder))

    told: dict[str, object] = {name: seen(value) for name, value in spec if isinstance(value, Path)}
    if isinstance(spec, StudentSpec):
        told["teachers"] = tuple(each.model_copy(update={"model": seen(each.model)}) for each in spec.teachers)
    return spec.model_copy(update=told).model_dump_json()


def read_spec(folder: Path) -> AnySpec:
    """Reads what a training process is told."""
    adapter: TypeAdapter[AnySpec] = TypeAdapter(Annotated[AnySpec, Field(discriminator="kind")])
    return adapter.validate_json((folder / SPEC).read_text(encoding="utf-8"))


class Epoch(BaseModel):
    """One line of the history: losses are cross-entropies, of a cell (weighted) or of a place to find.

    A student's losses are Kullback-Leibler divergences of its teachers' answers from its own, in nats, as it has no labels.

    Attributes:
        validation_loss: A grader's is calibrated by its fold and weighted as its task says, whatever it trains with, so that
            trials compare.
        validation_accuracy: Share of cells graded rightly, or of places found within a few pixels; a student's of the cells
            to which it gives the same likeliest grade as its teachers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


class FoldResult(BaseModel):
    """Where a trained fold lies and how it went.

    Attributes:
        epoch: The epoch whose weights were kept.
        host: Name of the machine that it ended on.
        device: Where it ended there: ``cpu``, ``cuda:0``, or ``cuda:0/2`` for the second of several trainings on a device.
        began: When the process that ended it began; one that was killed before is left out.
        images_per_second: Training images, over all epochs.
        seconds: Time that it took in all, without what a kill has lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: int
    folder: Path
    epoch: int
    epochs: int
    validation_loss: float
    host: str
    device: str
    began: datetime
    ended: datetime
    precision: str
    threads: int
    images_per_second: float
    seconds: float

    @property
    def model(self) -> Path:
        """The fold's network."""
        return self.folder / MODEL

    @property
    def where(self) -> dict[str, str]:
        """Where and how it was trained, as tags of its MLflow run."""
        return {f"lumbargrade.{name}": str(getattr(self, name)) for name in ("host", "device", "precision", "threads")}

    def predictions(self) -> pd.DataFrame:
        """What the fold says of its validation studies: a row a located point, or a row a cell with its probabilities.

        Of cells there are two rows: ``points`` is ``labelled`` or ``located``.
        """
        return pd.read_parquet(self.folder / PREDICTIONS)

    def history(self) -> list[Epoch]:
        """All epochs, from the first."""
        return read_history(self.folder)


def read_history(folder: Path) -> list[Epoch]:
    """The epochs that a training process has finished so far; a half-written last line is left out."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Epoch.model_validate(json.loads(line)) for line in lines]


def read_result(folder: Path) -> FoldResult | None:
    """The result that a finished training process left, or nothing; its folder is this one, wherever it was written."""
    path = folder / RESULT
    if not path.is_file():
        return None
    return FoldResult.model_validate_json(path.read_text(encoding="utf-8")).model_copy(update={"folder": folder})
