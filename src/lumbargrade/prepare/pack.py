"""Packs all crops of a dataset into a few shards that training maps into memory.

A packed folder holds ``crops-NNN.npy`` (uint8, crops x channels x rows x columns), ``index.parquet`` (a row a crop, in
shard order) and ``skipped.parquet`` (a row for each labelled cell or point without a crop, with its reason).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.dataset.layout import IMAGES, RsnaDataset, dicom_files
from lumbargrade.dicom.headers import UnreadableFile, read_headers
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.files import replaced_folder
from lumbargrade.params import PrepareParams
from lumbargrade.prepare.points import cut_points
from lumbargrade.prepare.series import SeriesImages
from lumbargrade.task import GradingTask

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
    "shard",
    "row",
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
    progress: Callable[[int, int], None] | None = None,
    workers: int = 0,
    shard_crops: int = 4096,
) -> PackSummary:
    """Cuts the crop of every point and packs them; the folder appears when it is whole.

    A file that cannot be read costs its own crops only: they are listed in ``skipped.parquet``.

    Args:
        progress: Called with the studies done and all studies.
        workers: Processes; 0 is one for each core.
        shard_crops: Crops in one shard.

    Raises:
        LumbargradeError: The dataset gives no crop at all.
    """
    studies = sorted(dataset.labels["study_id"].tolist())
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    with replaced_folder(folder) as temporary:
        shards = _ShardWriter(temporary, shard_crops)
        for done, study in enumerate(_each_study(dataset, studies, params, workers), start=1):
            for crop, row in zip(study.crops, study.rows, strict=True):
                shard, place = shards.add(crop)
                rows.append({**row, "shard": shard, "row": place})
            skipped += study.skipped
            if progress is not None:
                progress(done, len(studies))
        shards.close()
        if not rows:
            why = skipped[0]["reason"] if skipped else "there are no points"
            raise LumbargradeError(
                f"no crop could be cut from {dataset.root}: {why}; run `lumbargrade dataset check` on it"
            )
        index = pd.DataFrame(rows, columns=_INDEX_COLUMNS).astype({"grade": "Int8"})
        index.to_parquet(temporary / INDEX, index=False)
        pd.DataFrame(skipped, columns=_SKIPPED_COLUMNS).to_parquet(temporary / SKIPPED, index=False)
    return PackSummary(crops=len(rows), studies=index["study_id"].nunique(), skipped=len(skipped))


def _each_study(dataset: RsnaDataset, studies: list[int], params: PrepareParams, workers: int) -> Iterator[_Study]:
    points = dataset.used_points()
    by_study = {int(str(study)): table for study, table in points.groupby("study_id")}
    labels = dataset.labels.set_index("study_id")
    jobs = [(study, by_study.get(study, points.iloc[:0]), labels.loc[study].to_dict()) for study in studies]
    work = partial(_pack_study, dataset.root, dataset.task, params)
    workers = min(workers or cpu_count() or 1, len(jobs))
    if workers == 1:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, jobs, chunksize=4)


def _pack_study(
    root: Path, task: GradingTask, params: PrepareParams, job: tuple[int, pd.DataFrame, dict[str, Any]]
) -> _Study:
    study_id, points, labels = job
    result = _Study([], [], [])
    grades = {grade: code for code, grade in enumerate(task.grades)}
    columns = {(cell.condition.name, cell.level): cell.column for cell in task.cells}
    seen: set[str] = set()

    def open_series(series_id: int) -> SeriesImages:
        return _open_series(root / IMAGES / str(study_id) / str(series_id), params)

    for point in cut_points(points, open_series, task, params):
        name, level = point.condition.name, point.level
        column = columns[name, level]
        seen.add(column)
        row = {"study_id": study_id, "series_id": point.series_id, "condition": name, "level": level}
        if point.crop is None:
            result.skipped.append({**row, "reason": point.reason})
            continue
        row |= {"instance_number": point.instance_number, "group": point.condition.group, "x": point.x, "y": point.y}
        result.crops.append(point.crop)
        result.rows.append({**row, "grade": grades.get(labels[column])})
    for (name, level), column in columns.items():
        if column not in seen and labels[column] in grades:
            row = {"study_id": study_id, "series_id": None, "condition": name, "level": level}
            result.skipped.append({**row, "reason": "it is labelled but has no point"})
    return result


def _open_series(folder: Path, params: PrepareParams) -> SeriesImages:
    headers = []
    for path in dicom_files(folder):
        with suppress(UnreadableFile):
            headers += read_headers(path)
    if not headers:
        raise InputError("its series has no readable image")
    return SeriesImages(headers, params.percentiles)


class _ShardWriter:
    """Fills arrays on disk one after the other, without holding them in memory."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._waiting: list[NDArray[np.uint8]] = []
        self._shard = 0

    def add(self, crop: NDArray[np.uint8]) -> tuple[int, int]:
        """Takes a crop and returns its shard and its place there."""
        if len(self._waiting) == self._size:
            self._write()
        self._waiting.append(crop)
        return self._shard, len(self._waiting) - 1

    def close(self) -> None:
        """Writes what is left."""
        if self._waiting:
            self._write()

    def _write(self) -> None:
        np.save(self._folder / f"crops-{self._shard:03d}.npy", np.stack(self._waiting))
        self._waiting = []
        self._shard += 1


class PackedCrops:
    """Packed crops, mapped into memory and read when they are asked for.

    Attributes:
        index: A row a crop, as ``index.parquet`` has it.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / INDEX).is_file():
            raise InputError(f"{folder} holds no packed crops; run `lumbargrade run` or `dvc repro` first")
        self.index = pd.read_parquet(folder / INDEX)
        shards = sorted(folder.glob("crops-*.npy"))
        self._shards = [np.load(path, mmap_mode="r", allow_pickle=False) for path in shards]
        self._shard = self.index["shard"].to_numpy()
        self._row = self.index["row"].to_numpy()

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Returns crops by their place in the index, (rows, channels, height, width)."""
        return np.stack([self._shards[self._shard[row]][self._row[row]] for row in rows])
