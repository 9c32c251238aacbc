"""Grades a study the way training saw its kind: same reading, order, crops and normalisation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.dataset.bundle import POINTS
from lumbargrade.errors import InputError
from lumbargrade.models.grader import Grader
from lumbargrade.prepare.points import cut_points
from lumbargrade.prepare.series import SeriesImages
from lumbargrade.serving.study import Study
from lumbargrade.task import GradingTask
from lumbargrade.training.predict import cell_codes, grade_crops, pool_cells


@dataclass(frozen=True)
class _Found:
    """Crops that could be cut, and why others could not, by (condition, level)."""

    rows: list[dict[str, str]]
    crops: list[NDArray[np.uint8]]
    reasons: dict[tuple[str, str], str]


def grade_study(graders: Sequence[Grader], study: Study) -> pd.DataFrame:
    """Grades every cell of the task, or says why a cell cannot be graded.

    Returns:
        One row a cell in the task's order: study_id, condition, level, ``task.grade_columns``, grade, reason; what does
        not apply is None.
    """
    task = graders[0].config.task
    found = _cut_crops(graders[0], study)
    graded = pd.DataFrame(columns=["condition", "level", *task.grade_columns])
    if found.crops:
        index = pd.DataFrame(found.rows)
        probabilities = grade_crops(graders, np.stack(found.crops), cell_codes(index, task))
        graded = pool_cells(index, probabilities, task)
    by_cell = {(row["condition"], row["level"]): row for row in _records(graded)}
    records = []
    for cell in task.cells:
        key = (cell.condition.name, cell.level)
        missing = found.reasons.get(key, _no_point(study))
        records.append(_record(task, study.study_id, key, by_cell.get(key), missing))
    return pd.DataFrame(records, dtype=object)


def refuse_study(task: GradingTask, reason: str) -> pd.DataFrame:
    """The answer for a study that cannot be opened: every cell with the reason."""
    records = [_record(task, None, (cell.condition.name, cell.level), None, reason) for cell in task.cells]
    return pd.DataFrame(records, dtype=object)


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _record(
    task: GradingTask, study_id: str | None, key: tuple[str, str], graded: dict[str, object] | None, reason: str
) -> dict[str, object]:
    record: dict[str, object] = {"study_id": study_id, "condition": key[0], "level": key[1]}
    probabilities = [None if graded is None else graded[column] for column in task.grade_columns]
    record |= dict(zip(task.grade_columns, probabilities, strict=True))
    record["grade"] = None if graded is None else task.grades[int(np.argmax(np.array(probabilities, dtype=float)))]
    record["reason"] = reason if graded is None else None
    return record


def _no_point(study: Study) -> str:
    if study.points is None:
        return f"the study carries no {POINTS}, so it is not known where to look"
    return f"{POINTS} has no point for this cell"


def _cut_crops(grader: Grader, study: Study) -> _Found:
    found = _Found([], [], {})
    if study.points is None:
        return found
    params = grader.config.prepare

    def open_series(series_id: int) -> SeriesImages:
        headers = study.images(series_id)
        if not headers:
            raise InputError(f"series {series_id} of {POINTS} is not among the study's images")
        return SeriesImages(headers, params.percentiles)

    for point in cut_points(study.points, open_series, grader.config.task, params):
        if point.crop is None:
            found.reasons[point.condition.name, point.level] = point.reason or ""
            continue
        found.rows.append({"study_id": study.study_id, "condition": point.condition.name, "level": point.level})
        found.crops.append(point.crop)
    return found
