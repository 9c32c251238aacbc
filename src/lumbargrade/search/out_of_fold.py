"""What the folds of a trial say of the studies that they have not seen, calibrated, and how good that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lumbargrade.evaluation.align import truth_table
from lumbargrade.evaluation.calibrate import calibrate_across, evaluate_calibrated
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.preprocessing.split.split import HOLDOUT
from lumbargrade.search.plan import SearchPlan
from lumbargrade.search.pruning import study_losses
from lumbargrade.training.jobs.spec import FoldResult


@dataclass(frozen=True)
class Scored:
    """A trial's out-of-fold predictions, calibrated, and how good they are."""

    calibrated: pd.DataFrame
    evaluation: Evaluation
    on_labelled: Evaluation | None

    def metrics(self) -> dict[str, float]:
        """All figures by their names."""
        told = self.on_labelled.flat() if self.on_labelled else {}
        return {**self.evaluation.flat(), **{f"labelled_points.{name}": value for name, value in told.items()}}


class OutOfFold:
    """Scores trials of one search.

    Attributes:
        truth: Labelled cells of the studies outside the holdout.
    """

    def __init__(self, plan: SearchPlan) -> None:
        self.plan = plan
        index = PackedCrops(plan.crops).index
        split = pd.read_csv(plan.split)
        self.folds = dict(zip(split["study_id"].tolist(), split["fold"].tolist(), strict=True))
        self.truth = truth_table(index[index["study_id"].map(self.folds).fillna(HOLDOUT) != HOLDOUT])

    def score(self, results: Sequence[FoldResult]) -> Scored:
        """The headline is of located points, as users have no others; cells that were not located count as unknown."""
        calibrated, evaluation = self._evaluate(results, "located" if self.plan.located else "labelled")
        on_labelled = self._evaluate(results, "labelled")[1] if self.plan.located else None
        return Scored(calibrated, evaluation, on_labelled)

    def predictions(self, results: Sequence[FoldResult], points: str | None = None) -> pd.DataFrame:
        """What the folds say of their validation studies, with the column ``fold``; at the headline's points by default."""
        points = points or ("located" if self.plan.located else "labelled")
        every = pd.concat([result.predictions().assign(fold=result.fold) for result in results], ignore_index=True)
        return every[every["points"] == points].reset_index(drop=True)

    def losses(self, result: FoldResult) -> pd.Series:
        """The loss of each study of a fold, under the study's place among all of the split."""
        studies = [study for study, fold in self.folds.items() if fold == result.fold]
        coverage = self.plan.params.calibration.coverage
        losses = study_losses(self.plan.task, self.truth, self.predictions([result]), coverage, studies)
        return losses.rename(index={study: place for place, study in enumerate(sorted(self.folds))})

    def _evaluate(self, results: Sequence[FoldResult], points: str) -> tuple[pd.DataFrame, Evaluation]:
        """Out-of-fold predictions, what calibrates a fold from the other folds, and how good they are."""
        task, coverage = self.plan.task, self.plan.params.calibration.coverage
        calibrated, sets = calibrate_across(task, self.truth, self.predictions(results, points), coverage)
        return calibrated, evaluate_calibrated(task, self.truth, calibrated, sets, coverage, self.plan.subgroups)
