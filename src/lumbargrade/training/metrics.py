"""Metrics of graded cells beside the official score. What the data does not define is None, never a warning."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sklearn import metrics

from lumbargrade.task import GradingTask
from lumbargrade.training.align import GradedCells, align
from lumbargrade.training.score import CLIP, score_cells

_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)

Confusion = tuple[tuple[int, ...], ...]


class Evaluation(BaseModel):
    """How well predictions fit the labelled cells.

    Attributes:
        decision_rule: How a grade follows from probabilities, wherever one is needed (accuracy, recall, kappa, F1).
        score: The official score, lower is better.
        score_parts: The losses of which the score is the mean.
        accuracy_interval: 95 % interval of the accuracy, from resampled studies; None for a single study.
        accuracy_majority: Accuracy of always answering the commonest of the true grades.
        balanced_accuracy: Mean recall of the grades that occur.
        quadratic_kappa: Cohen's kappa with quadratic weights.
        macro_f1: Mean F1 of the grades that occur.
        severe_auc: Area under the ROC curve of p[severe], severe against the rest, all cells pooled.
        log_loss: Unweighted.
        recall: By grade, as in ``task.grade_columns``.
        confusion: By group: rows are true grades, columns predicted ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    studies: int
    cells: int
    decision_rule: str = "the likeliest grade, the better one of equals"
    score: float
    score_parts: dict[str, float]
    accuracy: float
    accuracy_interval: tuple[float, float] | None
    accuracy_majority: float
    balanced_accuracy: float | None
    quadratic_kappa: float | None
    macro_f1: float | None
    severe_auc: float | None
    log_loss: float
    recall: dict[str, float | None]
    accuracy_by_condition: dict[str, float]
    confusion: dict[str, Confusion]

    def flat(self) -> dict[str, float]:
        """Returns what is defined under one key each: ``score_spinal``, ``recall_severe``, ``accuracy_<condition>``."""
        low, high = self.accuracy_interval or (None, None)
        names = ("score", "accuracy", "accuracy_majority", "balanced_accuracy", "quadratic_kappa", "macro_f1")
        values: dict[str, float | None] = {name: getattr(self, name) for name in (*names, "severe_auc", "log_loss")}
        values |= {"accuracy_low": low, "accuracy_high": high, "studies": self.studies, "cells": self.cells}
        values |= {f"score_{part}": loss for part, loss in self.score_parts.items()}
        values |= {f"recall_{grade}": recall for grade, recall in self.recall.items()}
        values |= {f"accuracy_{condition}": accuracy for condition, accuracy in self.accuracy_by_condition.items()}
        return {name: float(value) for name, value in values.items() if value is not None}


def evaluate_predictions(task: GradingTask, truth: pd.DataFrame, probabilities: pd.DataFrame) -> Evaluation:
    """Compares predictions with the labelled cells.

    Args:
        truth: study_id, condition (name), level and grade (0 is the best), one row a labelled cell.
        probabilities: study_id, condition, level and ``task.grade_columns``.

    Raises:
        InputError: A labelled cell has no prediction, or a value is not possible.
    """
    cells = align(task, truth, probabilities)
    score = score_cells(task, cells)
    right = cells.grade == cells.predicted
    agreement = _agreement(cells.grade, cells.predicted)
    return Evaluation(
        studies=len(np.unique(cells.study)),
        cells=len(right),
        score=score.total,
        score_parts=score.parts,
        accuracy=float(right.mean()),
        accuracy_interval=_interval(cells.study, right),
        accuracy_majority=float(np.bincount(cells.grade).max() / len(right)),
        balanced_accuracy=agreement["balanced_accuracy"],
        quadratic_kappa=agreement["quadratic_kappa"],
        macro_f1=agreement["macro_f1"],
        severe_auc=_severe_auc(cells),
        log_loss=_log_loss(cells),
        recall=_recall(task, cells),
        accuracy_by_condition=_accuracy_by_condition(task, cells, right),
        confusion=_confusion_by_group(task, cells),
    )


def _interval(study: NDArray[np.int64], right: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Percentile bootstrap over studies: cells of one study are not independent. The same data give the same interval."""
    by_study = pd.DataFrame({"study": study, "right": right}).groupby("study")["right"].agg(["sum", "count"])
    if len(by_study) < 2:
        return None
    draws = np.random.default_rng(0).multinomial(len(by_study), np.full(len(by_study), 1 / len(by_study)), _RESAMPLES)
    sums, counts = (draws @ by_study[column].to_numpy() for column in ("sum", "count"))
    low, high = np.percentile(sums / counts, _INTERVAL)
    return float(low), float(high)


def _agreement(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float | None]:
    occurring = np.unique(true)
    if len(occurring) < 2:
        return dict.fromkeys(("balanced_accuracy", "quadratic_kappa", "macro_f1"))
    recall = metrics.recall_score(true, predicted, labels=occurring, average="macro", zero_division=0.0)
    f1 = metrics.f1_score(true, predicted, labels=occurring, average="macro", zero_division=0.0)
    kappa = metrics.cohen_kappa_score(true, predicted, weights="quadratic")
    return {"balanced_accuracy": float(recall), "quadratic_kappa": float(kappa), "macro_f1": float(f1)}


def _severe_auc(cells: GradedCells) -> float | None:
    severe = cells.probabilities.shape[1] - 1
    is_severe = cells.grade == severe
    if is_severe.all() or not is_severe.any():
        return None
    return float(metrics.roc_auc_score(is_severe, cells.probabilities[:, severe]))


def _log_loss(cells: GradedCells) -> float:
    likelihood = cells.probabilities[np.arange(len(cells.grade)), cells.grade]
    return float(-np.log(np.clip(likelihood, CLIP, 1 - CLIP)).mean())


def _recall(task: GradingTask, cells: GradedCells) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for grade, name in enumerate(task.grade_columns):
        predicted = cells.predicted[cells.grade == grade]
        found[name] = float((predicted == grade).mean()) if len(predicted) else None
    return found


def _accuracy_by_condition(task: GradingTask, cells: GradedCells, right: NDArray[np.bool_]) -> dict[str, float]:
    present = [condition.name for condition in task.conditions if (cells.condition == condition.name).any()]
    return {name: float(right[cells.condition == name].mean()) for name in present}


def _confusion_by_group(task: GradingTask, cells: GradedCells) -> dict[str, Confusion]:
    matrices = {}
    for group in task.groups:
        rows = cells.group == group
        if rows.any():
            true, predicted = cells.grade[rows], cells.predicted[rows]
            matrix = metrics.confusion_matrix(true, predicted, labels=range(len(task.grades)))
            matrices[group] = tuple(tuple(row) for row in matrix.tolist())
    return matrices
