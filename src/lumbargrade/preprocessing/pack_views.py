"""Packs the views of a dataset, for the locator's training; reads them back as the stacks that they were.

A packed folder holds ``views-NNN.npy`` (uint8, slices x pixels x pixels), ``slices.parquet`` (a row a slice, in shard
order, with its planes) and ``points.parquet`` (the labelled points in patient coordinates, mm).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.data.layout import IMAGES, RsnaDataset
from lumbargrade.dicom.geometry import Plane
from lumbargrade.errors import InputError
from lumbargrade.files import replaced_folder
from lumbargrade.preprocessing.series import SeriesImages, open_series
from lumbargrade.preprocessing.shards import Shards, ShardWriter, in_processes
from lumbargrade.preprocessing.views import StackView, ViewSlice, view_series
from lumbargrade.processes import Progress

SLICES = "slices.parquet"
POINTS = "points.parquet"

_SLICE_COLUMNS = [
    "study_id",
    "series_id",
    "orientation",
    "contrast",
    "stack",
    "known",
    "instance_number",
    "source",
    "view",
    "apart",
]
_POINT_COLUMNS = ["study_id", "series_id", "instance_number", "condition", "level", "position"]


@dataclass(frozen=True)
class ViewSummary:
    """What was packed."""

    slices: int
    studies: int


def pack_views(
    dataset: RsnaDataset,
    folder: Path,
    prepare: PrepareParams,
    views: ViewParams,
    progress: Progress | None = None,
    workers: int = 0,
) -> ViewSummary:
    """Packs the views of every series that can teach the locator; the folder appears when it is whole.

    These are the series that show a condition of the task, and those that carry points. One that cannot be read, or whose
    pixels are of unknown size, is left out, and so are slices that cannot be decoded.

    Args:
        progress: Called with the studies done and all studies.
        workers: Processes; 0 is one for each core that has memory.

    Raises:
        InputError: There is no such series.
    """
    studies = sorted(dataset.labels["study_id"].tolist())
    rows: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    with replaced_folder(folder) as temporary:
        shards = ShardWriter(temporary, "views")
        work = partial(_view_study, dataset.root, dataset.task, prepare, views)
        jobs = [(study, *_study_tables(dataset, study)) for study in studies]
        for done, (images, slices, found) in enumerate(in_processes(work, jobs, workers), start=1):
            for image, row in zip(images, slices, strict=True):
                shards.add(image)
                rows.append(row)
            points += found
            if progress is not None:
                progress(done, len(studies))
        shards.close()
        if not rows:
            raise InputError(
                f"{dataset.root} has no readable series of task {dataset.task.name}", "", "no-readable-series"
            )
        pd.DataFrame(rows, columns=_SLICE_COLUMNS).to_parquet(temporary / SLICES, index=False)
        pd.DataFrame(points, columns=_POINT_COLUMNS).to_parquet(temporary / POINTS, index=False)
    return ViewSummary(slices=len(rows), studies=len({row["study_id"] for row in rows}))


def _study_tables(dataset: RsnaDataset, study_id: int) -> tuple[list[tuple[int, str]], pd.DataFrame]:
    """The study's series that can teach the locator, and its points."""
    points = dataset.points[dataset.points["study_id"] == study_id]
    series = dataset.series[dataset.series["study_id"] == study_id]
    useful = series["series_description"].isin(dataset.task.series) | series["series_id"].isin(points["series_id"])
    chosen = series[useful].sort_values("series_id")
    return list(zip(chosen["series_id"].tolist(), chosen["series_description"].tolist(), strict=True)), points


_Packed = tuple[list[NDArray[np.uint8]], list[dict[str, Any]], list[dict[str, Any]]]


