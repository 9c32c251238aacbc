"""Packs all crops of a dataset into a few shards that training maps into memory.

A packed folder holds ``crops-NNN.npy`` (uint8, crops x channels x rows x columns), ``index.parquet`` (a row a crop, in
shard order) and ``skipped.parquet`` (a row for each labelled cell or point without a crop, with its reason). Where points
were located and not labelled, ``error_mm`` in the index says how far they are from the label, as far as there is one.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import IMAGES, RsnaDataset
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.files import replaced_folder
from lumbargrade.preprocessing.points import cut_points
from lumbargrade.preprocessing.series import SeriesImages, open_series
from lumbargrade.preprocessing.shards import Shards, ShardWriter, in_processes
from lumbargrade.processes import Progress

INDEX = "index.parquet"
SKIPPED = "skipped.parquet"

_INDEX_COLUMNS = [
    "study_id",
    "series_id",
    "instance_number",
    "condition",
    "level",
    "group",
    "x",
    "y",
    "grade",
    "error_mm",
]
_SKIPPED_COLUMNS = ["study_id", "series_id", "condition", "level", "reason"]


@dataclass(frozen=True)
class PackSummary:
    """What was packed: crops, the studies that they come from, and cells left without a crop."""

    crops: int
    studies: int
    skipped: int


@dataclass(frozen=True)
class _Study:
    crops: list[NDArray[np.uint8]]
    rows: list[dict[str, Any]]
    skipped: list[dict[str, Any]]


def pack_crops(
    dataset: RsnaDataset,
    folder: Path,
    params: PrepareParams,
    progress: Progress | None = None,
    workers: int = 0,
    shard_crops: int = 4096,
) -> PackSummary:
    """Cuts the crop of every point and packs them; the folder appears when it is whole.

    A file that cannot be read costs its own crops only: they are listed in ``skipped.parquet``.

    Args:
        progress: Called with the studies done and all studies.
        workers: Processes; 0 is one for each core that has memory.
        shard_crops: Crops in one shard.

    Raises:
        LumbargradeError: The dataset gives no crop at all.
    """
    studies = sorted(dataset.labels["study_id"].tolist())
    points, labels = dataset.used_points(), dataset.labels.set_index("study_id")
    by_study = {int(str(study)): table for study, table in points.groupby("study_id")}
    jobs = [(study, by_study.get(study, points.iloc[:0]), labels.loc[study].to_dict()) for study in studies]
    work = partial(_pack_study, dataset.root, dataset.task, params)
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    with replaced_folder(folder) as temporary:
        shards = ShardWriter(temporary, "crops", shard_crops)
        for done, study in enumerate(in_processes(work, jobs, workers), start=1):
            for crop, row in zip(study.crops, study.rows, strict=True):
                shards.add(crop)
                rows.append(row)
            skipped += study.skipped
            if progress is not None:
                progress(done, len(studies))
        shards.close()
        if not rows:
            why = skipped[0]["reason"] if skipped else "there are no points"
            raise LumbargradeError(
                f"no crop could be cut from {dataset.root}: {why}",
                "run `lumbargrade dataset check` on it",
                "no-crop-cut",
            )
        index = pd.DataFrame(rows, columns=_INDEX_COLUMNS).astype({"grade": "Int8", "error_mm": "float64"})
        index.to_parquet(temporary / INDEX, index=False)
        pd.DataFrame(skipped, columns=_SKIPPED_COLUMNS).to_parquet(temporary / SKIPPED, index=False)
    return PackSummary(crops=len(rows), studies=index["study_id"].nunique(), skipped=len(skipped))


def _pack_study(
    root: Path, task: GradingTask, params: PrepareParams, job: tuple[int, pd.DataFrame, dict[str, Any]]
) -> _Study:
    study_id, points, labels = job
    result = _Study([], [], [])
    grades = {grade: code for code, grade in enumerate(task.grades)}
    columns = {(cell.condition.name, cell.level): cell.column for cell in task.cells}
    seen: set[str] = set()
    errors = _errors(points)

    def open_by_id(series_id: int | str) -> SeriesImages:
        return open_series(root / IMAGES / str(study_id) / str(series_id), params.percentiles)

    for point in cut_points(points, open_by_id, task, params):
        name, level = point.condition.name, point.level
        column = columns[name, level]
        seen.add(column)
        row: dict[str, Any] = {"study_id": study_id, "series_id": point.series_id, "condition": name, "level": level}
        if point.crop is None:
            result.skipped.append({**row, "reason": point.reason})
            continue
        row |= {"instance_number": point.instance_number, "group": point.condition.group, "x": point.x, "y": point.y}
        row["error_mm"] = errors.get((point.series_id, point.instance_number, name, level))
        result.crops.append(point.crop)
        result.rows.append({**row, "grade": grades.get(labels[column])})
    for (name, level), column in columns.items():
        if column not in seen and labels[column] in grades:
            row = {"study_id": study_id, "series_id": None, "condition": name, "level": level}
            result.skipped.append({**row, "reason": "it is labelled but has no point"})
    return result


def _errors(points: pd.DataFrame) -> dict[tuple[int | str, int, str, str], float]:
    if "error_mm" not in points:
        return {}
    keys = zip(points["series_id"], points["instance_number"], points["condition"], points["level"], strict=True)
    return dict(zip(keys, points["error_mm"].tolist(), strict=True))


class PackedCrops:
    """Packed crops of one folder or several, mapped into memory and read when they are asked for.

    Attributes:
        index: A row a crop, as ``index.parquet`` has it, and ``folder``: the place of its folder among those given.
    """

    def __init__(self, *folders: Path) -> None:
        for folder in folders:
            if not (folder / INDEX).is_file():
                raise InputError(
                    f"{folder} holds no packed crops", "run `lumbargrade run` or `dvc repro` first", "no-packed-crops"
                )
        tables = [pd.read_parquet(folder / INDEX).assign(folder=place) for place, folder in enumerate(folders)]
        self.index = pd.concat(tables, ignore_index=True)
        self._shards = [Shards(folder, "crops") for folder in folders]
        self._starts = np.cumsum([0, *(len(table) for table in tables)])

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Returns crops by their place in the index, (rows, channels, height, width)."""
        folders = np.searchsorted(self._starts, rows, side="right") - 1
        places = zip(rows, folders, strict=True)
        return np.stack([self._shards[folder].take(int(row - self._starts[folder])) for row, folder in places])
