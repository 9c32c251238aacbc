"""Opens what somebody exports: a zip, a tar or a folder, with whatever lies in it, and reads the headers of its images."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lumbargrade.archives.formats import NO_ARCHIVE
from lumbargrade.archives.unpack import UnpackedFiles, unpack_archive
from lumbargrade.data.study_zip import POINTS
from lumbargrade.dicom.limits import StudyLimits
from lumbargrade.errors import InputError
from lumbargrade.inference.contents import Contents, StudyContents, read_contents, split_studies
from lumbargrade.notes import Note, join_notes
from lumbargrade.scratch import scratch_error, scratch_folder
from lumbargrade.tree import walk_tree

_FOLDERS_A_FILE = 10


@dataclass(frozen=True)
class Export:
    """What an export holds.

    Attributes:
        folder: Where its files lie.
        name: Of its folder; None for an archive.
        studies: Those with MR images; at least one.
        points: The file that says where to look, if there is one.
        closed_folders: How many folders could not be opened.
        members: Where the files lie among those of the zip; empty if it came as a folder.
        flat: Whether all files are in ``members``: none came out of an archive in the archive, or out of a tar.
        notes: On what could not be unpacked.
    """

    folder: Path
    name: str | None
    studies: list[StudyContents]
    points: Path | None
    closed_folders: int
    members: Mapping[Path, int]
    flat: bool
    notes: tuple[Note, ...]


@contextmanager
def open_export(source: Path | bytes, unpack_in: Path | None, limits: StudyLimits) -> Iterator[Export]:
    """Opens an export; its files can be read as long as the context lasts.

    Args:
        source: A folder, an archive, or an archive's bytes.
        unpack_in: A private folder, for what is unpacked; a scratch folder if not given.

    Raises:
        InputError: It is none of these, is beyond the limits, or holds no MR image.
        ScratchError: It cannot be unpacked, as the disk is full, for example.
        StudyTimeoutError: It takes too long.
    """
    if isinstance(source, Path) and source.is_dir():
        _check_folder(source, limits)
        contents = read_contents(source, skip=POINTS)
        if not contents.archives:
            yield _export(source, source.name, contents, UnpackedFiles({}))
            return
        with _unpacking_folder(unpack_in) as folder:
            unpacked = _unpack_beside(contents, folder, limits)
            yield _export(source, source.name, contents, unpacked)
        return
    if isinstance(source, Path) and not source.is_file():
        raise InputError(
            f"study {source} does not exist", "give a folder of DICOM files or a zip of one", "study-missing"
        )
    with _unpacking_folder(unpack_in) as folder:
        unpacked = unpack_archive(source, folder, limits, keep=POINTS)
        yield _export(folder, None, read_contents(folder, skip=POINTS), unpacked)


def _unpack_beside(contents: Contents, folder: Path, limits: StudyLimits) -> UnpackedFiles:
    """Adds what the archives in a folder hold; what is none that can be opened is counted."""
    nested = damaged = unopened = cut = 0
    for number, path in enumerate(contents.archives):
        place = folder / str(number)
        place.mkdir()
        try:
            unpacked = unpack_archive(path, place, limits)
        except InputError as error:
            unopened += error.code != NO_ARCHIVE
            continue
        damaged += unpacked.damaged
        unopened += unpacked.unopened
        cut += unpacked.cut
        inner = read_contents(place, skip=POINTS)
        nested += len(inner.headers)
        contents.headers += inner.headers
        contents.lost += inner.lost
    return UnpackedFiles({}, nested, damaged, unopened, cut)


def _export(folder: Path, name: str | None, contents: Contents, unpacked: UnpackedFiles) -> Export:
    notes = []
    if count := unpacked.damaged:
        words = (
            "{count} files of the zip could not be unpacked"
            if count > 1
            else "{count} file of the zip could not be unpacked"
        )
        notes.append(Note.make("files-damaged-in-zip", words, count=count))
    if count := unpacked.unopened:
        words = (
            "{count} archives among its files could not be opened"
            if count > 1
            else "{count} archive among its files could not be opened"
        )
        notes.append(Note.make("archives-unopened", words, count=count))
    if unpacked.cut:
        words = "a tar is cut or damaged in its midst, so that it is not known how many images are missing"
        notes.append(Note.make("archive-cut", words))
    try:
        studies = split_studies(contents)
    except InputError as error:
        if not unpacked.unopened:
            raise
        raise InputError(
            f"{error.what}, and {join_notes(notes)}", "unpack it, and send a zip of its DICOM files", error.code
        ) from error
    points = folder / POINTS
    has_points = points if points.is_file() else None
    return Export(
        folder, name, studies, has_points, contents.closed_folders, unpacked.members, not unpacked.nested, tuple(notes)
    )


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
    files = 0
    for count, entry in enumerate(walk_tree(folder)):  # links may make many ways of a few folders
        files += not entry.is_folder
        if max(files, count // _FOLDERS_A_FILE) > limits.files:
            raise InputError(
                f"the study's folder holds more than {limits.files} files",
                f"at most {limits.files} are taken",
                "too-many-files",
            )
