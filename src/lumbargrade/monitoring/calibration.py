"""Whether the model is as sure as it should be, by what readers corrected.

A reader corrects what is wrong and leaves alone what is right: the cells of a study that nobody has corrected count as
right in studies that have a correction, and studies without one are left out, as nobody may have read them. So this
shows a model that is worse than it says, where it is read, and never proves that one is good.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import ttest_1samp

from lumbargrade.config.task import CellKey, GradingTask
from lumbargrade.frozen import Frozen
from lumbargrade.serving.records.prediction_log import Answered

FIRST_LOOK = 20
"""Corrected studies at the first look; each further look waits for twice as many."""

Corrected = Mapping[str, Mapping[CellKey, str | None]]
"""Readers' grades by study hash and cell; None where a cell cannot be graded."""


class CalibrationDrift(Frozen):
    """Surprise at the corrected studies.

    Attributes:
        studies: With corrections.
        cells: Corrected in them.
        excess: Brier score beyond what the probabilities promise, mean of the studies; None before the first look.
        chance: Probability of so large an excess if they were right, at the last look.
        level: The chance below which it is held to be none, at that look: all looks share ``watch.false_alarms``.
        drift: Whether any look found an excess beyond chance.
    """

    studies: int
    cells: int
    excess: float | None = None
    chance: float | None = None
    level: float | None = None
    drift: bool = False


def calibration_drift(
    answers: Sequence[Answered], corrected: Corrected, task: GradingTask, false_alarms: float
) -> CalibrationDrift:
    """Compares the corrected studies' Brier scores with those that the answers promise.

    Source of the comparison: Spiegelhalter 1986, here by study, as the cells of a study go together.

    Args:
        answers: In their order; only those with corrections count.
    """
    ours = [answered for answered in answers if corrected.get(answered.study)]
    cells = sum(len(corrected[answered.study]) for answered in ours)
    excesses = [_excess(answered, corrected[answered.study], task) for answered in ours]
    found = CalibrationDrift(studies=len(ours), cells=cells)
    look, size = 1, FIRST_LOOK
    while size <= len(excesses) and not found.drift:
        values = np.array(excesses[:size])
        level = false_alarms / (look * (look + 1))
        spread = float(values.std())
        chance = float(ttest_1samp(values, 0.0, alternative="greater").pvalue) if spread else 1.0
        found = found.model_copy(
            update={"excess": float(values.mean()), "chance": chance, "level": level, "drift": chance < level}
        )
        look, size = look + 1, size * 2
    return found


def _excess(answered: Answered, grades: Mapping[CellKey, str | None], task: GradingTask) -> float:
    """Brier score less its expectation, mean of the study's graded cells."""
    excesses = []
    for cell in answered.cells:
        true = grades.get((cell.condition, cell.level), cell.grade)
        if cell.probabilities and true in task.grades:
            said = np.array(cell.probabilities)
            hit = np.array([grade == true for grade in task.grades], dtype=float)
            excesses.append(float(((said - hit) ** 2).sum() - (1 - (said**2).sum())))
    return float(np.mean(excesses)) if excesses else 0.0
