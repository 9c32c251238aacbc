"""Probabilities that can be believed: out-of-fold predictions tell how sure the networks really may be.

A network that was trained with weighted grades says severe too often, and one that has seen few studies is too sure.
"""

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from lumbargrade.task import GradingTask
from lumbargrade.training.align import CELL, align
from lumbargrade.training.metrics import Evaluation, evaluate_predictions
from lumbargrade.training.predict import complete_cells

_LEAST = 1e-6
"""Probabilities are kept above it, or their logarithms would decide alone."""
_SCALE_SPREAD, _BIAS_SPREAD = 1.0, 2.0
"""How far scale (its logarithm) and biases may be expected from 1 and 0: they keep few labels from deciding all."""


class GroupCalibration(BaseModel):
    """What one group's probabilities become: softmax(scale * log p + bias).

    Source: temperature and bias-corrected scaling, Guo et al. 2017, Alexandari et al. 2020.

    Attributes:
        threshold: Grades at least as likely belong to the set of grades that holds the true one as often as promised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float
    bias: tuple[float, ...]
    threshold: float


class Calibration(BaseModel):
    """How a model's probabilities are made to fit, by group of conditions.

    Attributes:
        coverage: How often a cell's set of grades holds the true one.
        cells: Out-of-fold cells that it was fitted to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float
    cells: int
    groups: dict[str, GroupCalibration]

    def apply(self, task: GradingTask, predictions: pd.DataFrame) -> pd.DataFrame:
        """Calibrates a table of cells with ``task.grade_columns``."""
        columns = list(task.grade_columns)
        values = predictions[columns].to_numpy(np.float64).copy()
        groups = _groups(task, predictions)
        for name, group in self.groups.items():
            rows = groups == name
            values[rows] = _calibrated(np.log(np.maximum(values[rows], _LEAST)), group.scale, np.array(group.bias))
        return predictions.assign(**dict(zip(columns, values.T, strict=True)))

    def sets(self, task: GradingTask, calibrated: pd.DataFrame) -> NDArray[np.bool_]:
        """Which grades each cell may have, (cells, grades): conformal sets, of the likeliest grade at least."""
        values = calibrated[list(task.grade_columns)].to_numpy(np.float64)
        thresholds = {name: group.threshold for name, group in self.groups.items()}
        least = np.array([thresholds.get(name, 0.0) for name in _groups(task, calibrated)])
        likeliest = values.max(axis=1, keepdims=True)
        return np.asarray((values >= least[:, None]) | (values == likeliest))


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
        logs = np.log(np.maximum(cells.probabilities[rows], _LEAST))
        scale, bias = _fit(logs, cells.grade[rows])
        likelihood = _calibrated(logs, scale, bias)[np.arange(rows.sum()), cells.grade[rows]]
        fitted[name] = GroupCalibration(scale=scale, bias=tuple(bias), threshold=_threshold(likelihood, coverage))
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


def evaluate_calibrated(
    task: GradingTask, truth: pd.DataFrame, calibrated: pd.DataFrame, sets: NDArray[np.bool_], coverage: float
) -> Evaluation:
    """Evaluates calibrated predictions; a labelled cell without one counts as unknown."""
    whole = complete_cells(truth, calibrated, task)
    anything = np.ones((len(whole) - len(calibrated), len(task.grades)), dtype=bool)
    return evaluate_predictions(task, truth, whole, np.concatenate([sets, anything]), coverage)


def _groups(task: GradingTask, table: pd.DataFrame) -> NDArray[np.str_]:
    group: dict[Hashable, str] = {condition.name: condition.group for condition in task.conditions}
    return table["condition"].map(group).to_numpy(np.str_)


def _calibrated(logs: NDArray[np.float64], scale: float, bias: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(softmax(scale * logs + bias, axis=1))


def _fit(logs: NDArray[np.float64], grades: NDArray[np.int64]) -> tuple[float, NDArray[np.float64]]:
    """Scale and biases of the largest posterior."""
    count = logs.shape[1]

    def loss(values: NDArray[np.float64]) -> float:
        likelihood = log_softmax(np.exp(values[0]) * logs + values[1:], axis=1)[np.arange(len(grades)), grades]
        prior = (values[0] / _SCALE_SPREAD) ** 2 + ((values[1:] / _BIAS_SPREAD) ** 2).sum()
        return float(0.5 * prior - likelihood.sum())

    found = minimize(loss, np.zeros(count + 1), method="L-BFGS-B").x
    return float(np.exp(found[0])), np.asarray(found[1:])


def _threshold(likelihood: NDArray[np.float64], coverage: float) -> float:
    """The probability that the true grades of this share of new cells reach.

    Source: split conformal prediction, Angelopoulos and Bates 2021: the finite sample's rank, not the quantile.
    """
    rank = int(np.floor((len(likelihood) + 1) * (1 - coverage)))
    return float(np.sort(likelihood)[rank - 1]) if rank >= 1 else 0.0
