"""Measures over draws of studies agree with the evaluation, and with the same studies laid out again."""

import numpy as np
import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import GradedCells, align
from lumbargrade.evaluation.bootstrap_metrics import (
    Measure,
    accuracies,
    calibration_errors,
    losses,
    scores,
    severe_recalls,
)
from lumbargrade.evaluation.compare import compare_cells
from lumbargrade.evaluation.metrics import evaluate_predictions

ALL: list[Measure] = [accuracies, calibration_errors, losses, scores, severe_recalls]


@pytest.fixture
def tables(rsna: GradingTask) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    keys = [(study, cell.condition.name, cell.level) for study in range(7) for cell in rsna.cells]
    table = pd.DataFrame(keys, columns=["study_id", "condition", "level"])
    told = rng.dirichlet((2, 1, 1), len(table))
    truth = table.assign(grade=rng.choice(3, len(table), p=(0.6, 0.2, 0.2)))
    return truth, table.assign(**dict(zip(rsna.grade_columns, told.T, strict=True)))


def test_one_draw_of_every_study_gives_what_the_evaluation_says(
    rsna: GradingTask, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    cells, once = align(rsna, *tables), np.ones((1, 7))
    found = evaluate_predictions(rsna, *tables)
    assert scores(rsna, cells, once)[0] == pytest.approx(found.score)
    assert accuracies(rsna, cells, once)[0] == pytest.approx(found.accuracy)
    assert severe_recalls(rsna, cells, once)[0] == pytest.approx(found.likeliest.recall[-1])
    assert calibration_errors(rsna, cells, once)[0] == pytest.approx(found.calibration_error)


def test_the_loss_of_one_group_is_its_part_of_the_score(
    rsna: GradingTask, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    truth, told = (table[table["condition"].str.contains("subarticular")] for table in tables)
    found = evaluate_predictions(rsna, truth, told)
    assert losses(rsna, align(rsna, truth, told), np.ones((1, 7)))[0] == pytest.approx(
        found.score_parts["subarticular"]
    )


@pytest.mark.parametrize("measure", ALL)
def test_a_study_drawn_twice_counts_twice(
    rsna: GradingTask, tables: tuple[pd.DataFrame, pd.DataFrame], measure: Measure
) -> None:
    truth, told = tables
    draw = np.array([[2, 0, 1, 0, 3, 0, 1]], dtype=np.float64)
    laid_out = [
        [table[table["study_id"] == study].assign(study_id=10 * study + copy) for table in (truth, told)]
        for study, times in enumerate(draw[0])
        for copy in range(int(times))
    ]
    again = align(rsna, *(pd.concat(parts) for parts in zip(*laid_out, strict=True)))
    assert measure(rsna, align(rsna, truth, told), draw)[0] == pytest.approx(measure(rsna, again, np.ones((1, 7)))[0])


def test_a_draw_without_severe_cells_has_no_severe_recall(
    rsna: GradingTask, tables: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    truth = tables[0].assign(grade=lambda table: np.where(table["study_id"] == 0, 2, 0))
    cells: GradedCells = align(rsna, truth, tables[1])
    assert np.isnan(severe_recalls(rsna, cells, np.eye(7)[1:])).all()


def test_a_wider_interval_holds_a_narrower_one(rsna: GradingTask, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, told = tables
    other = told.assign(**dict(zip(rsna.grade_columns, np.full((3, len(told)), 1 / 3), strict=True)))
    ours, theirs = align(rsna, truth, told), align(rsna, truth, other)
    narrow, wide = (compare_cells(rsna, ours, theirs, scores, width).interval for width in (0.5, 0.95))
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    same = compare_cells(rsna, ours, ours, scores)
    assert same.interval == (0.0, 0.0)
