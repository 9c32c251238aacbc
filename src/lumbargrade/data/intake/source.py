"""Reads what a source holds: a dataset in RSNA layout, or loose DICOM files in a folder or a zip."""

import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from pydicom import Dataset

from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.report import Line, Progress
from lumbargrade.data.layout import IMAGES, RsnaDataset, open_dataset
from lumbargrade.data.tables import LABELS
from lumbargrade.deidentify.profile import HEADER_TAGS, naming_words, refuse_unfit
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.identity import read_identity
from lumbargrade.dicom.parse import parse_header, parsing
from lumbargrade.errors import InputError
from lumbargrade.tree import walk_tree

MAX_RATIO = 200
"""Times that a zip may grow when it is unpacked."""


@dataclass(frozen=True)
class SourceFile:
    """A DICOM image of a source.

    Attributes:
        series: Its series: the UID, or the number of the folder in RSNA layout.
        number: By what it may be called: the name in RSNA layout, else InstanceNumber.
        frames: How many it has.
    """

    path: Path
    series: str
    sop_uid: str
    number: int | None
    frames: int = 1


@dataclass
class SourceStudy:
    """A study of a source.

    Attributes:
        uid: StudyInstanceUID.
        study_id: Its number in RSNA layout.
        accession: AccessionNumber.
        patients: What tells its patient from others; more than one if the files contradict each other.
        words: Lower-case words that name the patient.
        descriptions: Series descriptions by series, in RSNA layout.
    """

    uid: str
    study_id: int | None = None
    accession: str = ""
    patients: set[tuple[str, ...]] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    descriptions: dict[str, str] = field(default_factory=dict)
    files: list[SourceFile] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """What a source holds.

    Attributes:
        dataset: Its tables, in RSNA layout.
        studies: In an order that does not depend on how their files are called.
        lines: Files that were left out, with the reason.
    """

    root: Path
    dataset: RsnaDataset | None
    studies: list[SourceStudy]
    lines: list[Line]

    def name(self, path: Path) -> str:
        """A file or folder as the source calls it."""
        return path.relative_to(self.root).as_posix()


@contextmanager
def open_source(path: Path, task: GradingTask, scratch: Path, progress: Progress) -> Iterator[Source]:
    """Opens a source; its files can be read as long as the context lasts.

    Args:
        path: A folder, in RSNA layout or of loose files, or a zip of loose files.
        scratch: Folder into which a zip is unpacked; it is gone afterwards.
        progress: Called with what is read: studies in RSNA layout, else files.

    Raises:
        InputError: It is none of these.
    """
    if path.is_dir():
        if (path / LABELS).is_file() and (path / IMAGES).is_dir():
            yield _read_dataset(path, task, progress)
        else:
            yield _read_loose(path, progress)
        return
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no folder, zip or CSV table", "give where the studies lie", "source-missing")
    scratch.mkdir(mode=0o700)
    try:
        _unpack(path, scratch)
        yield _read_loose(scratch, progress)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unpack(path: Path, folder: Path) -> None:
    """Unpacks a zip under names of our own, so that no name in it is ever used as a path."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            size, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
            if any(entry.flag_bits & 1 for entry in entries):
                raise InputError(f"{path} is encrypted", "unpack it and give the folder", "source-zip-encrypted")
            if size > MAX_RATIO * max(packed, 1 << 20):
                raise InputError(
                    f"{path} unpacks to {size >> 20} MiB from {packed >> 20} MiB, which no export does",
                    "",
                    "source-zip-bomb",
                )
            for count, entry in enumerate(entries):
                with archive.open(entry) as member, (folder / f"member-{count:06d}").open("wb") as target:
                    shutil.copyfileobj(member, target)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise InputError(
            f"{path} is a zip that cannot be unpacked", "make it again or give the folder", "source-zip-damaged"
        ) from error


def _read_dataset(root: Path, task: GradingTask, progress: Progress) -> Source:
    dataset = open_dataset(root, task)
    source = Source(root, dataset, [], [])
    for done, study_id in enumerate(dataset.labels["study_id"]):
        progress(done, len(dataset.labels))
        rows = dataset.series[dataset.series["study_id"] == study_id]
        descriptions = {
            str(series): str(told) for series, told in zip(rows["series_id"], rows["series_description"], strict=True)
        }
        study = SourceStudy("", int(study_id), descriptions=descriptions)
        for series_id in rows["series_id"]:
            for path in dataset.files(int(study_id), int(series_id)):
                _take(source, study, path, str(series_id))
        source.studies.append(study)
    return source


def _read_loose(root: Path, progress: Progress) -> Source:
    source = Source(root, None, [], [])
    studies: dict[str, SourceStudy] = {}
    paths: list[Path] = []
    for entry in walk_tree(root):
        if entry.problem is not None:
            source.lines.append(_left_out(source, entry.path, f"it {entry.problem}"))
        elif not entry.is_folder:
            paths.append(entry.path)
    for done, path in enumerate(sorted(paths)):
        progress(done, len(paths))
        header = _header(source, path)
        if header is None:
            continue
        uids = [
            str(header.get(keyword) or "") for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        ]
        if not all(uids):
            source.lines.append(
                _left_out(source, path, "it has no StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID")
            )
            continue
        study = studies.setdefault(uids[0], SourceStudy(uids[0]))
        _note(study, header)
        number, frames = _integer(header.get("InstanceNumber")), _integer(header.get("NumberOfFrames")) or 1
        study.files.append(SourceFile(path, uids[1], uids[2], number, frames))
    source.studies.extend(studies[uid] for uid in sorted(studies))
    return source


def _take(source: Source, study: SourceStudy, path: Path, series: str) -> None:
    header = _header(source, path)
    if header is None:
        return
    study.uid = study.uid or str(header.get("StudyInstanceUID") or f"study {study.study_id}")
    _note(study, header)
    sop_uid = str(header.get("SOPInstanceUID") or f"{study.study_id}/{series}/{path.stem}")
    number = int(path.stem) if path.stem.isdecimal() else _integer(header.get("InstanceNumber"))
    study.files.append(SourceFile(path, series, sop_uid, number, _integer(header.get("NumberOfFrames")) or 1))


def _header(source: Source, path: Path) -> Dataset | None:
    try:
        header = parse_header(path, HEADER_TAGS)
        with parsing(path):
            refuse_unfit(header, path.name)
            for keyword in ("StudyInstanceUID", "PatientID", "InstanceNumber"):
                str(header.get(keyword))  # a damaged value shows when it is looked at
        return header
    except UnreadableFile as error:
        source.lines.append(_left_out(source, path, without_name(error, path), error.code))
        return None


def without_name(error: UnreadableFile, path: Path) -> str:
    """What is wrong with a file, without its name, which may name a patient; nobody is asked to send it again."""
    told = str(error) if error.code == "file-unreadable" else error.what
    return re.sub(rf"(?<!\w){re.escape(path.name)}(?!\w)", "it", told, count=1)


def _left_out(source: Source, path: Path, reason: str, code: str = "") -> Line:
    return Line(source.name(path), None, "left out", reason, is_study=False, code=code)


def _note(study: SourceStudy, header: Dataset) -> None:
    study.accession = study.accession or str(header.get("AccessionNumber") or "").strip()
    study.words |= naming_words(header)
    study.patients.add(read_identity(header))


def _integer(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def points_of(source: Source, study: SourceStudy) -> pd.DataFrame | None:
    """The points that a source in RSNA layout has for a study."""
    if source.dataset is None:
        return None
    points = source.dataset.points
    return points[points["study_id"] == study.study_id]
