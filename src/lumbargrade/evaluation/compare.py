"""Two models on the same cells: how much better one is, and whether that may be chance."""

import numpy as np
import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.agreement import Interval, draw_studies, interval
from lumbargrade.evaluation.align import GradedCells, align
from lumbargrade.evaluation.bootstrap_metrics import Measure, accuracies, scores
from lumbargrade.frozen import Frozen


class Difference(Frozen):
    """A metric of two models; the interval is of their difference, from resampled studies.

    Attributes:
        interval: 95 %, unless another was asked for; None for a single study.
    """

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
    measures = {"score": scores, "accuracy": accuracies}
    return {name: compare_cells(task, ours, theirs, measure) for name, measure in measures.items()}


def compare_cells(
    task: GradingTask, ours: GradedCells, theirs: GradedCells, measure: Measure, width: float = 0.95
) -> Difference:
    """Compares one measure of the same cells, in the same draws of studies (paired bootstrap).

    Args:
        width: Of the interval, as a share.

    Returns:
        Its values are NaN if the cells do not define the measure.
    """
    studies = len(np.unique(ours.study))
    (one,), (other,) = (measure(task, cells, np.ones((1, studies))) for cells in (ours, theirs))
    draws = draw_studies(studies)
    drawn = measure(task, ours, draws) - measure(task, theirs, draws)
    return Difference(first=one, second=other, interval=interval(drawn, width) if studies > 1 else None)
