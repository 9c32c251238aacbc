"""Faults that the tables alone show: which labels, points and series fit together."""

from collections.abc import Iterator

import pandas as pd

from lumbargrade.data.layout import RsnaDataset
from lumbargrade.data.validation.report import Finding, finding, first_few

_CELL = ["study_id", "condition", "level"]


def labelled_cells(dataset: RsnaDataset) -> pd.DataFrame:
    """Returns study_id, condition and level of the cells with a grade."""
    cells = {cell.column: (cell.condition.name, cell.level) for cell in dataset.task.cells}
    long = dataset.labels.melt("study_id", list(cells), var_name="column", value_name="grade").dropna()
    names = pd.DataFrame([(column, *cell) for column, cell in cells.items()], columns=["column", "condition", "level"])
    return long.merge(names, on="column")[_CELL]


def check_tables(dataset: RsnaDataset) -> Iterator[Finding]:
    """Yields what is wrong between the tables."""
    used = dataset.used_points()
    labelled = labelled_cells(dataset)
    shown = _with_series(dataset, labelled)
    yield from _labels_and_points(dataset, shown[shown["described"]], used)
    yield from _points_and_series(dataset, used)
    yield from _series_of_studies(dataset)
    for (study, description), cells in shown[~shown["described"]].groupby(["study_id", "series_description"]):
        yield finding("series_kind_missing", f"no {description} for {_cells(cells)}", study)
    for study in sorted(set(dataset.labels["study_id"]) - set(labelled["study_id"])):
        yield finding("study_unlabelled", "none of its cells has a grade", study)


def _with_series(dataset: RsnaDataset, cells: pd.DataFrame) -> pd.DataFrame:
    """Adds the series description that shows each cell, and whether the study has such a series."""
    shown_by = {condition.name: condition.series for condition in dataset.task.conditions}
    wanted = cells.assign(series_description=cells["condition"].map(shown_by))
    there = dataset.series[["study_id", "series_description"]].drop_duplicates()
    merged = wanted.merge(there, how="left", indicator="described")
    return merged.assign(described=merged["described"] == "both")


def _labels_and_points(dataset: RsnaDataset, labelled: pd.DataFrame, used: pd.DataFrame) -> Iterator[Finding]:
    listed = used[used["study_id"].isin(dataset.labels["study_id"])]
    both = labelled.merge(listed[_CELL].drop_duplicates(), on=_CELL, how="outer", indicator=True)
    for study_id, cells in both[both["_merge"] == "left_only"].groupby("study_id"):
        yield finding("label_without_point", f"{_cells(cells)} without a point", study_id)
    for study_id, cells in both[both["_merge"] == "right_only"].groupby("study_id"):
        yield finding("point_without_label", f"{_cells(cells)} without a grade", study_id)
    several = used.groupby(_CELL)["series_id"].nunique().reset_index()
    several = several[several["series_id"] > 1]
    for study_id, cells in several.groupby("study_id"):
        yield finding("levels_in_several_series", f"{_cells(cells)} with points in several series", study_id)


def _points_and_series(dataset: RsnaDataset, used: pd.DataFrame) -> Iterator[Finding]:
    points = dataset.points
    listed = points["study_id"].isin(dataset.labels["study_id"])
    for study_id, rows in points[~listed].groupby("study_id"):
        yield finding("point_of_unlisted_study", f"{_number(len(rows), 'point')}, but no row in train.csv", study_id)
    described = points[listed].merge(dataset.series, on=["study_id", "series_id"], how="left")
    missing = described["series_description"].isna()
    for (study, series), rows in described[missing].groupby(["study_id", "series_id"]):
        yield finding("point_series_undescribed", f"{_number(len(rows), 'point')} cannot be used", study, series)
    shown_by = {condition.name: condition.series for condition in dataset.task.conditions}
    elsewhere = described[~missing & (described["series_description"] != described["condition"].map(shown_by))]
    for (study, series), rows in elsewhere.groupby(["study_id", "series_id"]):
        description, conditions = rows["series_description"].iloc[0], sorted(rows["condition"].unique())
        message = f"{_number(len(rows), 'point')} of {first_few(conditions)} on a {description} series"
        yield finding("point_not_used", message, study, series)
    repeated = used[used.duplicated([*_CELL, "series_id"])]
    for (study, series), rows in repeated.groupby(["study_id", "series_id"]):
        yield finding(
            "point_repeated", f"{_cells(rows.drop_duplicates(_CELL))} with more than one point", study, series
        )


def _series_of_studies(dataset: RsnaDataset) -> Iterator[Finding]:
    listed = dataset.series["study_id"].isin(dataset.labels["study_id"])
    for study_id, rows in dataset.series[~listed].groupby("study_id"):
        yield finding("series_of_unlisted_study", f"{len(rows)} series, but no row in train.csv", study_id)
    series = dataset.series[listed]
    for (study, description), rows in series.groupby(["study_id", "series_description"]):
        if description not in dataset.task.series:
            for series_id in rows["series_id"]:
                yield finding("series_not_used", f"{description} shows no condition of the task", study, series_id)
        elif len(rows) > 1:
            yield finding("series_several", f"{len(rows)} series are {description}", study)


def _cells(rows: pd.DataFrame) -> str:
    """Tells cells by condition and level: ``3 cells (spinal_canal_stenosis L1/L2, ...)``."""
    names = (f"{condition} {level}" for condition, level in zip(rows["condition"], rows["level"], strict=True))
    return f"{_number(len(rows), 'cell')} ({first_few(names, 3)})"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
