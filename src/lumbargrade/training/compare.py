"""Two models on the same cells: how much better one is, and whether that may be chance."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from lumbargrade.task import GradingTask
from lumbargrade.training.agreement import Interval, draw_studies, interval
from lumbargrade.training.align import GradedCells, align
from lumbargrade.training.score import resampled_scores, weigh_probabilities


class Difference(BaseModel):
    """A metric of two models; the interval is of their difference, from resampled studies.

    Attributes:
        interval: 95 %; nothing for a single study.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: float
    second: float
    interval: Interval | None

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def compare_predictions(
    task: GradingTask, truth: pd.DataFrame, first: pd.DataFrame, second: pd.DataFrame
) -> dict[str, Difference]:
    """Compares calibrated predictions of the same cells: ``score`` (lower is better) and ``accuracy``.

    Raises:
        InputError: A labelled cell has no prediction, or a value is not possible.
    """
    ours, theirs = (align(task, truth, table) for table in (first, second))
    studies = len(np.unique(ours.study))
    found = {}
    for name, measure in {"score": _scores, "accuracy": _accuracies}.items():
        (one,), (other,) = (measure(task, cells, np.ones((1, studies))) for cells in (ours, theirs))
        draws = draw_studies(studies)
        drawn = measure(task, ours, draws) - measure(task, theirs, draws)
        found[name] = Difference(first=one, second=other, interval=interval(drawn) if studies > 1 else None)
    return found


def _scores(task: GradingTask, cells: GradedCells, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    weighted = weigh_probabilities(task, cells.probabilities)
    return resampled_scores(task, replace(cells, probabilities=weighted), draws)


def _accuracies(task: GradingTask, cells: GradedCells, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    _, owner = np.unique(cells.study, return_inverse=True)
    right = np.bincount(owner, cells.predicted == cells.grade)
    return np.asarray((draws @ right) / (draws @ np.bincount(owner)))
