"""A model that a search made, with all that it came from: what the registry makes a version of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lumbargrade.config.params import Packaging, Params, TrainingParams
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import RsnaDataset
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.models.trained_on import ModelFacts
from lumbargrade.training.jobs.spec import FoldResult
from lumbargrade.training.jobs.student import Student
from lumbargrade.training.trial_record import TrialRecord


@dataclass(frozen=True, eq=False)
class Candidate:
    """The best trial of a search, to be packaged, registered and compared with the champion.

    Attributes:
        data: The dataset's name, and hashes of it and of what was made of it, as the version's tags call them.
        input_files: SHA-256 of the files that the parameters of any trial name, by these names.
        crops: Folder of the packed crops at labelled points.
        located: Folder of those where the locator looked; None if the task has no locator.
        split: Table of studies and folds.
        subgroups: What else separates the studies when they are scored: kind, study, name.
        locators: The trained locators, which are packaged with the graders.
        locator_run_ids: MLflow's ids of their training.
        search_run_id: MLflow's id of the search; trial_run_id and fold_run_ids those of the best trial.
        trials: All trials of the search, in their order.
        best_trial: Number of the best one; training, folds, calibration and evaluation are its own.
        calibration: File with the calibration of its out-of-fold predictions.
        student: What is packaged in place of the folds; None if they are packaged themselves.
        evaluation: Out-of-fold predictions against the labels, where the locator looked.
        on_labelled: The same at the labelled points; None if there is no locator.
        report: The evaluation as a page.
        facts: What it was trained on and how well it did; on the holdout too, once the gate has looked.
    """

    params: Params
    dataset: RsnaDataset
    data: Mapping[str, str]
    input_files: Mapping[str, str]
    crops: Path
    located: Path | None
    split: Path
    subgroups: Mapping[str, Mapping[int, str]]
    locators: tuple[Path, ...]
    locator_run_ids: tuple[str, ...]
    search_name: str
    search_run_id: str
    trials: tuple[TrialRecord, ...]
    best_trial: int
    trial_run_id: str
    training: TrainingParams
    folds: tuple[FoldResult, ...]
    fold_run_ids: tuple[str, ...]
    calibration: Path
    student: Student | None
    evaluation: Evaluation
    on_labelled: Evaluation | None
    report: str
    facts: ModelFacts

    @property
    def task(self) -> GradingTask:
        """What it grades."""
        return self.dataset.task

    @property
    def graders(self) -> tuple[Path, ...]:
        """The networks that are packaged.

        The calibration is the folds' out-of-fold one in either case: a student says what they say, and has left no study
        unseen to be calibrated by but the holdout, which is the gate's; there its calibration error is a guard rail.
        """
        return (self.student.result.model,) if self.student else tuple(fold.model for fold in self.folds)

    @property
    def packaging(self) -> Packaging:
        """How they came to be, as ``package.graders`` calls it."""
        return self.student.how if self.student else "ensemble"

    @property
    def packaging_words(self) -> str:
        """The same in words."""
        if self.student is None:
            return f"{len(self.folds)} graders, one a fold, whose probabilities are averaged"
        made, whose = {
            "distilled": ("distilled from", "it was"),
            "averaged": ("with the mean of the weights of", "they were"),
        }[self.student.how]
        return (
            f"one grader, {made} {len(self.folds)} folds; it gives the same likeliest grade as they do together in "
            f"{self.student.same_grade:.1%} of a sample of the cells that {whose} trained on"
        )

    @property
    def run_ids(self) -> list[str]:
        """MLflow's runs of the search, its trials, the model's folds, their student and its locators."""
        trials = [trial.run_id for trial in self.trials if trial.run_id]
        student = [self.student.run_id] if self.student else []
        return [self.search_run_id, *trials, *self.fold_run_ids, *student, *self.locator_run_ids]
