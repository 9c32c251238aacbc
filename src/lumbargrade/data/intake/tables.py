"""The tables of a dataset as text, so that rows can be added and grades changed without touching the rest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.patients import COLUMNS, PATIENTS
from lumbargrade.data.spelling import spell_columns
from lumbargrade.data.tables import LABELS, POINT_COLUMNS, POINTS, SERIES
from lumbargrade.files import write_text

Row = Mapping[str, object]

TABLES = (LABELS, SERIES, POINTS, PATIENTS)
"""What an addition rewrites in a dataset."""


class Rows(NamedTuple):
    """Rows of the four :data:`TABLES`, by column."""

    labels: Sequence[Row]
    series: Sequence[Row]
    points: Sequence[Row]
    patients: Sequence[Row]


def write_tables(root: Path, task: GradingTask, rows: Rows, changed: Mapping[int, Mapping[str, str]]) -> None:
    """Adds rows to the tables of a folder; makes the tables that are not there.

    Args:
        changed: Grades that take the place of others, by study and column.
    """
    _write(root / LABELS, ["study_id", *task.columns], rows.labels, changed)
    _write(root / SERIES, ["study_id", "series_id", "series_description"], rows.series)
    _write(root / POINTS, list(POINT_COLUMNS), rows.points)
    if rows.patients:
        _write(root / PATIENTS, COLUMNS, rows.patients)


def count_rows(root: Path) -> dict[str, int]:
    """Number of rows of each table that a folder has, by the table's name."""
    return {name: len(_read(root / name)) for name in TABLES if (root / name).is_file()}


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)


def _write(
    path: Path, columns: list[str], rows: Sequence[Row], changed: Mapping[int, Mapping[str, str]] | None = None
) -> None:
    table = _read(path) if path.is_file() else pd.DataFrame(columns=columns, dtype=str)
    table.columns = pd.Index(spell_columns([str(name) for name in table.columns], columns))
    for study_id, grades in (changed or {}).items():
        table.loc[table["study_id"] == str(study_id), list(grades)] = list(grades.values())
    new = pd.DataFrame(
        [{name: str(row.get(name, "")) for name in table.columns} for row in rows], columns=table.columns
    )
    write_text(path, pd.concat([table, new], ignore_index=True).to_csv(index=False, lineterminator="\n"))
