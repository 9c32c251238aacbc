"""The crop of each point of a study, or why it has none: the one road for training and for serving."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import Condition, GradingTask
from lumbargrade.dicom.limits import check_time
from lumbargrade.dicom.stacks import Stack
from lumbargrade.errors import InputError, QuotingError
from lumbargrade.preprocessing.crop import cut_crop, reflects, shown_share
from lumbargrade.preprocessing.series import SeriesImages

_LEAST_SHOWN = 0.5
"""A crop less of which than this lies within its image is not graded."""


@dataclass(frozen=True)
class PointCrop:
    """A point of a study and its crop.

    Attributes:
        crop: (channels, rows, columns), or nothing if ``reason`` says why.
        code: Of the error that ``reason`` is of.
        reflected: Whether the crop's columns run against those of the displayed slice.
    """

    series_id: int | str
    instance_number: int
    condition: Condition
    level: str
    x: float
    y: float
    crop: NDArray[np.uint8] | None
    reason: str | None = None
    reflected: bool = False
    code: str = ""


def cut_points(
    points: pd.DataFrame,
    open_series: Callable[[int | str], SeriesImages],
    task: GradingTask,
    params: PrepareParams,
    quoted: bool = True,
) -> Iterator[PointCrop]:
    """Cuts the crop of every point of one study, series by series.

    Args:
        points: Rows of the coordinates table.
        open_series: Returns a series as the points call it, or raises InputError with the reason why it cannot.
        quoted: Whether a reason may name files and quote the points: not where it is answered or logged.
    """
    for series_id, rows in points.groupby("series_id"):
        images: SeriesImages | InputError
        try:
            images = open_series(series_id if isinstance(series_id, str) else int(str(series_id)))
        except InputError as error:
            images = error
        for row in rows.to_dict("records"):
            check_time()
            yield _cut_point(row, images, task, params, quoted)


def check_point(
    images: SeriesImages, stack: Stack, index: int, xy: tuple[float, float], condition: Condition, params: PrepareParams
) -> None:
    """Refuses a point whose crop would not show it, or not on the side that it is of.

    Args:
        xy: The point, (column, row) in pixels.

    Raises:
        InputError: With the reason.
    """
    header = stack.slices[index]
    if images.localizer:
        raise InputError(f"its series is a localizer: {images.localizer}", "", "point-on-localizer")
    if stack.size_fault:
        raise InputError(
            f"in its series of {len(stack.slices)} slices {stack.size_fault}", "", "point-on-unsized-slices"
        )
    sided = condition.side is not None
    if sided and stack.placement_fault and (stack.orientation == "sagittal" or not header.orientation_known):
        raise InputError(f"it has a side, but in its series {stack.placement_fault}", "", "point-on-unplaced-slices")
    rows, columns = header.plane.shape
    if not header.plane.holds(*xy):
        raise InputError(f"its point lies outside the image of {columns} x {rows} pixels", "", "point-outside-image")
    if shown_share(header.plane, stack.orientation, xy, params) < _LEAST_SHOWN:
        raise InputError(
            "its point lies so near the image's edge that most of its crop shows nothing", "", "point-at-image-edge"
        )


def _cut_point(
    row: Mapping[Hashable, object],
    images: SeriesImages | InputError,
    task: GradingTask,
    params: PrepareParams,
    quoted: bool,
) -> PointCrop:
    condition = task.condition(str(row["condition"]))
    x, y = float(str(row["x"])), float(str(row["y"]))
    series_id = row["series_id"] if isinstance(row["series_id"], str) else int(str(row["series_id"]))
    instance = int(str(row["instance_number"]))
    crop, reason, reflected, code = None, None, False, ""
    try:
        if isinstance(images, InputError):
            raise copy(images)
        stack, index = images.find(instance)
        check_point(images, stack, index, (x, y), condition, params)
        crop = cut_crop(images, stack, index, (x, y), condition.mirrored, params)
        reflected = reflects(stack.orientation, condition.mirrored)
    except InputError as error:
        code = error.code
        reason = error.unquoted if isinstance(error, QuotingError) and not quoted else str(error)
    return PointCrop(series_id, instance, condition, str(row["level"]), x, y, crop, reason, reflected, code)
