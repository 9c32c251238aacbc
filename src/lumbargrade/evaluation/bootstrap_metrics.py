"""Measures of graded cells over draws of studies: sums of each study are made once, so that a draw costs little.

Each is called with a task, the cells, and how often each study counts in each draw, (draws, studies), in the order of the
study ids. It returns a number a draw, (draws,), which is NaN where the draw does not define it.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import GradedCells
from lumbargrade.evaluation.score import CLIP, resampled_scores, weigh_probabilities

Draws = NDArray[np.float64]
Measure = Callable[[GradingTask, GradedCells, Draws], NDArray[np.float64]]

BINS = 10


def scores(task: GradingTask, cells: GradedCells, draws: Draws) -> NDArray[np.float64]:
    """The official score, lower is better, of the probabilities times the grades' weights."""
    weighted = weigh_probabilities(task, cells.probabilities)
    return resampled_scores(task, replace(cells, probabilities=weighted), draws)


def losses(task: GradingTask, cells: GradedCells, draws: Draws) -> NDArray[np.float64]:
    """The score's loss over all cells, whatever their group: each counts as much as its true grade weighs."""
    weight = np.array(task.grade_weights, dtype=np.float64)[cells.grade]
    likelihood = weigh_probabilities(task, cells.probabilities)[np.arange(len(cells.grade)), cells.grade]
    return _shares(cells, draws, -weight * np.log(np.clip(likelihood, CLIP, 1 - CLIP)), weight)


def accuracies(task: GradingTask, cells: GradedCells, draws: Draws) -> NDArray[np.float64]:
    """Share of cells whose likeliest grade is right."""
    return _shares(cells, draws, cells.predicted == cells.grade, np.ones(len(cells.grade)))


def severe_recalls(task: GradingTask, cells: GradedCells, draws: Draws) -> NDArray[np.float64]:
    """Share of the cells of the worst grade whose likeliest grade it is."""
    severe = cells.grade == len(task.grades) - 1
    return _shares(cells, draws, severe & (cells.predicted == cells.grade), severe)


def calibration_errors(task: GradingTask, cells: GradedCells, draws: Draws) -> NDArray[np.float64]:
    """Expected calibration error: the mean distance of how sure the cells of a bin are from how often they are right."""
    confidence = cells.probabilities.max(axis=1)
    studies, owner = np.unique(cells.study, return_inverse=True)
    surer = np.zeros((len(studies), BINS))
    np.add.at(surer, (owner, confidence_bins(confidence)), confidence - (cells.predicted == cells.grade))
    number = draws @ np.bincount(owner).astype(np.float64)
    return np.asarray(np.abs(draws @ surer).sum(axis=1) / number)


def confidence_bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each cell, of :data:`BINS` of equal width, by the probability of its likeliest grade."""
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def _shares(
    cells: GradedCells, draws: Draws, part: NDArray[np.float64 | np.bool_], whole: NDArray[np.float64 | np.bool_]
) -> NDArray[np.float64]:
    """The sum of ``part`` over the sum of ``whole``, both (cells,), in each draw."""
    _, owner = np.unique(cells.study, return_inverse=True)
    below = draws @ np.bincount(owner, whole)
    above = draws @ np.bincount(owner, part)
    return np.asarray(np.divide(above, below, out=np.full(len(draws), np.nan), where=below > 0))
