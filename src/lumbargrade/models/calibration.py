"""Probabilities that can be believed: what a model's become, and which grades a cell may have."""

from collections.abc import Hashable
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import softmax

from lumbargrade.config.task import GradingTask

_LEAST = 1e-6
"""Probabilities are kept above it, or their logarithms would decide alone."""


class GroupCalibration(BaseModel):
    """What one group's probabilities become: softmax(scale * log p + bias).

    Source: temperature and bias-corrected scaling, Guo et al. 2017, Alexandari et al. 2020.

    Attributes:
        thresholds: A grade belongs to the set of possible ones if it is at least as likely as its own threshold: cells of
            that true grade reach it as often as promised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float
    bias: tuple[float, ...]
    thresholds: tuple[float, ...]


class Calibration(BaseModel):
    """How a model's probabilities are made to fit, by group of conditions.

    Attributes:
        coverage: How often a cell's set of grades holds the true one, whichever it is.
        cells: Out-of-fold cells that it was fitted to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float
    cells: int
    groups: dict[str, GroupCalibration]

    @classmethod
    def identity(cls, task: GradingTask) -> Self:
        """Changes nothing, and holds every grade possible."""
        none = (0.0,) * len(task.grades)
        same = GroupCalibration(scale=1.0, bias=none, thresholds=none)
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
        least = np.zeros_like(values)
        groups = _groups_of(task, calibrated)
        for name, group in self.groups.items():
            least[groups == name] = group.thresholds
        return np.asarray((values >= least) | (values == values.max(axis=1, keepdims=True)))


def logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of probabilities, none of which decides alone."""
    return np.log(np.maximum(probabilities, _LEAST))


def scaled(logs: NDArray[np.float64], scale: float, bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """softmax(scale * logs + bias), (cells, grades)."""
    return np.asarray(softmax(scale * logs + bias, axis=1))


def _groups_of(task: GradingTask, table: pd.DataFrame) -> NDArray[np.str_]:
    group: dict[Hashable, str] = {condition.name: condition.group for condition in task.conditions}
    return table["condition"].map(group).to_numpy(np.str_)
