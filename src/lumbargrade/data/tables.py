"""The three tables of the RSNA layout: read, checked cell by cell, and typed.

Whatever way of writing a table has its names in, :mod:`lumbargrade.data.spelling` knows the task's.
"""

import csv
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pandera.pandas as pa

from lumbargrade.config.task import GradingTask, load_task, task_names
from lumbargrade.data.ids import describe_name, describe_number, is_rounded
from lumbargrade.data.spelling import Spellings, spell_columns
from lumbargrade.errors import InputError

LABELS = "train.csv"
SERIES = "train_series_descriptions.csv"
POINTS = "train_label_coordinates.csv"

POINT_COLUMNS = ("study_id", "series_id", "instance_number", "condition", "level", "x", "y")
SOP_POINT_COLUMNS = ("SOPInstanceUID", "condition", "level", "x", "y")
"""How points say where they are on images that have no numbers of ours yet."""

_LONGEST_QUOTE = 40
_FAR_PIXELS = 1e6
_BYTE_ORDER_MARK = "\ufeff"
_NUMBER_REASON, _NAME_REASON = "is no number", "is no name"
"""Stand for what :mod:`lumbargrade.data.ids` says of the value."""
_ID = pa.Check.str_matches(r"^(0|[1-9][0-9]{0,17})$", error=_NUMBER_REASON)
_FILLED = pa.Check.str_length(min_value=1, error="is empty; fill it in or remove the row")
_NAME = pa.Check(lambda values: values.map(describe_name).isna(), error=_NAME_REASON)


def read_labels(path: Path, task: GradingTask, key: str = "study_id") -> pd.DataFrame:
    """Reads ``train.csv``: study_id (int64) and ``task.columns`` as strings, NA where a cell has no grade.

    Args:
        key: The column that names the studies; another one than study_id is read as text.

    Raises:
        InputError: It names the file, and the column, line and value that are wrong.
    """
    is_number = key == "study_id"
    remedy = f"use {_listed(task.grades)}, or leave it empty where there is no grade"
    grade = pa.Check.isin([*task.grades, ""], error=f"is not a grade of task {task.name}; {remedy}")
    columns = {key: pa.Column(str, _ID if is_number else [_FILLED, _NAME])}
    columns |= {column: pa.Column(str, grade) for column in task.columns}
    text = _read_text_table(path, path.name, tuple(columns), task)
    text[list(task.columns)] = text[list(task.columns)].map(Spellings.of(task.grades).find)
    _check(text, pa.DataFrameSchema(columns, unique=[key] if is_number else None), path.name)
    if text[key].duplicated().any():  # the value itself would name a patient's study
        later = text.index[text[key].duplicated()][0]
        first = text.index[text[key] == text.loc[later, key]][0]
        raise InputError(
            f"{path.name} line {later} has the {key} of line {first}", "remove one of the lines", "table-row-repeated"
        )
    if text.empty:
        raise InputError(
            f"{path} holds no studies", "it needs one row a study under its header", "table-without-studies"
        )
    grades = text[list(task.columns)].replace("", pd.NA)
    studies = text[key].astype(np.int64) if is_number else text[key]
    return pd.concat([studies, grades], axis=1).reset_index(drop=True)


def read_series(path: Path, task: GradingTask) -> pd.DataFrame:
    """Reads ``train_series_descriptions.csv``: study_id, series_id (int64) and series_description.

    Raises:
        InputError: It names the file, and the column, line and value that are wrong.
    """
    columns = {
        "study_id": pa.Column(str, _ID),
        "series_id": pa.Column(str, _ID),
        "series_description": pa.Column(str, _FILLED),
    }
    text = _read_text_table(path, path.name, tuple(columns), task)
    text["series_description"] = text["series_description"].map(Spellings.of(task.series).find)
    _check(text, pa.DataFrameSchema(columns, unique=["study_id", "series_id"]), path.name)
    return text.astype({"study_id": np.int64, "series_id": np.int64}).reset_index(drop=True)


