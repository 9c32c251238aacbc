"""Brings true grades and predicted probabilities of the same cells together."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError

CELL = ["study_id", "condition", "level"]
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class GradedCells:
    """Labelled cells in a fixed order (by study, condition, level), whatever the order of the tables.

    Attributes:
        study: Study ids, (cells,).
        condition: Condition names, (cells,).
        level: (cells,).
        group: Groups of the conditions, (cells,).
        grade: True grades, 0 is the best, (cells,).
        probabilities: Predicted, (cells, grades).
    """

    study: NDArray[np.int64]
    condition: NDArray[np.str_]
    level: NDArray[np.str_]
    group: NDArray[np.str_]
    grade: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest grade of each cell; the better one of two that are equally likely, (cells,)."""
        likeliest: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return likeliest


def align(task: GradingTask, truth: pd.DataFrame, probabilities: pd.DataFrame) -> GradedCells:
    """Finds the prediction of every labelled cell; predictions for other cells are not used.

    Args:
        truth: study_id, condition (name), level and grade (0 is the best), one row a labelled cell.
        probabilities: study_id, condition, level and ``task.grade_columns``.

    Raises:
        InputError: A labelled cell has no prediction, a cell is there twice, or a value is not possible.
    """
    if truth.empty:
        raise InputError("there are no labelled cells to score", "give studies with grades", "no-labelled-cells")
    for table, what in ((truth, "the labels"), (probabilities, "the predictions")):
        if table.duplicated(CELL).any():
            raise InputError(
                f"{what} name {_first_cell(table[table.duplicated(CELL)])} twice",
                "remove one of the rows",
                "cell-named-twice",
            )
    columns = list(task.grade_columns)
    cells = truth[[*CELL, "grade"]].merge(probabilities[[*CELL, *columns]], on=CELL, how="left", indicator=True)
    cells = cells.sort_values(CELL, kind="stable")
    missing = cells[cells["_merge"] == "left_only"]
    if len(missing):
        raise InputError(
            f"{len(missing)} of {len(cells)} labelled cells have no prediction, the first is {_first_cell(missing)}",
            "predict every labelled cell",
            "predictions-missing",
        )
    _check_values(cells, columns)
    group = {condition.name: condition.group for condition in task.conditions}
    unknown = cells[~cells["condition"].isin(group)]
    if len(unknown):
        raise InputError(
            f"{_first_cell(unknown)} is not of task {task.name}, which has {', '.join(group)}",
            "",
            "cell-of-another-task",
        )
    return GradedCells(
        study=cells["study_id"].to_numpy(np.int64),
        condition=cells["condition"].to_numpy(np.str_),
        level=cells["level"].to_numpy(np.str_),
        group=cells["condition"].map(group).to_numpy(np.str_),
        grade=cells["grade"].to_numpy(np.int64),
        probabilities=cells[columns].to_numpy(np.float64),
    )


def _check_values(cells: pd.DataFrame, columns: list[str]) -> None:
    grade = cells["grade"]
    strange = cells[~grade.isin(range(len(columns)))]
    if len(strange):
        raise InputError(
            f"{_first_cell(strange)} has grade {strange['grade'].iloc[0]}",
            f"grades are 0 to {len(columns) - 1}",
            "grade-out-of-range",
        )
    values = cells[columns].to_numpy(np.float64)
    fits = (values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= _SUM_TOLERANCE)
    if not fits.all():
        shown = ", ".join(f"{value:.4g}" for value in values[~fits][0])
        raise InputError(
            f"{_first_cell(cells[~fits])} has the probabilities {shown}",
            "they must be at least 0 and their sum must be 1",
            "probabilities-invalid",
        )


def _first_cell(cells: pd.DataFrame) -> str:
    study, condition, level = cells[CELL].iloc[0]
    return f"study {study} {condition} {level}"


def truth_table(index: pd.DataFrame) -> pd.DataFrame:
    """The labelled cells among packed crops: study_id, condition, level, grade (0 is the best)."""
    labelled = index[index["grade"].notna()]
    return labelled.drop_duplicates(CELL)[[*CELL, "grade"]].astype({"grade": int}).reset_index(drop=True)


def complete_cells(truth: pd.DataFrame, predictions: pd.DataFrame, task: GradingTask) -> pd.DataFrame:
    """Adds a prediction that knows nothing, all grades alike, for each labelled cell that has none."""
    missing = truth[CELL].merge(predictions[CELL], on=CELL, how="left", indicator=True)
    missing = missing.loc[missing["_merge"] == "left_only", CELL]
    unknown = missing.assign(**dict.fromkeys(task.grade_columns, 1 / len(task.grades)))
    return pd.concat([predictions, unknown], ignore_index=True) if len(unknown) else predictions
