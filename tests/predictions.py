"""Labelled cells and what made-up models say of them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import align
from lumbargrade.evaluation.evaluate import GradedStudies
from lumbargrade.evaluation.metrics import evaluate_predictions
from lumbargrade.evaluation.score import ScoreParts, score_cells
from lumbargrade.models.trained_on import ModelFacts, Performance, TrainedOn
from lumbargrade.registry.promotion.holdout import HoldoutGrades

FACTS = ModelFacts(
    trained_on=TrainedOn(datasets=("phantom",), task="rsna2024", studies=48, synthetic_studies=48),
    cross_validation=Performance(
        studies=48, cells=1200, accuracy=0.778, accuracy_majority=0.778, majority="Normal/Mild", worst="Severe",
        worst_found=3, worst_cells=24,
    ),
    coverage=0.9,
)  # fmt: skip
"""Of a model that knows synthetic spines only and is no better than answering the commonest grade."""

Rows = NDArray[np.bool_]


def official_score(task: GradingTask, truth: pd.DataFrame, probabilities: pd.DataFrame) -> ScoreParts:
    """Scores the predictions of labelled cells, of which nothing may be missing."""
    return score_cells(task, align(task, truth, probabilities))


def cells(task: GradingTask, studies: int, grades: tuple[float, ...] = (0.6, 0.25, 0.15)) -> pd.DataFrame:
    """Every cell of some studies, with random grades."""
    keys = [(study, cell.condition.name, cell.level) for study in range(studies) for cell in task.cells]
    drawn = np.random.default_rng(0).choice(3, len(keys), p=grades)
    return pd.DataFrame(keys, columns=["study_id", "condition", "level"]).assign(grade=drawn)


def right(truth: pd.DataFrame, sure: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities that give this much to the true grade and share the rest, (cells, 3)."""
    told = np.repeat(((1 - np.broadcast_to(sure, len(truth))) / 2)[:, None], 3, axis=1)
    told[np.arange(len(truth)), truth["grade"]] = sure
    return told


def says(task: GradingTask, truth: pd.DataFrame, told: NDArray[np.float64]) -> GradedStudies:
    table = truth.drop(columns="grade").assign(**dict(zip(task.grade_columns, told.T, strict=True)))
    return GradedStudies(evaluate_predictions(task, truth, table), truth, table)


def both(
    task: GradingTask,
    truth: pd.DataFrame,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64] | None,
    subgroups: dict[str, dict[int, str]] | None = None,
) -> HoldoutGrades:
    champion = None if theirs is None else says(task, truth, theirs)
    return HoldoutGrades(says(task, truth, ours), champion, None, subgroups or {})