def _view_study(
    root: Path,
    task: GradingTask,
    prepare: PrepareParams,
    params: ViewParams,
    job: tuple[int, list[tuple[int, str]], pd.DataFrame],
) -> _Packed:
    study_id, series, points = job
    packed: _Packed = ([], [], [])
    for series_id, description in series:
        try:
            kind = series_kind(description)
            images = open_series(root / IMAGES / str(study_id) / str(series_id), prepare.percentiles)
            stacks = list(view_series(str(series_id), images, kind.contrast, params))
            wanted = [stack for stack in stacks if stack.orientation == kind.orientation]
            readable = [[place for place in range(len(stack.slices)) if stack.readable(place)] for stack in wanted]
        except (InputError, ValueError):
            continue
        for number, (stack, places) in enumerate(zip(wanted, readable, strict=True)):
            for place, following in zip_longest(places, places[1:]):
                apart = place in stack.apart or following != place + 1
                packed[0].append(stack.grey(place))
                packed[1].append(_slice_row(study_id, series_id, number, stack, place, apart))
        packed[2].extend(_points_of(images, points[points["series_id"] == series_id]))
    return packed


def _slice_row(study_id: int, series_id: int, number: int, stack: StackView, place: int, apart: bool) -> dict[str, Any]:
    piece = stack.slices[place]
    return {
        "study_id": study_id,
        "series_id": series_id,
        "orientation": stack.orientation,
        "contrast": stack.contrast,
        "stack": number,
        "known": stack.known,
        "instance_number": piece.instance,
        "source": _plane_to_list(piece.source),
        "view": _plane_to_list(piece.view),
        "apart": apart,
    }


def _points_of(images: SeriesImages, points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in points.to_dict("records"):
        try:
            stack, index = images.find(int(row["instance_number"]))
        except InputError:
            continue
        plane = stack.slices[index].plane
        if images.localizer or stack.size_fault or not plane.holds(float(row["x"]), float(row["y"])):
            continue
        position = plane.to_patient(np.array([row["x"], row["y"]]))
        yield {**{key: row[key] for key in _POINT_COLUMNS[:-1]}, "position": position.tolist()}


def _plane_to_list(plane: Plane) -> list[float]:
    axes = [*plane.position, *plane.row_direction, *plane.column_direction]
    return [float(value) for value in (*axes, *plane.spacing, *plane.shape)]


def _plane_from_list(values: NDArray[np.float64]) -> Plane:
    shape = (int(values[11]), int(values[12]))
    return Plane(values[0:3], values[3:6], values[6:9], (float(values[9]), float(values[10])), shape)


class PackedViews:
    """Packed views, mapped into memory and read when they are asked for.

    Attributes:
        studies: Ids of the studies that have views, in rising order.
        stacks: The stacks of each study.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / SLICES).is_file():
            raise InputError(
                f"{folder} holds no packed views", "run `lumbargrade run` or `dvc repro` first", "no-packed-views"
            )
        table = pd.read_parquet(folder / SLICES)
        self._points: dict[int, list[dict[str, Any]]] = {}
        for row in pd.read_parquet(folder / POINTS).to_dict("records"):
            self._points.setdefault(int(row["study_id"]), []).append({str(key): value for key, value in row.items()})
        self._shards = Shards(folder, "views")
        self.stacks: dict[int, list[StackView]] = {}
        for _, rows in table.groupby(["study_id", "series_id", "stack"], sort=True):
            self.stacks.setdefault(int(rows["study_id"].iloc[0]), []).append(self._stack(rows))
        self.studies = sorted(self.stacks)

    def points_of(self, study_id: int) -> list[dict[str, Any]]:
        """Returns a study's points: series_id, instance_number, condition, level and position (LPS, mm)."""
        return self._points.get(study_id, [])

    def _stack(self, rows: pd.DataFrame) -> StackView:
        first = rows.iloc[0]
        start = int(rows.index[0])
        slices = tuple(
            ViewSlice(int(row["instance_number"]), _plane_from_list(row["source"]), _plane_from_list(row["view"]))
            for row in rows.to_dict("records")
        )
        return StackView(
            series=str(first["series_id"]),
            orientation=first["orientation"],
            contrast=first["contrast"],
            known=bool(first["known"]),
            slices=slices,
            grey=lambda index: self._shards.take(start + index),
            apart=frozenset(np.flatnonzero(rows["apart"]).tolist()),
        )
