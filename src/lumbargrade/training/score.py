"""The official score of the RSNA 2024 lumbar spine challenge, for any task. Lower is better.

Source: the metric of kaggle.com/competitions/rsna-2024-lumbar-spine-degenerative-classification, weights 1, 2, 4.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.task import GradingTask
from lumbargrade.training.align import GradedCells, align

CLIP = float(np.finfo(np.float64).eps)
"""Probabilities are kept within CLIP and 1 - CLIP, as scikit-learn's log loss does: 2.2e-16."""


@dataclass(frozen=True)
class ScoreParts:
    """The score and the losses of which it is the mean.

    Attributes:
        total: Mean of ``parts``.
        parts: Loss of each group that has labelled cells, and ``any_severe_<group>`` where the task asks for it.
    """

    total: float
    parts: dict[str, float]


def official_score(task: GradingTask, truth: pd.DataFrame, probabilities: pd.DataFrame) -> ScoreParts:
    """Scores predictions of labelled cells.

    With the weight w of each cell's true grade y and its predicted probabilities p, a group's loss is
    -sum(w ln p[y]) / sum(w) over all its labelled cells. The any-severe term has one row a study with labelled cells in
    that group: z is 1 if one of them is severe, q their largest p[severe], W their largest w, and the loss is
    -sum(W (z ln q + (1 - z) ln(1 - q))) / sum(W). A group without any labelled cell is left out of the mean.

    Args:
        truth: study_id, condition (name), level and grade (0 is the best), one row a labelled cell.
        probabilities: study_id, condition, level and ``task.grade_columns``.

    Raises:
        InputError: A labelled cell has no prediction, or a value is not possible.
    """
    return score_cells(task, align(task, truth, probabilities))


def score_cells(task: GradingTask, cells: GradedCells) -> ScoreParts:
    """Scores aligned cells, see :func:`official_score`."""
    weight = np.array(task.grade_weights, dtype=np.float64)[cells.grade]
    likelihood = np.clip(cells.probabilities[np.arange(len(cells.grade)), cells.grade], CLIP, 1 - CLIP)
    parts = {}
    for group in task.groups:
        of_group = cells.group == group
        if of_group.any():
            parts[group] = _weighted_mean(-np.log(likelihood[of_group]), weight[of_group])
    if task.any_severe_group in parts:
        parts[f"any_severe_{task.any_severe_group}"] = _any_severe(cells, weight, cells.group == task.any_severe_group)
    return ScoreParts(total=float(np.mean(list(parts.values()))), parts=parts)


def _any_severe(cells: GradedCells, weight: NDArray[np.float64], of_group: NDArray[np.bool_]) -> float:
    severe = cells.probabilities.shape[1] - 1
    rows = {
        "study": cells.study[of_group],
        "z": cells.grade[of_group] == severe,
        "q": cells.probabilities[of_group, severe],
        "weight": weight[of_group],
    }
    studies = pd.DataFrame(rows).groupby("study").max()
    q = studies["q"].clip(CLIP, 1 - CLIP).to_numpy(np.float64)
    loss = -np.where(studies["z"], np.log(q), np.log(1 - q))
    return _weighted_mean(loss, studies["weight"].to_numpy(np.float64))


def _weighted_mean(loss: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    return float(np.sum(weight * loss) / np.sum(weight))
