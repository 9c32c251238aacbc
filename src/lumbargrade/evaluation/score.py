"""The official score of the RSNA 2024 lumbar spine challenge, for any task. Lower is better.

Source: the metric of kaggle.com/competitions/rsna-2024-lumbar-spine-degenerative-classification, weights 1, 2, 4.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import GradedCells

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


def score_cells(task: GradingTask, cells: GradedCells) -> ScoreParts:
    """Scores aligned cells by the official score.

    With the weight w of each cell's true grade y and its predicted probabilities p, a group's loss is
    -sum(w ln p[y]) / sum(w) over all its labelled cells. The any-severe term has one row a study with labelled cells in
    that group: z is 1 if one of them is severe, q their largest p[severe], W their largest w, and the loss is
    -sum(W (z ln q + (1 - z) ln(1 - q))) / sum(W). A group without any labelled cell is left out of the mean.
    """
    parts = {name: float(sums.loss.sum() / sums.weight.sum()) for name, sums in score_sums(task, cells).items()}
    return ScoreParts(total=float(np.mean(list(parts.values()))), parts=parts)


class StudySums(NamedTuple):
    """What each study adds to one part of the score: the part is the sum of losses over the sum of weights.

    Attributes:
        loss, weight: In the order of the study ids, (studies,).
    """

    loss: NDArray[np.float64]
    weight: NDArray[np.float64]


def score_sums(task: GradingTask, cells: GradedCells) -> dict[str, StudySums]:
    """The parts of the score by study, so that studies can be drawn anew."""
    weight = np.array(task.grade_weights, dtype=np.float64)[cells.grade]
    likelihood = np.clip(cells.probabilities[np.arange(len(cells.grade)), cells.grade], CLIP, 1 - CLIP)
    studies, owner = np.unique(cells.study, return_inverse=True)
    parts = {}
    for group in task.groups:
        of_group = cells.group == group
        if of_group.any():
            loss = -weight * np.log(likelihood) * of_group
            parts[group] = StudySums(_by_study(loss, owner, studies), _by_study(weight * of_group, owner, studies))
    if task.any_severe_group in parts:
        rows = cells.group == task.any_severe_group
        parts[f"any_severe_{task.any_severe_group}"] = _any_severe(cells, weight, rows, studies)
    return parts


def _by_study(values: NDArray[np.float64], owner: NDArray[np.int64], studies: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(owner, values, len(studies)), dtype=np.float64)


def _any_severe(
    cells: GradedCells, weight: NDArray[np.float64], of_group: NDArray[np.bool_], studies: NDArray[np.int64]
) -> StudySums:
    severe = cells.probabilities.shape[1] - 1
    rows = {
        "study": cells.study[of_group],
        "z": cells.grade[of_group] == severe,
        "q": cells.probabilities[of_group, severe],
        "weight": weight[of_group],
    }
    found = pd.DataFrame(rows).groupby("study").max()
    q = found["q"].clip(CLIP, 1 - CLIP).to_numpy(np.float64)
    found["loss"] = -found["weight"] * np.where(found["z"], np.log(q), np.log(1 - q))
    found = found[["loss", "weight"]].reindex(studies, fill_value=0.0)
    return StudySums(found["loss"].to_numpy(np.float64), found["weight"].to_numpy(np.float64))


def weigh_probabilities(task: GradingTask, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turns probabilities of the grades into those that the score rewards: it weighs cells by their true grade.

    Args:
        probabilities: (cells, grades).
    """
    weighted = probabilities * np.array(task.grade_weights, dtype=np.float64)
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def resampled_scores(task: GradingTask, cells: GradedCells, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of each draw of studies, (draws,); no number where a part of it has no weight.

    Args:
        draws: How often each study counts, in the order of the study ids, (draws, studies).
    """
    parts = []
    for sums in score_sums(task, cells).values():
        weight = draws @ sums.weight
        parts.append(np.divide(draws @ sums.loss, weight, out=np.full(len(draws), np.nan), where=weight > 0))
    return np.asarray(np.mean(parts, axis=0))
