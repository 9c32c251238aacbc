"""When a trial is not worth its other folds or epochs: rules for Optuna, and the losses that they look at."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, NopPruner, WilcoxonPruner
from optuna.trial import Trial

from lumbargrade.config.params import SearchParams
from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import CELL, GradedCells, align, complete_cells
from lumbargrade.evaluation.calibrate import fit_calibration
from lumbargrade.evaluation.score import score_sums, weigh_probabilities
from lumbargrade.search.trials import best_trial, place

_WARM_UP = 3
"""The part of a fold's epochs, as a divisor, before which its losses say little."""
_OTHERS = 3
"""Trials that a trial is compared with, at least."""


def make_pruner(search: SearchParams) -> BasePruner:
    """The rule that ``search.pruning`` names."""
    if search.pruning == "wilcoxon":
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            return WilcoxonPruner(p_threshold=search.pruning_p)
    return NopPruner()


def report_fold(trial: Trial, search: SearchParams, losses: pd.Series) -> None:
    """Tells Optuna what the rule needs: each study's loss under its place.

    Args:
        losses: Of the fold's studies, by the study's place among all of the split: PostgreSQL would refuse its id as a
            step, which has 32 bits there.
    """
    if search.pruning == "wilcoxon":
        for step, loss in losses.items():
            trial.report(float(loss), int(str(step)))


def reason_to_prune(study: optuna.Study, trial: Trial, search: SearchParams) -> str:
    """Why a trial that the rule stops is stopped, in words; empty if it goes on."""
    best = best_trial(study)
    if best is None or not trial.should_prune():
        return ""
    ours = study.get_trials(deepcopy=False)[trial.number]
    mean = np.mean(list(ours.intermediate_values.values()))
    same = np.mean([best.intermediate_values[step] for step in ours.intermediate_values])
    return (
        f"on the same {len(ours.intermediate_values)} studies its mean loss is {mean:.4f}, that of trial {place(best)} "
        f"{same:.4f}, which is better beyond chance (Wilcoxon's signed-rank test, p < {search.pruning_p:g})"
    )


def reason_to_stop_epochs(losses: Sequence[float], others: Iterable[Sequence[float]], epochs: int, keep: float) -> str:
    """Why a trial is stopped in its first fold, in words; empty if it goes on. The rule of Optuna's percentile pruner.

    Args:
        losses: Validation losses of its epochs so far.
        others: Those of other trials' first folds, whole or as far as they came.
        epochs: Of a whole fold.
        keep: Share of trials that go on.
    """
    done = len(losses)
    known = [min(each[:done]) for each in others if len(each) >= done]
    if keep == 1 or done >= epochs or done * _WARM_UP < epochs or len(known) < _OTHERS:
        return ""
    best, worst_kept = min(losses), float(np.quantile(known, keep))
    if best <= worst_kept:
        return ""
    return f"its validation loss {best:.4f} is not among the best {keep:.0%} of {len(known)} trials by then ({worst_kept:.4f})"


def study_losses(
    task: GradingTask, truth: pd.DataFrame, predictions: pd.DataFrame, coverage: float, studies: list[int]
) -> pd.Series:
    """What each study of a fold adds to the fold's official score; their mean is that score.

    A fold is calibrated by itself, so that its losses are the same whatever other folds are trained.

    Args:
        truth: Labelled cells; those of other studies do not count.
        predictions: What the fold says, uncalibrated; a cell that is missing counts as unknown.
        coverage: As in ``calibration``; it changes no probability.
        studies: The fold's studies.
    """
    ours = truth[truth["study_id"].isin(studies)]
    if len(ours.merge(predictions[CELL], on=CELL)):
        predictions = fit_calibration(task, ours, predictions, coverage).apply(task, predictions)
    cells = align(task, ours, complete_cells(ours, predictions, task))
    return losses_of_cells(task, cells)


def losses_of_cells(task: GradingTask, cells: GradedCells) -> pd.Series:
    """The parts of the official score by study, each as a share of the studies' mean weight."""
    probabilities = weigh_probabilities(task, cells.probabilities)
    sums = score_sums(task, replace(cells, probabilities=probabilities))
    parts = [part.loss / part.weight.mean() for part in sums.values()]
    return pd.Series(np.mean(parts, axis=0), index=np.unique(cells.study))
