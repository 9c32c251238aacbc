"""What a search works on, and what comes out of it."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

import lumbargrade
from lumbargrade.files import folder_sha256
from lumbargrade.params import Params, TrainingParams
from lumbargrade.task import GradingTask
from lumbargrade.training.metrics import Evaluation
from lumbargrade.training.spec import FoldResult

PACKAGE = Path(lumbargrade.__file__).parent
CALIBRATION = "calibration.json"
TRAINING_CODE = ("models", "training")
"""Folders whose code decides what a fold's weights become; that of the crops is in their hash."""


@dataclass(frozen=True)
class SearchPlan:
    """What a search works on.

    Attributes:
        data: Hashes of what the search sees; another value is another search.
        crops: Folder of the packed crops at labelled points.
        split: Table of studies and folds.
        folder: Where searches keep their folds and their study.
        located: Folder of those where the locator looked; nothing if the task has no locator.
        subgroups: By what else the studies are told apart when they are scored: kind, study, name.
        locators: The trained locators, which are packaged with the graders.
        locator_runs: MLflow's ids of their training.
    """

    params: Params
    task: GradingTask
    data: dict[str, str]
    crops: Path
    split: Path
    folder: Path = Path("runs")
    located: Path | None = None
    locators: tuple[Path, ...] = ()
    locator_runs: tuple[str, ...] = ()
    subgroups: dict[str, dict[int, str]] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """Name of the search, however many trials are asked for.

        It follows from data, parameters and the code that trains: what was trained by other code is never taken for
        this code's.
        """
        code = [folder_sha256(PACKAGE / folder) for folder in TRAINING_CODE]
        told = json.dumps([self.settings, self.task.model_dump(mode="json"), self.data, code], sort_keys=True)
        return f"{self.task.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that make this search and no other; the number of trials is not among them."""
        sections = self.params.model_dump(
            mode="json", include={"seed", "prepare", "split", "training", "search", "calibration"}
        )
        del sections["search"]["trials"]
        return sections


class TriedTrial(BaseModel):
    """A trial of a search, kept or lost.

    Attributes:
        state: ``complete``, ``pruned`` (stopped between its folds), ``diverged`` (given up, its loss was no number any
            more) or ``fail`` (cut off, and tried again).
        score: Nothing if it did not end.
        training: Its parameters, as far as they were searched.
        run_id: MLflow's; empty if it did not end.
        reason: Why it was pruned or given up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    state: str
    score: float | None
    training: dict[str, Any]
    run_id: str
    reason: str = ""


@dataclass(frozen=True)
class SearchOutcome:
    """The best of a search.

    Attributes:
        new_trials: Trials that this call had to run; 0 if all were there.
        tried: All trials, in their order.
        trial: Number of the best trial.
        training: Its parameters.
        folds: Its trained folds.
        calibration: File with what its out-of-fold predictions tell of how sure it may be.
        evaluation: Its out-of-fold predictions against the labels, where the locator looked.
        on_labelled: The same at the labelled points; nothing if there is no locator.
        report: The evaluation as a page.
        run_id: MLflow's id of the search; trial_run_id and fold_run_ids those of the best trial.
    """

    name: str
    trials: int
    tried: list[TriedTrial]
    new_trials: int
    trial: int
    training: TrainingParams
    folds: list[FoldResult]
    calibration: Path
    evaluation: Evaluation
    on_labelled: Evaluation | None
    report: str
    run_id: str
    trial_run_id: str
    fold_run_ids: list[str]