def read_header(path: Path) -> list[str]:
    """Reads the column names of a table.

    Raises:
        InputError: It is no table that can be read.
    """
    try:
        return next(iter(_read_lines(path, path.name).values()), [])
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "give a CSV table", "table-missing") from error


def read_points(
    source: Path | TextIO, task: GradingTask, columns: tuple[str, ...] = POINT_COLUMNS, quoted: bool = True
) -> pd.DataFrame:
    """Reads ``train_label_coordinates.csv``, or the ``points.csv`` that comes with a study to be graded.

    Args:
        source: A file, or an open text stream.
        columns: :data:`POINT_COLUMNS` or :data:`SOP_POINT_COLUMNS`.
        quoted: Whether errors may quote the file, which a table of somebody else's study must not be: it may name a
            patient, and errors are answered and logged.

    Returns:
        study_id, series_id, instance_number (int64), condition (its name, not its label), level, x and y in pixels.

    Raises:
        InputError: It names the file, and the column, line and value that are wrong.
    """
    name = source.name if isinstance(source, Path) else "points.csv"
    conditions = Spellings.of_conditions(task)
    text = _read_text_table(source, name, columns, task, quoted)
    text["condition"] = text["condition"].map(conditions.find)
    text["level"] = text["level"].map(Spellings.of(task.levels).find)
    schema = _points_schema(task, columns)
    _check(text, schema, name, lambda value: _other_task_with_label(value, task), quoted)
    table = text.reset_index(drop=True)
    numbers = [column for column in POINT_COLUMNS[:3] if column in columns]
    return table.astype(dict.fromkeys(numbers, np.int64) | {"x": np.float64, "y": np.float64})


def _points_schema(task: GradingTask, columns: tuple[str, ...]) -> pa.DataFrameSchema:
    names = [condition.name for condition in task.conditions]
    labels = _listed(tuple(condition.label for condition in task.conditions))
    condition = pa.Check.isin(names, error=f"is not a condition of task {task.name}, which has {labels}{{hint}}")
    level = pa.Check.isin(task.levels, error=f"is not a level of task {task.name}, which has {_listed(task.levels)}")
    number = pa.Check(_are_pixels, error="is not a coordinate; give a number of pixels or remove the row")
    checks = {"condition": condition, "level": level, "x": number, "y": number, "SOPInstanceUID": _FILLED}
    return pa.DataFrameSchema({column: pa.Column(str, checks.get(column, _ID)) for column in columns})


def _read_text_table(
    source: Path | TextIO, name: str, columns: tuple[str, ...], task: GradingTask, quoted: bool = True
) -> pd.DataFrame:
    """All cells as stripped strings, in the order of ``columns``; the index is the line in the file."""
    try:
        lines = _read_lines(source, name)
    except FileNotFoundError as error:
        raise InputError(
            f"{source} does not exist", f"it must be a CSV table with {_listed(columns)}", "table-missing"
        ) from error
    if not lines:
        raise InputError(f"{name} is empty", f"its first line must name the columns {_listed(columns)}", "table-empty")
    header, *rows = lines.values()
    header = spell_columns(header, columns)
    _check_header(name, header, columns, task, quoted)
    for line, row in lines.items():
        if len(row) != len(header):
            fields = f"{len(row)} fields where the header has {len(header)}"
            raise InputError(f"{name} line {line} has {fields}", "mend or remove the line", "table-line-malformed")
    return pd.DataFrame(rows, columns=header, index=list(lines)[1:], dtype=str)[list(columns)]


