"""Reads what a source holds: a dataset in RSNA layout, or loose DICOM files in a folder or in archives."""

import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from lumbargrade.archives.formats import is_archive
from lumbargrade.archives.unpack import unpack_archive
from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.report import Line
from lumbargrade.data.layout import IMAGES, RsnaDataset, open_dataset
from lumbargrade.data.tables import LABELS
from lumbargrade.deidentify.profile import HEADER_TAGS, naming_words, refuse_unfit
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.identity import read_identity
from lumbargrade.dicom.limits import StudyLimits
from lumbargrade.dicom.parse import parse_header, parsing
from lumbargrade.dicom.values import read_integer
from lumbargrade.errors import InputError
from lumbargrade.processes import Progress
from lumbargrade.tree import shown_name, walk_tree

_LIMITS = StudyLimits(files=5_000_000, unpacked_bytes=1 << 44)
"""Of an archive with many studies."""


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
        unpacked: What archives are called, by where they were unpacked.
    """

    root: Path
    dataset: RsnaDataset | None
    studies: list[SourceStudy]
    lines: list[Line]
    unpacked: dict[Path, str] = field(default_factory=dict)

    def name(self, path: Path) -> str:
        """A file or folder as the source calls it; one that came out of an archive by that one's name and a number."""
        for folder, archive in self.unpacked.items():
            if path.is_relative_to(folder):
                return archive if path == folder else f"{archive}/{path.relative_to(folder).as_posix()}"
        return shown_name(path.relative_to(self.root))


@contextmanager
def open_source(path: Path, task: GradingTask, scratch: Path, progress: Progress) -> Iterator[Source]:
    """Opens a source; its files can be read as long as the context lasts.

    Args:
        path: A folder, in RSNA layout or of loose files and archives, or an archive: a zip or a tar.
        scratch: Folder into which archives are unpacked; it is gone afterwards.
        progress: Called with what is read: studies in RSNA layout, else files.

    Raises:
        InputError: It is none of these.
    """
    if path.is_dir() and (path / LABELS).is_file() and (path / IMAGES).is_dir():
        yield _read_dataset(path, task, progress)
        return
    if not path.is_dir() and not is_archive(path) and not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no folder, zip, tar or CSV table", "give where the studies lie", "source-missing")
    try:
        if path.is_dir():
            source = Source(path, None, [], [])
            files = _loose_files(source)
            for number, archive in enumerate([file for file in files if is_archive(file)]):
                files.remove(archive)
                try:
                    files += _unpack(source, archive, scratch / str(number))
                except InputError as error:
                    source.lines.append(_left_out(source, archive, error.what, error.code))
        else:
            source = Source(path.parent, None, [], [])
            files = _unpack(source, path, scratch / "0")
        yield _read_loose(source, files, progress)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _loose_files(source: Source) -> list[Path]:
    files: list[Path] = []
    for entry in walk_tree(source.root):
        if entry.problem is not None:
            source.lines.append(_left_out(source, entry.path, f"it {entry.problem}"))
        elif not entry.is_folder:
            files.append(entry.path)
    return sorted(files)


def _unpack(source: Source, archive: Path, folder: Path) -> list[Path]:
    """Unpacks an archive's DICOM files; what cannot be unpacked of it is told."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir()
    unpacked = unpack_archive(archive, folder, _LIMITS)
    source.unpacked[folder] = source.name(archive)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for count, what in (
        (unpacked.damaged, "its files cannot be unpacked"),
        (unpacked.unopened, "the archives in it cannot be opened"),
    ):
        if count:
            source.lines.append(_left_out(source, archive, f"{count} of {what}"))
    if unpacked.cut:
        source.lines.append(_left_out(source, archive, "it is cut or damaged in its midst, what follows is missing"))
    if not files:
        source.lines.append(_left_out(source, archive, "it holds no DICOM file"))
    return files


def _read_dataset(root: Path, task: GradingTask, progress: Progress) -> Source:
    dataset = open_dataset(root, task)
    source = Source(root, dataset, [], [])
    for done, study_id in enumerate(dataset.labels["study_id"]):
        progress(done, len(dataset.labels))
        rows = dataset.series[dataset.series["study_id"] == study_id]
        descriptions = {
            str(series): str(text) for series, text in zip(rows["series_id"], rows["series_description"], strict=True)
        }
        study = SourceStudy("", int(study_id), descriptions=descriptions)
        for series_id in rows["series_id"]:
            for path in dataset.files(int(study_id), int(series_id)):
                _take(source, study, path, str(series_id))
        source.studies.append(study)
    return source


def _read_loose(source: Source, paths: Sequence[Path], progress: Progress) -> Source:
    studies: dict[str, SourceStudy] = {}
    for done, path in enumerate(paths):
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
        number, frames = read_integer(header.get("InstanceNumber")), read_integer(header.get("NumberOfFrames")) or 1
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
    number = int(path.stem) if path.stem.isdecimal() else read_integer(header.get("InstanceNumber"))
    study.files.append(SourceFile(path, series, sop_uid, number, read_integer(header.get("NumberOfFrames")) or 1))


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
    sentence = str(error) if error.code == "file-unreadable" else error.what
    return re.sub(rf"(?<!\w){re.escape(path.name)}(?!\w)", "it", sentence, count=1)


def _left_out(source: Source, path: Path, reason: str, code: str = "") -> Line:
    return Line(source.name(path), None, "left out", reason, is_study=False, code=code)


def _note(study: SourceStudy, header: Dataset) -> None:
    study.accession = study.accession or str(header.get("AccessionNumber") or "").strip()
    study.words |= naming_words(header)
    study.patients.add(read_identity(header))
