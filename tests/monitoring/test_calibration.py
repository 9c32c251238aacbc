"""Corrections show a model that is worse than it says, and only that."""

import numpy as np

from lumbargrade.config.task import GradingTask
from lumbargrade.monitoring.calibration import calibration_drift
from lumbargrade.serving.records.prediction_log import Answered
from tests.answers import Answer


def read(answers: list[Answered], task: GradingTask, wrong: float) -> dict[str, dict[tuple[str, str], str | None]]:
    """Readers who draw the true grade as the model promises, or another one in a share of the cells."""
    rng = np.random.default_rng(5)
    found: dict[str, dict[tuple[str, str], str | None]] = {}
    for answered in answers:
        for cell in answered.cells:
            told = np.array(cell.probabilities)
            true = int(told.argmin()) if rng.random() < wrong else int(rng.choice(len(told), p=told))
            if task.grades[true] != cell.grade:
                found.setdefault(answered.study, {})[cell.condition, cell.level] = task.grades[true]
    return found


def test_a_model_that_keeps_its_promise_is_left_alone(answers: Answer, rsna: GradingTask) -> None:
    served = answers(90, 1)
    found = calibration_drift(served, read(served, rsna, 0.0), rsna, 0.005)
    assert found.studies > 80 and found.cells > 300
    assert not found.drift and found.excess is not None and abs(found.excess) < 0.03


def test_a_model_that_is_worse_than_it_says_is_found_at_the_first_look(answers: Answer, rsna: GradingTask) -> None:
    served = answers(40, 1)
    found = calibration_drift(served, read(served, rsna, 0.3), rsna, 0.005)
    assert found.drift and found.excess is not None and found.excess > 0.1
    assert found.chance is not None and found.chance < 0.0025 and found.level == 0.0025


def test_few_corrections_are_not_looked_at(answers: Answer, rsna: GradingTask) -> None:
    served = answers(19, 1)
    found = calibration_drift(served, read(served, rsna, 0.9), rsna, 0.005)
    assert (found.studies, found.excess, found.drift) == (19, None, False)


def test_a_cell_that_readers_hold_ungradable_does_not_count(answers: Answer, rsna: GradingTask) -> None:
    served = answers(20, 1)
    first = served[0].cells[0]
    none = {answered.study: {(first.condition, first.level): None} for answered in served}
    found = calibration_drift(served, none, rsna, 0.005)
    assert (found.studies, found.cells) == (20, 20)
    assert not found.drift
