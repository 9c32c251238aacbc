"""Opens a study from a zip or a folder of DICOM files, with the points to grade if it carries any."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from lumbargrade.dataset.bundle import POINTS
from lumbargrade.dicom.headers import SliceHeader, UnreadableFile, read_headers
from lumbargrade.dicom.limits import LIMITS, StudyLimits, within_limits
from lumbargrade.errors import InputError
from lumbargrade.scratch import scratch_error, scratch_folder
from lumbargrade.serving.archive import unpack_study
from lumbargrade.serving.points import read_study_points
from lumbargrade.task import GradingTask


@dataclass(frozen=True)
class Study:
    """The readable images of a study.

    Attributes:
        study_id: As the points name it, else the folder, else the study's UID.
        series: Image headers by series: RSNA's number where the folder has one, else the series' UID.
        points: What to grade where, as the coordinates table has it; nothing if the study carries none.
        notes: What a reader should know of how it was read.
    """

    study_id: str
    series: dict[str, list[SliceHeader]] = field(default_factory=dict)
    points: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def key(self, series_id: int | str) -> str | None:
        """How ``series`` calls a series that is given by RSNA's number, or by its key."""
        wanted = str(series_id)
        return next((key for key in self.series if key == wanted or key.endswith(f".{wanted}")), None)


@contextmanager
def open_study(
    source: Path | bytes,
    task: GradingTask,
    unpack_in: Path | None = None,
    limits: StudyLimits = LIMITS,
    seconds: float | None = None,
) -> Iterator[Study]:
    """Opens a study; its pixels can be read as long as the context lasts.

    Args:
        source: A folder, a zip file, or a zip's bytes.
        unpack_in: A private folder, for a zip; a scratch folder of its own if not given.
        limits: What it may hold, and how long work on it may take until the context ends.
        seconds: As long as that, and not ``limits.seconds``.

    Raises:
        InputError: It is none of these, is beyond the limits, or holds no image.
        ScratchError: It cannot be unpacked, as the disk is full, for example.
        StudyTimeoutError: It takes too long.
    """
    with within_limits(limits, seconds):
        if isinstance(source, Path) and source.is_dir():
            _check_folder(source, limits)
            yield _read_folder(source, task, source.name)
            return
        if isinstance(source, Path) and not source.is_file():
            raise InputError(f"study {source} does not exist; give a folder of DICOM files or a zip of one")
        with _unpacking_folder(unpack_in) as folder:
            damaged = unpack_study(source, folder, limits)
            study = _read_folder(folder, task, None)
            yield replace(study, notes=(_damaged_note(damaged), *study.notes)) if damaged else study


@contextmanager
def _unpacking_folder(beside: Path | None) -> Iterator[Path]:
    if beside is None:
        with scratch_folder("study") as folder:
            yield folder
        return
    try:
        made = tempfile.TemporaryDirectory(prefix="unpacked-", dir=beside, ignore_cleanup_errors=True)
    except OSError as error:
        raise scratch_error(error, beside) from error
    with made as name:
        yield Path(name)


def _check_folder(folder: Path, limits: StudyLimits) -> None:
    files = sum(path.is_file() for path in folder.rglob("*"))
    if files > limits.files:
        raise InputError(f"the study's folder holds {files} files; at most {limits.files} are taken")


def _read_folder(folder: Path, task: GradingTask, name: str | None) -> Study:
    folders: dict[Path, list[SliceHeader]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != POINTS):
        try:
            headers = read_headers(path)
        except UnreadableFile:
            continue
        folders.setdefault(path.parent, []).extend(headers)
    if not folders:
        raise InputError("the study holds no DICOM image that can be read")
    series: dict[str, list[SliceHeader]] = {}
    for place, headers in folders.items():
        is_series = place.name.isdecimal() and len({header.series_uid for header in headers}) == 1
        for header in headers:
            series.setdefault(place.name if is_series else header.series_uid, []).append(header)
    uid = next((header.study_uid for headers in series.values() for header in headers if header.study_uid), "")
    points = read_study_points(folder / POINTS, task) if (folder / POINTS).is_file() else None
    return Study(_study_id(points, name, uid), series, points)


def _damaged_note(files: int) -> str:
    return f"{files} {'file' if files == 1 else 'files'} of the zip could not be unpacked"


def _study_id(points: pd.DataFrame | None, name: str | None, uid: str) -> str:
    if points is not None and len(points):
        ids = points["study_id"].unique()
        if len(ids) > 1:
            raise InputError(f"{POINTS} names {len(ids)} studies; a study is graded on its own")
        return str(ids[0])
    return name if name is not None and name.isdecimal() else uid
