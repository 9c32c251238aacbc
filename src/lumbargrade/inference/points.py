"""The points that come with a study: bounded, and never quoted, as what is said of them is answered and logged."""

from pathlib import Path

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import POINTS
from lumbargrade.data.tables import read_points
from lumbargrade.dicom.limits import LIMITS
from lumbargrade.errors import InputError
from lumbargrade.notes import Note

_CELL = ["condition", "level"]


def read_study_points(path: Path, task: GradingTask) -> pd.DataFrame:
    """Reads a study's ``points.csv``; rows that say the same are one.

    Raises:
        InputError: It is larger than it may be, has more rows than the task's cells can have, or cannot be read; the
            sentence names line and column, and quotes no cell.
    """
    if path.stat().st_size > LIMITS.points_bytes:
        raise InputError(
            f"{POINTS} is larger than {LIMITS.points_bytes >> 20} MiB",
            "keep a row for each cell to grade",
            "points-file-too-large",
        )
    points = read_points(path, task, quoted=False).drop_duplicates(ignore_index=True)
    most = LIMITS.points_per_cell * len(task.cells)
    if len(points) > most:
        raise InputError(
            f"{POINTS} has {len(points)} different rows, and the {len(task.cells)} cells of task {task.name} can have "
            f"{most}",
            "keep a row for each cell to grade",
            "points-too-many",
        )
    return points


def split_conflicts(points: pd.DataFrame) -> tuple[pd.DataFrame, dict[tuple[str, str], Note]]:
    """Takes out the points of cells that have several in one series: nobody knows which one is meant.

    Returns:
        The other points, and the reason why there is no grade by condition and level.
    """
    several = points.duplicated([*_CELL, "series_id"], keep=False)
    cells = points.loc[several, _CELL].drop_duplicates().itertuples(index=False, name=None)
    reason = Note.make(
        "points-differ", "{file} has different points of this cell in one series; keep one of them", file=POINTS
    )
    reasons = {(str(condition), str(level)): reason for condition, level in cells}
    conflicting = pd.Series(
        [key in reasons for key in zip(points["condition"], points["level"], strict=True)], points.index, dtype=bool
    )
    return points[~conflicting], reasons
