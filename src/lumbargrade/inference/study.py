"""Opens a study from a zip or a folder of DICOM files, with the points to grade if it carries any.

Headers alone decide which images are one study and one series; only :data:`POINTS` may name series and instances by the
numbers of folders and files.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.series_table import find_table, read_descriptions
from lumbargrade.data.study_zip import POINTS
from lumbargrade.dicom.frames import closing_pixels
from lumbargrade.dicom.grouping import group_series
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.limits import LIMITS, StudyLimits, within_limits
from lumbargrade.errors import InputError
from lumbargrade.inference.archive import unpack_study
from lumbargrade.inference.contents import describe_losses, describe_torn, read_contents, select_study
from lumbargrade.inference.points import read_study_points
from lumbargrade.inference.series_keys import key_series
from lumbargrade.notes import Note
from lumbargrade.scratch import scratch_error, scratch_folder
from lumbargrade.tree import files_below


@dataclass(frozen=True)
class Study:
    """The readable MR images of one study.

    Attributes:
        study_id: As the points name it, else the folder, else the study's UID.
        series: Image headers by series: RSNA's number where its folder holds the series and nothing else, else the UID.
        points: What to grade where, as the coordinates table has it; None if the study carries none.
        notes: On files that were left out or could not be read, and on series that are not graded on.
        numbers: Keys of ``series`` by RSNA's numbers, where a number names one series; None where it names several.
        descriptions: What the dataset's own table says of series, by key, where the study lies in a dataset that has one.
        torn: Keys of single slices of which it is not known what series they are of; no place is looked for there.
        members: Where the files lie among those of the study's zip; empty if it came as a folder.
    """

    study_id: str
    series: dict[str, list[SliceHeader]] = field(default_factory=dict)
    points: pd.DataFrame | None = None
    notes: Sequence[Note] = ()
    numbers: dict[str, str | None] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    torn: frozenset[str] = frozenset()
    members: Mapping[Path, int] = field(default_factory=dict)

    def key(self, series_id: int | str) -> str | None:
        """How ``series`` calls a series that is given by RSNA's number, or by its key; None if that is not one series."""
        wanted = str(series_id)
        if wanted in self.series:
            return wanted
        if wanted in self.numbers:
            key = self.numbers[wanted]
            return key if key in self.series else None
        ending = [key for key in self.series if key.endswith(f".{wanted}")]
        return ending[0] if len(ending) == 1 else None


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
        InputError: It is none of these, is beyond the limits, holds no MR image, or images of several studies or patients.
        ScratchError: It cannot be unpacked, as the disk is full, for example.
        StudyTimeoutError: It takes too long.
    """
    with within_limits(limits, seconds), closing_pixels():
        if isinstance(source, Path) and source.is_dir():
            _check_folder(source, limits)
            yield _read_folder(source, task, source.name)
            return
        if isinstance(source, Path) and not source.is_file():
            raise InputError(
                f"study {source} does not exist", "give a folder of DICOM files or a zip of one", "study-missing"
            )
        with _unpacking_folder(unpack_in) as folder:
            unpacked = unpack_study(source, folder, limits)
            study = replace(_read_folder(folder, task, None), members=unpacked.members)
            if unpacked.damaged:
                study = replace(study, notes=[_damaged_note(unpacked.damaged), *study.notes])
            yield study


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
    files = len(files_below(folder))
    if files > limits.files:
        raise InputError(
            f"the study's folder holds {files} files", f"at most {limits.files} are taken", "too-many-files"
        )


def _read_folder(folder: Path, task: GradingTask, name: str | None) -> Study:
    contents = read_contents(folder, skip=POINTS)
    headers, notes = select_study(contents.headers)
    groups = group_series(headers)
    series, numbers, torn = key_series(groups)
    notes += describe_losses(contents, groups) + describe_torn(groups)
    points = read_study_points(folder / POINTS, task) if (folder / POINTS).is_file() else None
    study_id = _study_id(points, name, headers[0].study_uid)
    study = Study(study_id, series, points, notes, numbers, torn=torn)
    return replace(study, descriptions=_describe_by_table(study, folder, task))


def _describe_by_table(study: Study, folder: Path, task: GradingTask) -> dict[str, str]:
    """What the dataset's table says of the study's series; a table that cannot be read tells nothing."""
    table = find_table(folder)
    if table is None:
        return {}
    try:
        told = read_descriptions(table, folder.name, task)
    except InputError:
        return {}
    keys = {study.numbers.get(number): text for number, text in told.items()}
    return {key: text for key, text in keys.items() if key is not None}


def _damaged_note(files: int) -> Note:
    words = (
        "{count} file of the zip could not be unpacked"
        if files == 1
        else "{count} files of the zip could not be unpacked"
    )
    return Note.make("files-damaged-in-zip", words, count=files)


def _study_id(points: pd.DataFrame | None, name: str | None, uid: str) -> str:
    if points is not None and len(points):
        ids = points["study_id"].unique()
        if len(ids) > 1:
            raise InputError(
                f"{POINTS} names {len(ids)} studies", "a study is graded on its own", "points-of-several-studies"
            )
        return str(ids[0])
    return name if name is not None and name.isdecimal() else uid
