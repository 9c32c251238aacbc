"""Opens studies from an archive or a folder of DICOM files, with the points to grade if there are any.

Headers alone decide which images are one study and one series; only :data:`POINTS` may name series and instances by the
numbers of folders and files.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.series_table import find_table, read_descriptions
from lumbargrade.data.study_zip import POINTS
from lumbargrade.dicom.frames import closing_pixels
from lumbargrade.dicom.grouping import group_series
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.limits import LIMITS, StudyLimits, within_limits
from lumbargrade.errors import InputError
from lumbargrade.inference.contents import StudyContents, describe_losses, describe_torn, select_images
from lumbargrade.inference.export import Export, open_export
from lumbargrade.inference.points import read_study_points
from lumbargrade.inference.series_keys import key_series
from lumbargrade.notes import Note


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


class SeveralStudiesError(InputError):
    """What should be one study is several.

    Args:
        study_ids: As the studies' answers would name them, in the order of their days.
    """

    def __init__(self, study_ids: Sequence[str]) -> None:
        super().__init__(f"the files belong to {len(study_ids)} studies", "grade each on its own", "several-studies")
        self.study_ids = tuple(study_ids)

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[str, ...]]]:
        """Between processes it is made anew of its ids."""
        return type(self), (self.study_ids,)


@dataclass(frozen=True)
class UnopenedStudy:
    """A study of an export whose headers are read.

    Attributes:
        study_id: As its answer will name it.
    """

    study_id: str
    contents: StudyContents
    _points: pd.DataFrame | None
    _export: Export
    _task: GradingTask

    @property
    def export_notes(self) -> tuple[Note, ...]:
        """On what of the whole export could not be unpacked."""
        return self._export.notes

    @contextmanager
    def open(self, limits: StudyLimits = LIMITS, seconds: float | None = None) -> Iterator[Study]:
        """Opens it; its pixels can be read as long as the context lasts, and that of its export.

        Args:
            limits: How long work on it may take until the context ends, above all.
            seconds: As long as that, and not ``limits.seconds``.

        Raises:
            InputError: Its images are of several patients, or its points are wrong.
            StudyTimeoutError: It takes too long.
        """
        with within_limits(limits, seconds), closing_pixels():
            yield _read_study(self.study_id, self.contents, self._points, self._export, self._task)


@contextmanager
def open_studies(
    source: Path | bytes,
    task: GradingTask,
    unpack_in: Path | None = None,
    limits: StudyLimits = LIMITS,
    seconds: float | None = None,
) -> Iterator[list[UnopenedStudy]]:
    """Finds the studies of an export, each to be opened for itself as long as the context lasts.

    Args:
        source: A folder, an archive (a zip or a tar), or an archive's bytes.
        unpack_in: A private folder, for what is unpacked; a scratch folder of its own if not given.
        limits: What it may hold, and how long finding them may take.
        seconds: As long as that, and not ``limits.seconds``.

    Raises:
        InputError: It is none of these, is beyond the limits, holds no MR image, or points beside several studies.
        ScratchError: It cannot be unpacked, as the disk is full, for example.
        StudyTimeoutError: It takes too long.
    """
    with ExitStack() as stack:
        with within_limits(limits, seconds):
            export = stack.enter_context(open_export(source, unpack_in, limits))
            studies = export.studies
            if len(studies) > 1 and export.points is not None:
                raise InputError(
                    f"the files belong to {len(studies)} studies, and {POINTS} says where to look in one",
                    "grade each on its own",
                    "points-beside-several-studies",
                )
            points = None if export.points is None else read_study_points(export.points, task)
            name = export.name if len(studies) == 1 else None
            found = [UnopenedStudy(_study_id(points, name, each.uid), each, points, export, task) for each in studies]
        yield sorted(found, key=lambda study: (study.contents.date, study.study_id))


@contextmanager
def open_study(
    source: Path | bytes,
    task: GradingTask,
    limits: StudyLimits = LIMITS,
    seconds: float | None = None,
    study_id: str | None = None,
) -> Iterator[Study]:
    """Opens one study of an export; its pixels can be read as long as the context lasts.

    Args:
        source, limits: As :func:`open_studies` takes them; ``seconds`` until the context ends.
        study_id: Which one of several; not to be given if there is one only.

    Raises:
        InputError: As there, or its images are of several patients.
        SeveralStudiesError: It holds several studies, and nobody says which one, or the one that is wanted is not there.
        ScratchError: It cannot be unpacked, as the disk is full, for example.
        StudyTimeoutError: It takes too long.
    """
    end = time.monotonic() + (limits.seconds if seconds is None else seconds)
    with open_studies(source, task, limits=limits, seconds=seconds) as studies:
        wanted = studies if study_id is None else [study for study in studies if study.study_id == study_id]
        if len(wanted) != 1:
            raise SeveralStudiesError([study.study_id for study in studies])
        with wanted[0].open(limits, end - time.monotonic()) as study:
            yield study


def _read_study(
    study_id: str, contents: StudyContents, points: pd.DataFrame | None, export: Export, task: GradingTask
) -> Study:
    headers, notes = select_images(contents)
    groups = group_series(headers)
    series, numbers, torn = key_series(groups)
    notes += describe_losses(contents.lost, export.closed_folders, groups) + describe_torn(groups)
    members = {header.path: export.members[header.path] for header in headers if header.path in export.members}
    descriptions = _describe_by_table(numbers, export.folder, task)
    return Study(study_id, series, points, [*export.notes, *notes], numbers, descriptions, torn, members)


def _describe_by_table(numbers: Mapping[str, str | None], folder: Path, task: GradingTask) -> dict[str, str]:
    """What the dataset's table says of the study's series; a table that cannot be read says nothing."""
    table = find_table(folder)
    with suppress(InputError):
        texts = read_descriptions(table, folder.name, task) if table is not None else {}
        return {key: text for number, text in texts.items() if (key := numbers.get(number)) is not None}
    return {}


def _study_id(points: pd.DataFrame | None, name: str | None, uid: str) -> str:
    if points is not None and len(points):
        ids = points["study_id"].unique()
        if len(ids) > 1:
            raise InputError(
                f"{POINTS} names {len(ids)} studies", "a study is graded on its own", "points-of-several-studies"
            )
        return str(ids[0])
    return name if name is not None and name.isdecimal() else uid
