"""What a search works on, and what comes out of it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lumbargrade.config.code_digest import TRAINING, code_digest
from lumbargrade.config.params import Params, TrainingParams, override_training
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.files import file_sha256
from lumbargrade.training.grader.input_files import file_digests, named_files, searched_files
from lumbargrade.training.jobs.spec import FoldResult, FoldSpec, StudentSpec, Teacher
from lumbargrade.training.jobs.student import Student
from lumbargrade.training.trial_record import TrialRecord, count_ended

CALIBRATION = "calibration.json"
_STUDENTS = {"distilled": "student", "averaged": "average"}
"""What the folders of a trial's students begin with."""


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
    folder: Path = field(default_factory=lambda: current_project().runs)
    located: Path | None = None
    locators: tuple[Path, ...] = ()
    locator_runs: tuple[str, ...] = ()
    subgroups: dict[str, dict[int, str]] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """Name of the search, however many trials are asked for.

        It follows from data, parameters, the files that these name, and the code that trains: what was trained by other
        code is never taken for this code's.
        """
        told = json.dumps(self.identity, sort_keys=True)
        return f"{self.task.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the name follows from."""
        return {
            "settings": self.settings,
            "task": self.task.model_dump(mode="json"),
            "data": self.data,
            "files": self.files,
            "code": code_digest(TRAINING),
        }

    @cached_property
    def files(self) -> dict[str, str]:
        """SHA-256 of the files that the parameters of any trial name, as they were when they were first asked for."""
        return file_digests(searched_files(self.params))

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that make this search and no other; the number of trials is not among them."""
        sections = self.params.model_dump(
            mode="json", include={"seed", "prepare", "split", "training", "search", "calibration"}
        )
        del sections["search"]["trials"]
        return sections

    def fold_specs(self, training: TrainingParams) -> list[FoldSpec]:
        """The folds of a trial. Their folder is named by what they depend on, so that equal trials share it."""
        digest = hashlib.sha256(training.model_dump_json().encode()).hexdigest()[:12]
        return [
            FoldSpec(
                task=self.task,
                prepare=self.params.prepare,
                training=training,
                crops=self.crops.resolve(),
                located=self.located.resolve() if self.located else None,
                split=self.split.resolve(),
                fold=fold,
                seed=self.params.seed,
                folder=(self.folder / self.name / digest / f"fold-{fold}").resolve(),
                files=self._files_of(training),
            )
            for fold in range(self.params.split.folds)
        ]

    def student_spec(self, training: TrainingParams, folds: Sequence[FoldResult]) -> StudentSpec:
        """The one grader that is to answer as a trial's folds do together, beside them, as ``package.graders`` tells.

        Its folder is named by what it depends on beyond the search: other weights of a teacher are another student.
        """
        how = self.params.package.graders
        assert how != "ensemble"
        if how == "distilled" and (epochs := self.params.package.student_epochs):
            training = override_training(training, {"epochs": epochs})
        teachers = tuple(Teacher(model=fold.model.resolve(), sha256=file_sha256(fold.model)) for fold in folds)
        told = json.dumps([training.model_dump(mode="json"), [teacher.sha256 for teacher in teachers]], sort_keys=True)
        digest = hashlib.sha256(told.encode()).hexdigest()[:12]
        return StudentSpec(
            task=self.task,
            prepare=self.params.prepare,
            training=training,
            crops=self.crops.resolve(),
            located=self.located.resolve() if self.located else None,
            split=self.split.resolve(),
            how=how,
            fold=len(folds),
            seed=self.params.seed,
            teachers=teachers,
            folder=(folds[0].folder.parent / f"{_STUDENTS[how]}-{digest}").resolve(),
            files=self._files_of(training),
        )

    def _files_of(self, training: TrainingParams) -> dict[str, str]:
        return {name: self.files[name] for name in named_files(training).values()}


@dataclass(frozen=True)
class SearchProgress:
    """How far a search is.

    Attributes:
        trials: Trials that have ended, of ``of_trials``.
        folds: Folds under way, of as many as there are ``places`` for.
        best: The best score so far; nothing before the first.
        epochs: Epochs trained, of ``of_epochs`` if no further trial is stopped.
    """

    trials: int
    of_trials: int
    folds: int
    places: int
    best: float | None
    epochs: int
    of_epochs: int


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
        student: What is packaged in place of the folds; nothing if they are packaged themselves.
    """

    name: str
    tried: list[TrialRecord]
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
    student: Student | None = None

    @property
    def trials(self) -> int:
        """Trials that have ended."""
        return count_ended(self.tried)
