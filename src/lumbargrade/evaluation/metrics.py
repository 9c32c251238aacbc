"""Metrics of graded cells. What the data does not define is None, never a warning."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.agreement import Agreement, Interval, agree, draw_studies, interval
from lumbargrade.evaluation.align import CELL, GradedCells, align
from lumbargrade.evaluation.bootstrap_metrics import confidence_bins
from lumbargrade.evaluation.score import CLIP, resampled_scores, score_cells, weigh_probabilities
from lumbargrade.frozen import Frozen

LIKELIEST, WEIGHTED = "likeliest", "weighted"
"""Decision rules: the likeliest grade (the better one of equals); the grade of the largest probability times its weight
in the score, which misses fewer severe ones."""


class Reliability(Frozen):
    """How often cells are right that are as sure as this.

    Attributes:
        confidence: Mean probability of the likeliest grade.
        accuracy: Share of them that are right.
    """

    cells: int
    confidence: float
    accuracy: float


class GradeSets(Frozen):
    """How sets of possible grades did.

    Attributes:
        promised: How often a set shall hold the true grade, whichever it is.
        coverage: How often it did; more than promised where the likeliest grade alone is right as often.
        by_grade: The same by true grade, from the best to the worst; None for a grade that does not occur.
        mean_size: Grades in a set; ``single`` is the share of sets with one.
    """

    promised: float
    coverage: float
    by_grade: tuple[float | None, ...]
    mean_size: float
    single: float


class Evaluation(Frozen):
    """How well predictions fit the labelled cells.

    Attributes:
        score: The official score, lower is better, of the probabilities times the grades' weights
            (:func:`lumbargrade.evaluation.score.weigh_probabilities`).
        score_interval: 95 %, from resampled studies; None for a single study.
        score_parts: The losses of which the score is the mean.
        grades: Names of the grades in what follows, from the best to the worst.
        rules: By decision rule, how well the decided grades agree with the true ones.
        parts: The same for the likeliest grade of some cells only: by ``group``, ``condition``, ``level``, and what else
            separates the studies.
        severe_auc: Area under the ROC curve of p[severe], severe against the rest, all cells pooled.
        log_loss: Unweighted.
        calibration_error: Expected calibration error: the mean distance of ``reliability`` from the diagonal.
        calibration_error_by_chance: What it would be on average of so many cells if they were right exactly as often as
            the answers are sure; None in evaluations of earlier versions.
        sets: None if no sets of grades were given.
    """

    studies: int
    cells: int
    score: float
    score_interval: Interval | None
    score_parts: dict[str, float]
    grades: tuple[str, ...]
    rules: dict[str, Agreement]
    parts: dict[str, dict[str, Agreement]]
    severe_auc: float | None
    log_loss: float
    calibration_error: float
    calibration_error_by_chance: float | None = None
    reliability: tuple[Reliability, ...]
    sets: GradeSets | None

    @property
    def likeliest(self) -> Agreement:
        """Agreement of the likeliest grades."""
        return self.rules[LIKELIEST]

    @property
    def accuracy(self) -> float:
        """Share of cells whose likeliest grade is right."""
        return self.likeliest.accuracy

    @property
    def accuracy_majority(self) -> float:
        """The same for always answering the commonest grade."""
        return self.likeliest.accuracy_majority

    def flat(self) -> dict[str, float]:
        """Returns what is defined under one key each: ``score_spinal``, ``recall_severe``, ``weighted.accuracy``."""
        values: dict[str, float | None] = {"studies": self.studies, "cells": self.cells, "score": self.score}
        values |= {f"score_{part}": loss for part, loss in self.score_parts.items()}
        values |= {
            "severe_auc": self.severe_auc,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "calibration_error_by_chance": self.calibration_error_by_chance,
        }
        intervals = {"score": self.score_interval, **self.likeliest.intervals}
        for name, bounds in intervals.items():
            values[f"{name}_low"], values[f"{name}_high"] = bounds or (None, None)
        for rule, agreement in self.rules.items():
            prefix = "" if rule == LIKELIEST else f"{rule}."
            names = ("accuracy", "balanced_accuracy", "quadratic_kappa", "macro_f1")
            values |= {prefix + name: getattr(agreement, name) for name in names}
            recall = zip(self.grades, agreement.recall, strict=True)
            values |= {f"{prefix}recall_{grade}": share for grade, share in recall}
        values["accuracy_majority"] = self.accuracy_majority
        values |= {f"accuracy_{name}": part.accuracy for name, part in self.parts["condition"].items()}
        if self.sets is not None:
            values |= {f"sets_{name}": value for name, value in self.sets.model_dump(exclude={"by_grade"}).items()}
            held = zip(self.grades, self.sets.by_grade, strict=True)
            values |= {f"sets_coverage_{grade}": share for grade, share in held}
        return {name: float(value) for name, value in values.items() if value is not None}


def evaluate_predictions(
    task: GradingTask,
    truth: pd.DataFrame,
    probabilities: pd.DataFrame,
    sets: NDArray[np.bool_] | None = None,
    promised: float = 0.0,
    subgroups: Mapping[str, Mapping[int, str]] | None = None,
) -> Evaluation:
    """Compares predictions with the labelled cells.

    Args:
        truth: study_id, condition (name), level and grade (0 is the best), one row a labelled cell.
        probabilities: study_id, condition, level and ``task.grade_columns``.
        sets: Which grades each row of ``probabilities`` may have, (rows, grades), and how often that is ``promised`` to
            hold.
        subgroups: Names of studies' subgroups, by what separates them.

    Raises:
        InputError: A labelled cell has no prediction, or a value is not possible.
    """
    cells = align(task, truth, probabilities)
    grades = len(task.grades)
    weighted = weigh_probabilities(task, cells.probabilities)
    scored = replace(cells, probabilities=weighted)
    score = score_cells(task, scored)
    studies = len(np.unique(cells.study))
    decided = {LIKELIEST: cells.predicted, WEIGHTED: weighted.argmax(axis=1)}
    names = {"group": cells.group, "condition": cells.condition, "level": cells.level}
    for kind, of_study in (subgroups or {}).items():
        names[kind] = np.array([of_study.get(int(study), "unknown") for study in cells.study])
    reliability = _reliability(cells)
    return Evaluation(
        studies=studies,
        cells=len(cells.grade),
        score=score.total,
        score_interval=interval(resampled_scores(task, scored, draw_studies(studies))) if studies > 1 else None,
        score_parts=score.parts,
        grades=task.grade_columns,
        rules={rule: agree(cells.study, cells.grade, chosen, grades) for rule, chosen in decided.items()},
        parts={kind: _by_name(cells, of_cell, grades) for kind, of_cell in names.items()},
        severe_auc=_severe_auc(cells),
        log_loss=_log_loss(cells),
        calibration_error=sum(b.cells * abs(b.confidence - b.accuracy) for b in reliability) / len(cells.grade),
        calibration_error_by_chance=_calibration_error_by_chance(cells),
        reliability=reliability,
        sets=None if sets is None else _sets(cells, probabilities, sets, promised),
    )


def _by_name(cells: GradedCells, names: NDArray[np.str_], grades: int) -> dict[str, Agreement]:
    found = {}
    for name in dict.fromkeys(names.tolist()):
        rows = names == name
        found[str(name)] = agree(cells.study[rows], cells.grade[rows], cells.predicted[rows], grades)
    return dict(sorted(found.items()))


def _severe_auc(cells: GradedCells) -> float | None:
    severe = cells.probabilities.shape[1] - 1
    is_severe = cells.grade == severe
    if is_severe.all() or not is_severe.any():
        return None
    return float(metrics.roc_auc_score(is_severe, cells.probabilities[:, severe]))


def _log_loss(cells: GradedCells) -> float:
    likelihood = cells.probabilities[np.arange(len(cells.grade)), cells.grade]
    return float(-np.log(np.clip(likelihood, CLIP, 1 - CLIP)).mean())


def _reliability(cells: GradedCells) -> tuple[Reliability, ...]:
    """Bins of equal width; empty ones are left out."""
    confidence = cells.probabilities.max(axis=1)
    right = cells.predicted == cells.grade
    table = pd.DataFrame({"bin": confidence_bins(confidence), "confidence": confidence, "right": right}).groupby("bin")
    return tuple(
        Reliability(cells=len(rows), confidence=float(rows["confidence"].mean()), accuracy=float(rows["right"].mean()))
        for _, rows in table
    )


def _calibration_error_by_chance(cells: GradedCells) -> float:
    """Mean distance of how many cells of a bin are right from how many should be, by the normal distribution."""
    confidence = cells.probabilities.max(axis=1)
    variances = np.bincount(confidence_bins(confidence), confidence * (1 - confidence))
    return float(np.sqrt(variances * 2 / np.pi).sum() / len(confidence))


def _sets(cells: GradedCells, probabilities: pd.DataFrame, sets: NDArray[np.bool_], promised: float) -> GradeSets:
    keys = pd.DataFrame({"study_id": cells.study, "condition": cells.condition, "level": cells.level})
    rows = keys.merge(probabilities[CELL].assign(row=np.arange(len(probabilities))), on=CELL, how="left")["row"]
    ours = sets[rows.to_numpy(np.int64)]
    sizes = ours.sum(axis=1)
    holds = ours[np.arange(len(ours)), cells.grade]
    of_grade = [cells.grade == grade for grade in range(ours.shape[1])]
    return GradeSets(
        promised=promised,
        coverage=float(holds.mean()),
        by_grade=tuple(float(holds[true].mean()) if true.any() else None for true in of_grade),
        mean_size=float(sizes.mean()),
        single=float((sizes == 1).mean()),
    )
