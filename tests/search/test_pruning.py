"""What is compared between folds adds up to the official score, and each rule stops what it says."""

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import Trial, TrialState

from lumbargrade.config.params import SearchParams
from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import align, complete_cells
from lumbargrade.evaluation.bootstrap_metrics import scores
from lumbargrade.evaluation.calibrate import fit_calibration
from lumbargrade.search.pruning import (
    make_pruner,
    reason_to_prune,
    reason_to_stop_epochs,
    report_fold,
    study_losses,
)


def fold_losses(studies: range, mean: float, rng: np.random.Generator) -> pd.Series:
    noise = 0.05 * rng.standard_normal(len(studies))
    return pd.Series(mean + noise - noise.mean(), index=studies)


def study_with(search: SearchParams) -> optuna.Study:
    """A study whose best trial has folds of 0.5 and 0.7."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(pruner=make_pruner(search))
    rng = np.random.default_rng(0)
    for shift in (0.2, 0.0):
        trial = study.ask()
        for fold, mean in ((0, 0.5), (1, 0.7)):
            report_fold(trial, search, fold_losses(range(100 * fold, 100 * fold + 40), mean + shift, rng))
        study.tell(trial, 0.6 + shift)
    return study


def begun(study: optuna.Study, search: SearchParams, fold: int, mean: float) -> Trial:
    trial = study.ask()
    losses = fold_losses(range(100 * fold, 100 * fold + 40), mean, np.random.default_rng(1))
    report_fold(trial, search, losses)
    return trial


def test_the_losses_of_a_folds_studies_are_its_official_score(rsna: GradingTask) -> None:
    rng = np.random.default_rng(0)
    cells = [(study, cell.condition.name, cell.level) for study in range(12) for cell in rsna.cells]
    truth = pd.DataFrame(cells, columns=["study_id", "condition", "level"])
    said = truth.copy()
    said[list(rsna.grade_columns)] = rng.dirichlet(np.ones(3), len(truth))
    truth["grade"] = rng.integers(0, 3, len(truth))
    truth = truth[rng.random(len(truth)) < 0.7]  # some cells have no label
    said = said[rng.random(len(said)) < 0.9]  # others were not located
    ours = list(range(0, 12, 2))
    mine = said[said["study_id"].isin(ours)]
    losses = study_losses(rsna, truth, mine, 0.9, ours)
    assert list(losses.index) == ours
    fold = truth[truth["study_id"].isin(ours)]
    calibrated = fit_calibration(rsna, fold, mine, 0.9).apply(rsna, mine)
    aligned = align(rsna, fold, complete_cells(fold, calibrated, rsna))
    assert losses.mean() == pytest.approx(scores(rsna, aligned, np.ones((1, len(ours))))[0])
    assert losses.std() > 0


def test_a_fold_without_predictions_counts_as_unknown(rsna: GradingTask) -> None:
    truth = pd.DataFrame(
        [(1, "spinal_canal_stenosis", "L1/L2", 0)], columns=["study_id", "condition", "level", "grade"]
    )
    said = pd.DataFrame(columns=["study_id", "condition", "level", *rsna.grade_columns])
    assert np.isfinite(study_losses(rsna, truth, said, 0.9, [1])).all()


def test_no_rule_never_stops_and_reports_nothing() -> None:
    search = SearchParams(pruning="none")
    study = study_with(search)
    trial = begun(study, search, 0, 9.0)
    assert reason_to_prune(study, trial, search) == ""
    assert study.trials[-1].intermediate_values == {}


def test_the_test_pairs_the_same_studies() -> None:
    """A hard fold is no reason to stop: 0.7 in the second fold is what the best trial has there."""
    search = SearchParams(pruning="wilcoxon", pruning_p=0.001)
    study = study_with(search)
    assert reason_to_prune(study, begun(study, search, 1, 0.7), search) == ""
    assert reason_to_prune(study, begun(study, search, 1, 0.65), search) == ""
    reason = reason_to_prune(study, begun(study, search, 1, 0.8), search)
    assert reason == (
        "on the same 40 studies its mean loss is 0.8000, that of trial 1 0.7000, which is better beyond chance (Wilcoxon's "
        "signed-rank test, p < 0.001)"
    )
    assert set(study.trials[-1].intermediate_values) == set(range(100, 140))


def test_without_a_finished_trial_nothing_is_stopped() -> None:
    search = SearchParams(pruning="wilcoxon")
    study = optuna.create_study(pruner=make_pruner(search))
    study.tell(study.ask(), state=TrialState.PRUNED)
    assert reason_to_prune(study, begun(study, search, 0, 9.0), search) == ""


def test_a_first_fold_is_stopped_if_it_is_not_among_the_best_by_then() -> None:
    others = [[1.0, 0.8, 0.6], [1.0, 0.7, 0.9], [1.0, 0.9], [1.0, 0.6], [1.0]]
    assert reason_to_stop_epochs([2.0], others, 6, 0.5) == "", "before a third of the epochs"
    assert reason_to_stop_epochs([2.0, 0.76], others, 6, 0.5) == (
        "its validation loss 0.7600 is not among the best 50% of 4 trials by then (0.7500)"
    )
    assert reason_to_stop_epochs([2.0, 0.75], others, 6, 0.5) == ""
    assert reason_to_stop_epochs([2.0, 0.69], others, 6, 1 / 3) == ""
    assert reason_to_stop_epochs([2.0, 0.71], others, 6, 1 / 3) != ""
    assert reason_to_stop_epochs([0.7, 2.0], others, 6, 0.5) == "", "its best epoch counts"
    assert reason_to_stop_epochs([2.0, 2.0, 2.0], others, 6, 0.5) == "", "two others are too few"
    assert reason_to_stop_epochs([2.0, 2.0], others, 2, 0.5) == "", "the fold is over"
    assert reason_to_stop_epochs([2.0, 2.0], others, 6, 1) == "", "all go on"
