"""What a training process is told, and what it leaves behind: plain files, so that it needs no other service."""

import json
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from lumbargrade.params import PrepareParams, TrainingParams
from lumbargrade.task import GradingTask

SPEC = "spec.json"
MODEL = "model.safetensors"
HISTORY = "history.jsonl"
PREDICTIONS = "predictions.parquet"
RESULT = "result.json"
ERROR = "error.txt"
LOG = "log.txt"


class FoldSpec(BaseModel):
    """Everything that training one fold depends on.

    Attributes:
        crops: Folder of the packed crops.
        split: Table of studies and folds (CSV).
        fold: The fold that validates; the others, but for the holdout, train.
        folder: Where the process writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: GradingTask
    prepare: PrepareParams
    training: TrainingParams
    crops: Path
    split: Path
    fold: int
    seed: int
    folder: Path


class Epoch(BaseModel):
    """One line of the history: losses are weighted cross-entropies, a cell."""

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
        device: Where it trained, ``cpu`` or ``cuda``.
        crops_seen_per_second: Training crops, over all epochs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: int
    folder: Path
    epoch: int
    epochs: int
    validation_loss: float
    device: str
    precision: str
    threads: int
    crops_seen_per_second: float
    seconds: float

    @property
    def model(self) -> Path:
        """The fold's grader."""
        return self.folder / MODEL

    def predictions(self) -> pd.DataFrame:
        """Probabilities for the validation studies' cells: study_id, condition, level and a column a grade."""
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
    """The result that a finished training process left, or nothing."""
    path = folder / RESULT
    return FoldResult.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None
