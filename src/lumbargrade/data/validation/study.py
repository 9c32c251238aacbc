"""The integrity check of one study's images, as a worker process runs it. Only headers are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lumbargrade.config.task import GradingTask
from lumbargrade.data.ids import same_but_changed
from lumbargrade.data.layout import IMAGES, dicom_files
from lumbargrade.data.validation.points import PlacedPoint, Point, check_placed, check_points, needed_file
from lumbargrade.data.validation.report import Finding, finding
from lumbargrade.data.validation.series import (
    SeriesFacts,
    SeriesHeaders,
    check_series,
    comparable,
    read_series_headers,
    series_facts,
)
from lumbargrade.dicom.headers import SliceHeader

_SHARED_HEIGHT = 0.3


@dataclass(frozen=True)
class StudyJob:
    """What the tables say of a study.

    Attributes:
        listed: Whether ``train.csv`` has it.
        series: Ids and descriptions.
        points: Those that lie on a series which shows their condition.
    """

    study_id: int
    listed: bool
    series: tuple[tuple[int, str], ...]
    points: tuple[Point, ...]


@dataclass
class StudyOutcome:
    """What the check of a study's images found."""

    findings: list[Finding] = field(default_factory=list)
    facts: list[SeriesFacts] = field(default_factory=list)


def check_study(root: Path, task: GradingTask, job: StudyJob) -> StudyOutcome:
    """Checks the images of a study; one that breaks the check is a finding."""
    try:
        return _check_images(root / IMAGES / str(job.study_id), task, job)
    except Exception as error:
        return not_checked(job, f"its files stopped the check ({type(error).__name__})")


def not_checked(job: StudyJob, reason: str) -> StudyOutcome:
    """The outcome of a study whose check failed."""
    return StudyOutcome([finding("study_not_checked", reason, job.study_id)])


def _describe_missing(folder: Path) -> str:
    changed = same_but_changed(folder.name, [path.name for path in folder.parent.iterdir()])
    return f"{IMAGES}/{folder.name} does not exist{f', but {changed}' if changed else ''}"


def _check_images(folder: Path, task: GradingTask, job: StudyJob) -> StudyOutcome:
    outcome = StudyOutcome()
    folders = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not any(dicom_files(folder / name) for name in folders):
        if job.listed:
            reason = "its folder has no .dcm files" if folder.is_dir() else _describe_missing(folder)
            outcome.findings.append(finding("study_without_images", reason, job.study_id))
        return outcome
    outcome.findings += _undescribed(folder, folders, job)
    placed: list[PlacedPoint] = []
    read: list[SeriesHeaders] = []
    for series_id, description in job.series:
        points = [point for point in job.points if point.series_id == series_id]
        series = read_series_headers(folder / str(series_id), series_id, description)
        if not series.files:
            outcome.findings.append(_missing(folder / str(series_id), job.study_id, series_id, description, points))
            continue
        needed = frozenset(needed_file(series, point.instance_number) or "" for point in points)
        outcome.findings += check_series(job.study_id, series, needed)
        found, sound = check_points(job.study_id, series, points)
        outcome.findings += found
        placed += sound
        if series.slices:
            outcome.facts.append(series_facts(series))
            read.append(series)
    outcome.findings += check_placed(job.study_id, task, placed)
    outcome.findings += _elsewhere(job, read)
    return outcome


def _undescribed(folder: Path, folders: list[str], job: StudyJob) -> Iterator[Finding]:
    described = {str(series_id) for series_id, _ in job.series}
    for name in folders:
        if name not in described:
            files = len(dicom_files(folder / name))
            series_id = name if name.isdecimal() else None
            yield finding("series_undescribed", f"folder {name} with {files} .dcm files", job.study_id, series_id)


def _missing(folder: Path, study_id: int, series_id: int, description: str, points: Sequence[Point]) -> Finding:
    what = "has no .dcm files" if folder.is_dir() else "does not exist"
    if points:
        message = f"{len(points)} points, but the folder of this {description} {what}"
        return finding("point_series_missing", message, study_id, series_id)
    return finding("series_missing", f"the folder of this {description} {what}", study_id, series_id)


def _elsewhere(job: StudyJob, read: Sequence[SeriesHeaders]) -> Iterator[Finding]:
    """Compares heights with the series that has most points: one of the neck lies far above the others.

    A series that shows what another one shows, which shows what that one shows, is not elsewhere: axial series of the upper
    and of the lower levels have nothing in common but the sagittal ones.
    """
    placed = {series.series_id: series for series in read if series.placed}
    ranges = {series_id: _height_range(series.placed) for series_id, series in placed.items()}
    if len(ranges) < 2:
        return
    number = {series_id: sum(point.series_id == series_id for point in job.points) for series_id in ranges}
    reference = max(ranges, key=lambda series_id: (number[series_id], ranges[series_id][1] - ranges[series_id][0]))
    frame = placed[reference].frame_of_reference
    others = {series_id for series_id in ranges if comparable(placed[series_id].frame_of_reference, frame)}
    waiting = [reference]
    while waiting:
        one = waiting.pop()
        others.discard(one)
        waiting += [other for other in others if _share_height(ranges[one], ranges[other])]
    low, high = ranges[reference]
    for series_id in (series_id for series_id in ranges if series_id in others):
        off = (sum(ranges[series_id]) - low - high) / 2
        where = f"{abs(off):.0f} mm {'above' if off > 0 else 'below'} that of series {reference}"
        yield finding("series_elsewhere", f"its middle lies {where}", job.study_id, series_id)


def _share_height(one: tuple[float, float], other: tuple[float, float]) -> bool:
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return shared >= _SHARED_HEIGHT * min(one[1] - one[0], other[1] - other[0])


def _height_range(slices: Sequence[SliceHeader]) -> tuple[float, float]:
    """Lowest and highest patient coordinate toward the head, mm; an axial slice counts by its middle."""
    heights = []
    for header in slices:
        rows, columns = header.plane.shape
        axial = header.plane.orientation == "axial"
        corners = [[(columns - 1) / 2, (rows - 1) / 2]] if axial else [[0, 0], [columns - 1, rows - 1]]
        heights += header.plane.to_patient(np.array(corners, dtype=np.float64))[..., 2].tolist()
    return min(heights), max(heights)
