"""Probabilities that can be believed: what a model's become, and which grades a cell may have."""

from collections.abc import Hashable
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import softmax

from lumbargrade.task import GradingTask

_LEAST = 1e-6
"""Probabilities are kept above it, or their logarithms would decide alone."""


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

    @classmethod
    def identity(cls, task: GradingTask) -> Self:
        """Changes nothing, and holds every grade possible."""
        same = GroupCalibration(scale=1.0, bias=(0.0,) * len(task.grades), threshold=0.0)
        return cls(coverage=1.0, cells=0, groups=dict.fromkeys(task.groups, same))

    def apply(self, task: GradingTask, predictions: pd.DataFrame) -> pd.DataFrame:
        """Calibrates a table of cells with ``task.grade_columns``."""
        columns = list(task.grade_columns)
        values = predictions[columns].to_numpy(np.float64).copy()
        groups = _groups_of(task, predictions)
        for name, group in self.groups.items():
            rows = groups == name
            values[rows] = scaled(logarithms(values[rows]), group.scale, np.array(group.bias))
        return predictions.assign(**dict(zip(columns, values.T, strict=True)))

    def sets(self, task: GradingTask, calibrated: pd.DataFrame) -> NDArray[np.bool_]:
        """Which grades each cell may have, (cells, grades): conformal sets, of the likeliest grade at least."""
        values = calibrated[list(task.grade_columns)].to_numpy(np.float64)
        thresholds = {name: group.threshold for name, group in self.groups.items()}
        least = np.array([thresholds.get(name, 0.0) for name in _groups_of(task, calibrated)])
        likeliest = values.max(axis=1, keepdims=True)
        return np.asarray((values >= least[:, None]) | (values == likeliest))


def logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of probabilities, none of which decides alone."""
    return np.log(np.maximum(probabilities, _LEAST))


def scaled(logs: NDArray[np.float64], scale: float, bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """softmax(scale * logs + bias), (cells, grades)."""
    return np.asarray(softmax(scale * logs + bias, axis=1))


def _groups_of(task: GradingTask, table: pd.DataFrame) -> NDArray[np.str_]:
    group: dict[Hashable, str] = {condition.name: condition.group for condition in task.conditions}
    return table["condition"].map(group).to_numpy(np.str_)
