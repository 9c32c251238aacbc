"""What a search works on, and what comes out of it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumbargrade.params import Params, TrainingParams
from lumbargrade.task import GradingTask
from lumbargrade.training.metrics import Evaluation
from lumbargrade.training.spec import FoldResult


@dataclass(frozen=True)
class SearchPlan:
    """What a search works on.

    Attributes:
        data: Hashes of what the search sees; another value is another search.
        crops: Folder of the packed crops.
        split: Table of studies and folds.
        folder: Where searches keep their folds and their study.
    """

    params: Params
    task: GradingTask
    data: dict[str, str]
    crops: Path
    split: Path
    folder: Path = Path("runs")

    @property
    def name(self) -> str:
        """Name of the search: the same data and parameters give the same name, however many trials are asked for."""
        told = json.dumps([self.settings, self.task.model_dump(mode="json"), self.data], sort_keys=True)
        return f"{self.task.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that make this search and no other; the number of trials is not among them."""
        sections = self.params.model_dump(mode="json", include={"seed", "prepare", "split", "training", "search"})
        del sections["search"]["trials"]
        return sections


@dataclass(frozen=True)
class SearchOutcome:
    """The best of a search.

    Attributes:
        new_trials: Trials that this call had to run; 0 if all were there.
        trial: Number of the best trial.
        training: Its parameters.
        folds: Its trained folds.
        evaluation: Its out-of-fold predictions against the labels.
        run_id: MLflow's id of the search; trial_run_id and fold_run_ids those of the best trial.
    """

    name: str
    trials: int
    new_trials: int
    trial: int
    training: TrainingParams
    folds: list[FoldResult]
    evaluation: Evaluation
    run_id: str
    trial_run_id: str
    fold_run_ids: list[str]
