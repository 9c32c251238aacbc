from math import log

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from lumbargrade.config.task import load_task
from lumbargrade.errors import InputError
from lumbargrade.evaluation.agreement import agree
from lumbargrade.evaluation.metrics import Evaluation, evaluate_predictions
from tests.predictions import official_score

RSNA = load_task("rsna2024")
DISC = load_task("disc_degeneration")
SPINAL, LEFT, RIGHT = "spinal_canal_stenosis", "left_subarticular_stenosis", "right_subarticular_stenosis"

# study, condition, level, true grade, probabilities -> predicted grade
CELLS = [
    (1, SPINAL, "L4/L5", 0, (0.6, 0.3, 0.1)),  # 0 right
    (1, SPINAL, "L5/S1", 2, (0.2, 0.3, 0.5)),  # 2 right
    (2, SPINAL, "L4/L5", 2, (0.1, 0.6, 0.3)),  # 1 wrong
    (2, LEFT, "L4/L5", 0, (0.8, 0.2, 0.0)),  # 0 right
    (2, RIGHT, "L4/L5", 1, (0.4, 0.4, 0.2)),  # 0 wrong: equal ones go to the better grade
    (3, RIGHT, "L4/L5", 0, (0.7, 0.1, 0.2)),  # 0 right
]


def tables(cells: list[tuple[int, str, str, int, tuple[float, ...]]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    keys = pd.DataFrame([cell[:3] for cell in cells], columns=["study_id", "condition", "level"])
    probabilities = np.array([cell[4] for cell in cells])
    truth = keys.assign(grade=[cell[3] for cell in cells])
    return truth, keys.assign(**{name: probabilities[:, grade] for grade, name in enumerate(RSNA.grade_columns)})


def test_metrics_worked_by_hand() -> None:
    truth, probabilities = tables(CELLS)
    found = evaluate_predictions(RSNA, truth, probabilities)
    assert (found.studies, found.cells) == (3, 6)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.accuracy_majority == pytest.approx(3 / 6)
    assert found.likeliest.recall == (1.0, 0.0, 0.5)
    assert found.likeliest.balanced_accuracy == pytest.approx((1 + 0 + 0.5) / 3)
    # F1 = 2 TP / (predicted + true): 0: 2*3/(4+3), 1: 0, 2: 2*1/(1+2).
    assert found.likeliest.macro_f1 == pytest.approx((6 / 7 + 0 + 2 / 3) / 3)
    # Squared distances: observed 0+0+1+0+1+0 = 2. By chance, from true 3,1,2 and predicted 4,1,1:
    # sum over pairs of true * predicted * distance^2 / 6 = (3*1*1 + 3*1*4 + 1*4*1 + 1*1*1 + 2*4*4 + 2*1*1) / 6 = 9.
    assert found.likeliest.quadratic_kappa == pytest.approx(1 - 2 / 9)
    # p[severe] of the severe .5 .3, of the others .1 0 .2 .2: every one of 8 pairs is in order.
    assert found.severe_auc == 1.0
    expected = -sum(log(p) for p in (0.6, 0.5, 0.3, 0.8, 0.4, 0.7)) / 6
    assert found.log_loss == pytest.approx(expected)
    by_condition = {name: part.accuracy for name, part in found.parts["condition"].items()}
    assert by_condition == pytest.approx({SPINAL: 2 / 3, LEFT: 1.0, RIGHT: 0.5})
    assert {name: part.confusion for name, part in found.parts["group"].items()} == {
        "spinal": ((1, 0, 0), (0, 0, 0), (0, 1, 1)),
        "subarticular": ((2, 0, 0), (1, 0, 0), (0, 0, 0)),
    }
    # The score weighs grades 1, 2, 4, and so do the probabilities that it is given.
    weighted = probabilities.copy()
    columns = list(RSNA.grade_columns)
    weighted[columns] = weighted[columns] * np.array([1, 2, 4])
    weighted[columns] = weighted[columns].div(weighted[columns].sum(axis=1), axis=0)
    assert found.score == pytest.approx(official_score(RSNA, truth, weighted).total)
    # Weighted: .6 .6 .4 | .2 .6 2 | .1 1.2 1.2 (the better of equals) | .8 .4 0 | .4 .8 .8 | .7 .2 .8
    assert found.rules["weighted"].confusion == ((2, 0, 1), (0, 1, 0), (0, 1, 1))
    # Sure to .6 .5 .6 .8 .4 .7, right 1 1 0 1 0 1; bins .4-.5: 1, .5-.6: 1, .6-.7: 2, .7-.8: 1, .8-.9: 1.
    assert found.calibration_error == pytest.approx((0.4 + 0.5 + 2 * 0.1 + 0.3 + 0.2) / 6)


@pytest.mark.slow
def test_calibration_by_chance_is_what_sound_answers_show() -> None:
    """Drawn as often right as the answers are sure, again and again."""
    rng = np.random.default_rng(0)
    cells = [(study, SPINAL, level, 0) for study in range(20) for level in RSNA.levels]
    sure = rng.uniform(0.4, 1.0, len(cells))
    found = []
    for _ in range(200):
        grades = np.where(rng.random(len(cells)) < sure, 0, 1 + rng.integers(2, size=len(cells)))
        drawn = [
            (*cell[:3], int(grade), (p, (1 - p) / 2, (1 - p) / 2))
            for cell, grade, p in zip(cells, grades, sure, strict=True)
        ]
        found.append(evaluate_predictions(RSNA, *tables(drawn)))
    assert np.mean([each.calibration_error for each in found]) == pytest.approx(
        found[0].calibration_error_by_chance, rel=0.05
    )


def test_flat_has_a_key_for_each_defined_metric() -> None:
    truth, probabilities = tables(CELLS)
    found = evaluate_predictions(RSNA, truth, probabilities)
    flat = found.flat()
    rule = ["accuracy", "balanced_accuracy", "macro_f1", "quadratic_kappa", "recall_moderate", "recall_normal_mild"]
    rule += ["recall_severe"]
    bounds = [
        f"{n}_{e}" for n in ("accuracy", "balanced_accuracy", "macro_f1", "quadratic_kappa") for e in ("low", "high")
    ]
    score = ["score", "score_any_severe_spinal", "score_high", "score_low", "score_spinal", "score_subarticular"]
    rest = [
        "accuracy_majority",
        "calibration_error",
        "calibration_error_by_chance",
        "cells",
        "log_loss",
        "severe_auc",
        "studies",
    ]
    conditions = [f"accuracy_{name}" for name in (LEFT, RIGHT, SPINAL)]
    expected = [*rule, *(f"weighted.{name}" for name in rule), *bounds, *score, *rest, *conditions]
    assert sorted(flat) == sorted(expected)
    assert flat["recall_severe"] == 0.5
    assert flat["score_spinal"] == found.score_parts["spinal"]
    assert all(type(value) is float for value in flat.values())


def test_what_one_grade_or_one_study_does_not_define_is_none() -> None:
    truth, probabilities = tables([cell for cell in CELLS if cell[0] == 3])
    found = evaluate_predictions(RSNA, truth, probabilities)
    assert found.accuracy == found.accuracy_majority == 1.0
    undefined = [found.likeliest.balanced_accuracy, found.likeliest.quadratic_kappa, found.likeliest.macro_f1]
    assert [*undefined, found.severe_auc, found.score_interval] == [None] * 5
    assert found.likeliest.intervals == {}
    assert found.likeliest.recall == (1.0, None, None)
    assert not {"severe_auc", "recall_severe", "accuracy_low", "quadratic_kappa"} & set(found.flat())


def test_severe_alone_has_recall_but_no_auc() -> None:
    truth, probabilities = tables([cell for cell in CELLS if cell[3] == 2])
    found = evaluate_predictions(RSNA, truth, probabilities)
    assert found.likeliest.recall[2] == 0.5
    assert found.severe_auc is None


def test_interval_is_of_studies_not_of_cells() -> None:
    levels = DISC.levels
    each = [
        (study, "disc_degeneration", level, int(study % 2), (0.9, 0.1, 0.0)) for study in range(40) for level in levels
    ]
    truth, probabilities = tables(each)
    low, high = evaluate_predictions(DISC, truth, probabilities).likeliest.intervals["accuracy"]
    # 20 of 40 studies are right in all cells: the error is that of 40 draws, 1.96 * sqrt(.25 / 40) = .155.
    assert 0.5 - low == pytest.approx(0.155, abs=0.03)
    assert high - 0.5 == pytest.approx(0.155, abs=0.03)


def test_missing_prediction_is_an_error() -> None:
    truth, probabilities = tables(CELLS)
    with pytest.raises(InputError, match=r"^2 of 6 labelled cells have no prediction, the first is study 1 spinal"):
        evaluate_predictions(RSNA, truth, probabilities.iloc[2:])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_metrics_stay_in_their_ranges_and_read_back(pairs: list[tuple[int, int]]) -> None:
    confident = 0.9 * np.eye(3) + 0.1 / 3
    cells = [
        (study, "disc_degeneration", "L4/L5", true, tuple(confident[predicted]))
        for study, (true, predicted) in enumerate(pairs)
    ]
    found = evaluate_predictions(DISC, *tables(cells))
    assert found.accuracy == pytest.approx(np.mean([true == predicted for true, predicted in pairs]))
    assert found.accuracy_majority >= 1 / 3
    assert sum(map(sum, found.parts["group"]["disc"].confusion)) == len(pairs)
    for value in (
        found.likeliest.balanced_accuracy,
        found.likeliest.macro_f1,
        found.severe_auc,
        *found.likeliest.recall,
    ):
        assert value is None or 0 <= value <= 1
    assert found.likeliest.quadratic_kappa is None or -1 <= found.likeliest.quadratic_kappa <= 1
    assert Evaluation.model_validate_json(found.model_dump_json()) == found


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
def test_agreement_is_scikit_learns(cells: list[tuple[int, int, int]]) -> None:
    study, true, decided = np.array(cells).T
    found = agree(study, true, decided, 3)
    occurring = np.unique(true)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(true, decided))
    if len(occurring) > 1:
        recall = metrics.recall_score(true, decided, labels=occurring, average="macro", zero_division=0.0)
        assert found.balanced_accuracy == pytest.approx(recall)
        f1 = metrics.f1_score(true, decided, labels=occurring, average="macro", zero_division=0.0)
        assert found.macro_f1 == pytest.approx(f1)
        assert found.quadratic_kappa == pytest.approx(metrics.cohen_kappa_score(true, decided, weights="quadratic"))
    for name, (low, high) in found.intervals.items():
        assert low <= high
        assert name in {"accuracy", "balanced_accuracy", "quadratic_kappa", "macro_f1"}


def test_subgroups_and_sets_are_told() -> None:
    truth, probabilities = tables(CELLS)
    sets = probabilities[list(RSNA.grade_columns)].to_numpy() >= 0.3
    shuffled = np.random.default_rng(0).permutation(len(CELLS))
    maker = {1: "A", 2: "B"}
    found = evaluate_predictions(
        RSNA, truth, probabilities.iloc[shuffled], sets[shuffled], 0.9, {"manufacturer": maker}
    )
    assert {name: part.cells for name, part in found.parts["manufacturer"].items()} == {"A": 2, "B": 3, "unknown": 1}
    assert found.sets is not None
    # Sets: 01, 12, 12, 0, 01, 0; the true grades 0, 2, 2, 0, 1, 0 are all in them.
    assert (found.sets.promised, found.sets.coverage) == (0.9, 1.0)
    assert found.sets.by_grade == (1.0, 1.0, 1.0)
    assert found.sets.mean_size == pytest.approx(10 / 6)
    assert found.sets.single == pytest.approx(2 / 6)
    narrow = evaluate_predictions(
        RSNA, truth, probabilities, probabilities[list(RSNA.grade_columns)].to_numpy() >= 0.5, 0.9
    )
    assert narrow.sets is not None
    assert narrow.sets.by_grade == (1.0, 0.0, 0.5)
