"""Calibrated probabilities fit the labels, and sets of grades hold the true one as often as promised."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.calibrate import calibrate_across, calibrated_loss, evaluate_calibrated, fit_calibration
from lumbargrade.evaluation.metrics import evaluate_predictions
from lumbargrade.models.calibration import Calibration


def drawn(task: GradingTask, studies: int, seed: int, sharpness: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels drawn from known probabilities, and predictions that are too sure and lean to severe."""
    rng = np.random.default_rng(seed)
    cells = [(study, "disc_degeneration", level) for study in range(studies) for level in task.levels]
    keys = pd.DataFrame(cells, columns=["study_id", "condition", "level"])
    logits = rng.normal(0, 1.5, (len(keys), 3)) + np.array([1.0, 0.0, -1.0])
    likely = softmax(logits, axis=1)
    grades = (likely.cumsum(axis=1) < rng.random(len(keys))[:, None]).sum(axis=1)
    told = softmax(sharpness * logits + np.log([1, 2, 4]), axis=1)
    predictions = keys.assign(**dict(zip(task.grade_columns, told.T, strict=True)), fold=keys["study_id"] % 5)
    return keys.assign(grade=grades), predictions


def test_calibrated_probabilities_fit_studies_that_did_not_calibrate(disc: GradingTask) -> None:
    calibration = fit_calibration(disc, *drawn(disc, 200, 1, 3.0), 0.9)
    truth, raw = drawn(disc, 400, 2, 3.0)
    before = evaluate_predictions(disc, truth, raw)
    calibrated = calibration.apply(disc, raw)
    after = evaluate_calibrated(disc, truth, calibrated, calibration.sets(disc, calibrated), 0.9)
    assert before.calibration_error > 0.15
    assert after.calibration_error < 0.04
    assert after.log_loss < before.log_loss
    assert after.score < before.score
    assert calibration.groups["disc"].scale == pytest.approx(1 / 3, rel=0.2)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_hold_the_true_grade_as_often_as_promised_whichever_it_is(disc: GradingTask, coverage: float) -> None:
    calibration = fit_calibration(disc, *drawn(disc, 1500, 3, 2.0), coverage)
    truth, raw = drawn(disc, 1500, 4, 2.0)
    calibrated = calibration.apply(disc, raw)
    sets = calibration.sets(disc, calibrated)
    found = evaluate_calibrated(disc, truth, calibrated, sets, coverage).sets
    assert found is not None
    held = [share or 0 for share in found.by_grade]
    assert min(held) > coverage - 0.03
    assert max(held) < coverage + 0.06  # the likeliest grade is always among them
    assert min(truth["grade"].value_counts()) > 500
    assert 1 <= found.mean_size < 3
    assert sets.any(axis=1).all()


def test_how_sure_a_network_is_does_not_change_its_calibrated_loss(disc: GradingTask) -> None:
    truth, _ = drawn(disc, 100, 6, 1.0)
    rng = np.random.default_rng(6)
    grades = truth["grade"].to_numpy()
    logits = np.eye(3)[grades] * 1.5 + rng.normal(0, 1, (len(truth), 3))
    groups = np.full(len(truth), "disc")
    loss = calibrated_loss(disc, groups, logits, grades)
    for changed in (0.4 * logits, 4 * logits, logits + np.array([2.0, 0.0, -1.0])):
        assert calibrated_loss(disc, groups, changed, grades) == pytest.approx(loss, abs=0.01)
    assert calibrated_loss(disc, groups, 3 * np.eye(3)[grades] + logits, grades) < 0.5 * loss
    assert calibrated_loss(disc, groups, rng.permutation(logits), grades) > 1.2 * loss
    assert np.isnan(calibrated_loss(disc, groups, np.where(logits == logits.max(), np.inf, logits), grades))


def test_no_fold_calibrates_itself(disc: GradingTask) -> None:
    """Labels of one fold changed to nonsense do not change how that fold is calibrated."""
    truth, predictions = drawn(disc, 50, 5, 2.0)
    wrong = truth.assign(grade=truth["grade"].where(truth["study_id"] % 5 != 0, 2))
    first = calibrate_across(disc, truth, predictions, 0.9)[0]
    second = calibrate_across(disc, wrong, predictions, 0.9)[0]
    columns = list(disc.grade_columns)
    own = first["study_id"] % 5 == 0
    assert own.sum() == 50
    np.testing.assert_array_equal(first.loc[own, columns], second.loc[own, columns])
    assert not np.allclose(first.loc[~own, columns], second.loc[~own, columns])


def test_few_labels_change_little_and_none_nothing(disc: GradingTask) -> None:
    truth, predictions = drawn(disc, 40, 6, 1.0)
    one = fit_calibration(disc, truth.iloc[:1], predictions, 0.9)
    columns = list(disc.grade_columns)
    calibrated = one.apply(disc, predictions)[columns].to_numpy()
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    assert np.isfinite(calibrated).all()
    assert (calibrated > 0).all()
    assert one.groups["disc"].thresholds == (0.0, 0.0, 0.0)
    same = Calibration.identity(disc).apply(disc, predictions)
    np.testing.assert_allclose(same[columns], predictions[columns], atol=1e-6)


def test_a_cell_without_a_prediction_may_be_anything(disc: GradingTask) -> None:
    truth, predictions = drawn(disc, 20, 7, 1.0)
    calibrated, sets = calibrate_across(disc, truth, predictions.iloc[:-5], 0.9)
    found = evaluate_calibrated(disc, truth, calibrated, sets, 0.9)
    assert found.cells == len(truth)
    fewer = evaluate_calibrated(disc, truth.iloc[:-5], calibrated, sets, 0.9)
    assert found.sets is not None
    assert fewer.sets is not None
    assert found.sets.mean_size * 100 == pytest.approx(fewer.sets.mean_size * 95 + 3 * 5)


def test_it_reads_back(disc: GradingTask) -> None:
    calibration = fit_calibration(disc, *drawn(disc, 30, 8, 2.0), 0.9)
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


def test_biases_are_believed_by_many_labels_and_not_by_few(disc: GradingTask) -> None:
    """Predictions that lean to severe: thousands of cells take it back, fifty no more than a half of it."""

    def lean(studies: int) -> float:
        bias = fit_calibration(disc, *drawn(disc, studies, 7, 1.0), 0.9).groups["disc"].bias
        return bias[0] - bias[2]

    assert lean(2000) == pytest.approx(np.log(4), abs=0.1)
    assert 0.2 < lean(10) < np.log(4) / 2
