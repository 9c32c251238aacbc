"""Labels that a model which had not seen them holds very unlikely: listed for a reader, and made to count less if wanted."""

import numpy as np
import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import CELL

UNLIKELY = 0.05
"""A label to which a calibrated model gives no more is right once in twenty times, or less."""


def label_suspects(task: GradingTask, truth: pd.DataFrame, calibrated: pd.DataFrame) -> pd.DataFrame:
    """Lists the labels that are held unlikely, the least likely first.

    Source: self-confidence of Northcutt et al. 2021, with one limit for all grades, as the probabilities are calibrated.

    Args:
        truth: study_id, condition, level, grade.
        calibrated: study_id, condition, level and ``task.grade_columns``, of networks that had not seen the study.

    Returns:
        study_id, condition, level, ``labelled`` and ``likeliest`` grade by name, and ``probability`` of the labelled one.
    """
    cells = truth.merge(calibrated, on=CELL)
    probabilities = cells[list(task.grade_columns)].to_numpy(np.float64)
    grade = cells["grade"].to_numpy(np.int64)
    names = np.array(task.grades)
    listed = cells[CELL].assign(
        labelled=names[grade],
        likeliest=names[probabilities.argmax(axis=1)],
        probability=probabilities[np.arange(len(cells)), grade].round(4),
    )
    return listed[listed["probability"] <= UNLIKELY].sort_values(["probability", *CELL], ignore_index=True)
