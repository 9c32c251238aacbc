"""Opens a study from a zip or a folder of DICOM files, with the points to grade if it carries any.

A zip comes from anybody: its size is bounded, and no name in it is ever used as a path. Headers alone decide which images
are one study and one series; only :data:`POINTS` may name series and instances by the numbers of folders and files.
"""

import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from lumbargrade.dataset.bundle import POINTS
from lumbargrade.dataset.tables import read_points
from lumbargrade.dicom.grouping import group_series
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.magic import START_BYTES
from lumbargrade.dicom.probe import may_be_dicom
from lumbargrade.errors import InputError
from lumbargrade.serving.contents import describe_losses, describe_torn, read_contents, select_study
from lumbargrade.serving.series_keys import key_series
from lumbargrade.task import GradingTask

_OTHERS = "files"

MAX_FILES = 20_000
MAX_BYTES = 4 << 30
MAX_RATIO = 200
"""A study is refused above these: files, bytes when unpacked, and times that its zip grows when it is unpacked."""


@dataclass(frozen=True)
class Study:
    """The readable MR images of one study.

    Attributes:
        study_id: As the points name it, else the folder, else the study's UID.
        series: Image headers by series: RSNA's number where its folder holds the series and nothing else, else the UID.
        points: What to grade where, as the coordinates table has it; None if the study carries none.
        notes: Sentences on files that were left out or could not be read, and on series that are not graded on.
        numbers: Keys of ``series`` by RSNA's numbers, where a number names one series; None where it names several.
        torn: Keys of single slices of which it is not known what series they are of; no place is looked for there.
    """

    study_id: str
    series: dict[str, list[SliceHeader]] = field(default_factory=dict)
    points: pd.DataFrame | None = None
    notes: Sequence[str] = ()
    numbers: dict[str, str | None] = field(default_factory=dict)
    torn: frozenset[str] = frozenset()

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
def open_study(source: Path | bytes, task: GradingTask) -> Iterator[Study]:
    """Opens a study; its pixels can be read as long as the context lasts.

    Args:
        source: A folder, a zip file, or a zip's bytes.

    Raises:
        InputError: It is none of these, is too large, holds no MR image, or images of several studies or patients.
    """
    if isinstance(source, Path) and source.is_dir():
        yield _read_folder(source, task, source.name)
        return
    if isinstance(source, Path) and not source.is_file():
        raise InputError(f"study {source} does not exist; give a folder of DICOM files or a zip of one")
    with tempfile.TemporaryDirectory(prefix="lumbargrade-study-") as name:
        _unpack(source, Path(name))
        yield _read_folder(Path(name), task, None)


@contextmanager
def opened_archive(source: Path | bytes) -> Iterator[zipfile.ZipFile]:
    """Opens a zip; what is wrong with it is told as long as the context lasts.

    Raises:
        InputError: It is no zip, or cannot be unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
        raise InputError("the study is not a zip file that can be unpacked; send a zip of its DICOM files") from error


def check_archive(archive: zipfile.ZipFile, max_files: int | None = None) -> list[zipfile.ZipInfo]:
    """Returns a zip's files, if it may be unpacked.

    Args:
        max_files: :data:`MAX_FILES` if not given.

    Raises:
        InputError: It is encrypted, holds too many files, or becomes too large.
    """
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    _check_size(entries, max_files or MAX_FILES)
    return entries


def _unpack(source: Path | bytes, folder: Path) -> None:
    """Unpacks a zip's DICOM files under names of our own; files of one folder stay together."""
    with opened_archive(source) as archive:
        places: dict[PurePosixPath, str] = {}
        for count, entry in enumerate(check_archive(archive)):
            name = PurePosixPath(entry.filename)
            place = places.setdefault(name.parent, str(len(places)))
            target = folder / _own_name(name, place, count)
            if target.exists():  # the zip has one name twice
                target = folder / place / _OTHERS / f"f{count}.dcm"
            with archive.open(entry) as packed:
                start = packed.read(START_BYTES)
                if name.name != POINTS and not may_be_dicom(start, name.suffix):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as unpacked:
                    unpacked.write(start)
                    shutil.copyfileobj(packed, unpacked)


def _check_size(entries: list[zipfile.ZipInfo], max_files: int) -> None:
    if any(entry.flag_bits & 1 for entry in entries):
        raise InputError("the study's zip is encrypted; send it without a password")
    size, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if len(entries) > max_files:
        raise InputError(f"the study's zip holds {len(entries)} files; at most {max_files} are taken")
    if size > MAX_BYTES or size > MAX_RATIO * max(packed, 1 << 20):
        raise InputError(
            f"the study's zip unpacks to {size >> 20} MiB from {packed >> 20} MiB, which no real study does"
        )


def _own_name(name: PurePosixPath, place: str, count: int) -> str:
    """Numbers where RSNA's layout has them, counters elsewhere, in a folder for each folder of the zip."""
    if name.name == POINTS:
        return POINTS
    series = name.parent.name
    if series.isdecimal() and name.stem.isdecimal():
        return f"{place}/{int(series)}/{int(name.stem)}.dcm"
    return f"{place}/{_OTHERS}/f{count}.dcm"


def _read_folder(folder: Path, task: GradingTask, name: str | None) -> Study:
    contents = read_contents(folder, skip=POINTS)
    headers, notes = select_study(contents.headers)
    groups = group_series(headers)
    series, numbers, torn = key_series(groups)
    notes += describe_losses(contents, groups) + describe_torn(groups)
    points = read_points(folder / POINTS, task) if (folder / POINTS).is_file() else None
    study_id = _study_id(points, name, headers[0].study_uid)
    return Study(study_id, series, points, notes, numbers, torn)


def _study_id(points: pd.DataFrame | None, name: str | None, uid: str) -> str:
    if points is not None and len(points):
        ids = points["study_id"].unique()
        if len(ids) > 1:
            raise InputError(f"{POINTS} names {len(ids)} studies; a study is graded on its own")
        return str(ids[0])
    return name if name is not None and name.isdecimal() else uid