def _read_lines(source: Path | TextIO, name: str) -> dict[int, list[str]]:
    """The filled lines by their number in the file, cells stripped."""
    lines: dict[int, list[str]] = {}
    try:
        opened = source.open(encoding="utf-8", newline="") if isinstance(source, Path) else nullcontext(source)
        with opened as stream:
            reader = csv.reader(stream, strict=True)
            for row in reader:
                if row:
                    lines[reader.line_num] = [field.strip().removeprefix(_BYTE_ORDER_MARK) for field in row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(
            f"{name} is not a comma-separated table in UTF-8 ({error})", "export it as CSV UTF-8", "table-not-csv"
        ) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(
            f"{source} cannot be read ({error.strerror})", "check the file and its permissions", "table-unreadable"
        ) from error
    return lines


def _check_header(name: str, header: list[str], columns: tuple[str, ...], task: GradingTask, quoted: bool) -> None:
    extra = [column for column in header if column not in columns]
    if extra:
        owner = next((other for other in task_names() if Spellings.of(load_task(other).columns).knows(extra[0])), None)
        remedy = f"give --task {owner} if that is what the dataset is for, or " if owner else ""
        which = f"column {_quote(extra[0])}" if quoted else f"column {header.index(extra[0]) + 1}"
        unknown = f"{which}, which task {task.name} does not know{_more(len(extra), 'column')}"
        raise InputError(f"{name} has {unknown}", f"{remedy}remove the column", "table-column-unknown")
    missing = [column for column in columns if column not in header]
    if missing:
        needed = f"column {missing[0]!r}, which task {task.name} needs{_more(len(missing), 'column')}"
        raise InputError(f"{name} has no {needed}", "add it", "table-column-missing")
    if len(header) != len(columns):
        twice = next(column for column in header if header.count(column) > 1)
        raise InputError(f"{name} has column {twice!r} twice", "remove one of them", "table-column-repeated")


def _check(
    text: pd.DataFrame,
    schema: pa.DataFrameSchema,
    name: str,
    hint: Callable[[str], str] = lambda value: "",
    quoted: bool = True,
) -> None:
    """Raises the first thing that is wrong, by line."""
    try:
        schema.validate(text, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.sort_values("index", kind="stable")
        first = cases.iloc[0]
        more = _more(cases["index"].nunique(), "line")
        if first["check"] == "multiple_fields_uniqueness":
            raise InputError(
                _repeated(text, schema.unique, name), "remove one of the lines", "table-row-repeated"
            ) from None
        value = str(first["failure_case"])
        reason = str(first["check"]).replace("{hint}", hint(value))
        if reason == _NUMBER_REASON:
            reason = describe_number(value)
        elif reason == _NAME_REASON:
            reason = describe_name(value) or reason
        what = f"{first['column']} {_quote(value)}" if quoted else first["column"]
        raise InputError(f"{name} line {first['index']}: {what} {reason}{more}", "", "table-value-invalid") from None


def _repeated(text: pd.DataFrame, key: list[str], name: str) -> str:
    later = text.index[text.duplicated(key)][0]
    same = (text[key] == text.loc[later, key]).all(axis=1)
    ids = " ".join(f"{column} {_shorten(str(text.loc[later, column]))}" for column in key)
    rounded = any(is_rounded(str(text.loc[later, column])) for column in key)
    why = "; both end in zeros, as if a spreadsheet had rounded them" if rounded else ""
    return f"{name} line {later}: {ids} is already on line {text.index[same][0]}{why}"


def _quote(value: str) -> str:
    return repr(_shorten(value))


def _shorten(value: str) -> str:
    """A value as an error shows it: not the whole of a long one."""
    return value if len(value) <= _LONGEST_QUOTE else f"{value[:_LONGEST_QUOTE]}…"


def _are_pixels(values: pd.Series) -> pd.Series:
    """Whether each is a number that a pixel can have in any image, on it or beside it."""
    return pd.Series(np.abs(pd.to_numeric(values, errors="coerce")) < _FAR_PIXELS, index=values.index)


def _listed(values: tuple[str, ...]) -> str:
    shown = ", ".join(values[:8])
    return f"{shown} and {len(values) - 8} more" if len(values) > 8 else shown


def _more(count: int, what: str) -> str:
    return "" if count == 1 else f" (and {count - 1} more {what}{'s' if count > 2 else ''})"


def _other_task_with_label(label: str, task: GradingTask) -> str:
    for name in task_names():
        if name != task.name and Spellings.of_conditions(load_task(name)).knows(label):
            return f"; give --task {name} if that is what the dataset is for"
    return "; correct or remove the row"
