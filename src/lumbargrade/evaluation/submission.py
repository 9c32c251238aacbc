"""Predictions in the form that the RSNA 2024 challenge takes."""

from collections.abc import Iterable

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import CELL
from lumbargrade.evaluation.score import weigh_probabilities


def submission_table(task: GradingTask, calibrated: pd.DataFrame, studies: Iterable[int | str]) -> pd.DataFrame:
    """A row for each cell of each study, in alphabetical order: row_id and ``task.grade_columns``.

    Probabilities are weighed as the score weighs cells; a cell without a prediction gets those of knowing nothing.

    Args:
        calibrated: study_id, condition, level and ``task.grade_columns``.
    """
    keys = [(study, cell.condition.name, cell.level) for study in studies for cell in task.cells]
    columns = list(task.grade_columns)
    table = pd.DataFrame(keys, columns=CELL).merge(calibrated[[*CELL, *columns]], on=CELL, how="left")
    table[columns] = weigh_probabilities(task, table[columns].fillna(1 / len(columns)).to_numpy())
    level = table["level"].str.lower().str.replace("/", "_")
    table["row_id"] = table["study_id"].astype(str) + "_" + table["condition"] + "_" + level
    return table.sort_values("row_id", ignore_index=True)[["row_id", *columns]]
