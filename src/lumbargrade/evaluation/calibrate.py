"""Probabilities that can be believed: out-of-fold predictions tell how sure the networks really may be.

A network that was trained with weighted grades says severe too often, and one that has seen few studies is too sure.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import CELL, align, complete_cells
from lumbargrade.evaluation.metrics import Evaluation, evaluate_predictions
from lumbargrade.evaluation.score import weigh_probabilities
from lumbargrade.models.calibration import Calibration, GroupCalibration, logarithms, scaled

_SCALE_SPREAD, _BIAS_SPREAD = 1.0, 0.4
"""How far scale (its logarithm) and biases may be expected from 1 and 0: they keep few labels from deciding all.

Biases above all: a fold with many severe cells leaves few to the others, which then correct it the wrong way. With a spread of 2
those of 256 SPIDER cells cost up to half a point of accuracy and 0.005 of the score; thousands of cells decide as they like.
"""
_FREE_SPREAD = 2.0
"""Of biases where the cells that fit them are also those that are judged: nothing is corrected the wrong way there."""


def fit_calibration(task: GradingTask, truth: pd.DataFrame, predictions: pd.DataFrame, coverage: float) -> Calibration:
    """Fits a calibration to labelled cells that the networks had not seen.

    A group without labelled cells stays as it is, and all of its grades are possible.

    Args:
        truth: study_id, condition, level, grade; cells without a prediction do not count.
        predictions: study_id, condition, level and ``task.grade_columns``.
        coverage: How often a set of grades shall hold the true one, 0 to 1.
    """
    cells = align(task, truth.merge(predictions[CELL], on=CELL), predictions)
    fitted = {}
    for name in task.groups:
        rows = cells.group == name
        logs = logarithms(cells.probabilities[rows])
        scale, bias = _fit(logs, cells.grade[rows])
        likelihood = scaled(logs, scale, bias)[np.arange(rows.sum()), cells.grade[rows]]
        thresholds = [_threshold(likelihood[cells.grade[rows] == grade], coverage) for grade in range(len(task.grades))]
        fitted[name] = GroupCalibration(scale=scale, bias=tuple(bias), thresholds=tuple(thresholds))
    return Calibration(coverage=coverage, cells=len(cells.grade), groups=fitted)


def calibrate_across(
    task: GradingTask, truth: pd.DataFrame, predictions: pd.DataFrame, coverage: float
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Calibrates out-of-fold predictions, those of each fold by what the other folds tell; and their sets of grades.

    Args:
        predictions: With the column ``fold``.
    """
    parts, sets = [], []
    for fold, ours in predictions.groupby("fold", sort=True):
        others = predictions[predictions["fold"] != fold]
        calibration = fit_calibration(task, truth, ours if others.empty else others, coverage)
        parts.append(calibration.apply(task, ours))
        sets.append(calibration.sets(task, parts[-1]))
    return pd.concat(parts, ignore_index=True), np.concatenate(sets)


def calibrated_loss(
    task: GradingTask, groups: NDArray[np.str_], logits: NDArray[np.float64], grades: NDArray[np.int64]
) -> float:
    """Cross-entropy of cells after each group was calibrated by these very cells, weighted as the task says.

    What is left is how well grades are separated: a network in the midst of its schedule is far too sure, and would look worse
    than it is. No number if a logit is none.

    Args:
        groups: Group of each cell, (cells,).
        logits: (cells, grades).
        grades: (cells,).
    """
    if not np.isfinite(logits).all():
        return float("nan")
    logs = logarithms(softmax(logits, axis=1))
    for name in np.unique(groups):
        rows = groups == name
        logs[rows] = logarithms(scaled(logs[rows], *_fit(logs[rows], grades[rows], _FREE_SPREAD)))
    likelihood = weigh_probabilities(task, np.exp(logs))[np.arange(len(grades)), grades]
    weights = np.array(task.grade_weights, dtype=np.float64)[grades]
    return float(-(weights * np.log(likelihood)).sum() / weights.sum())


def evaluate_calibrated(
    task: GradingTask,
    truth: pd.DataFrame,
    calibrated: pd.DataFrame,
    sets: NDArray[np.bool_],
    coverage: float,
    subgroups: Mapping[str, Mapping[int, str]] | None = None,
) -> Evaluation:
    """Evaluates calibrated predictions; a labelled cell without one counts as unknown, and any grade as possible."""
    whole = complete_cells(truth, calibrated, task)
    anything = np.ones((len(whole) - len(calibrated), len(task.grades)), dtype=bool)
    return evaluate_predictions(task, truth, whole, np.concatenate([sets, anything]), coverage, subgroups)


def _fit(
    logs: NDArray[np.float64], grades: NDArray[np.int64], bias_spread: float = _BIAS_SPREAD
) -> tuple[float, NDArray[np.float64]]:
    """Scale and biases of the largest posterior."""
    count = logs.shape[1]

    def loss(values: NDArray[np.float64]) -> float:
        likelihood = log_softmax(np.exp(values[0]) * logs + values[1:], axis=1)[np.arange(len(grades)), grades]
        prior = (values[0] / _SCALE_SPREAD) ** 2 + ((values[1:] / bias_spread) ** 2).sum()
        return float(0.5 * prior - likelihood.sum())

    found = minimize(loss, np.zeros(count + 1), method="L-BFGS-B").x
    return float(np.exp(found[0])), np.asarray(found[1:])


def _threshold(likelihood: NDArray[np.float64], coverage: float) -> float:
    """The probability that this share of new cells of a grade give that grade; 0 if there are too few to tell.

    Source: split conformal prediction within each grade (Sadinle, Lei and Wasserman 2019), by the finite sample's rank. Over
    all grades together the many mild cells would hide that sets miss the severe grade.
    """
    rank = int(np.floor((len(likelihood) + 1) * (1 - coverage)))
    return float(np.sort(likelihood)[rank - 1]) if rank >= 1 else 0.0
