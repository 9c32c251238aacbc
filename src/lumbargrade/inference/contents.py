"""What a folder holds of one study: its MR images, and what is said of the files that could not be read.

Whatever door a study comes through, it is decided here which images are graded.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lumbargrade.dicom.errors import NotAnImage
from lumbargrade.dicom.grouping import SeriesGroup, name_series
from lumbargrade.dicom.headers import SliceHeader, UnreadableFile, read_headers
from lumbargrade.dicom.identity import count_patients
from lumbargrade.dicom.modality import is_mr, name_modalities
from lumbargrade.dicom.probe import Probe, begins_as_dicom, probe_file
from lumbargrade.errors import InputError
from lumbargrade.notes import Note


@dataclass(frozen=True)
class LostFile:
    """A file that could not be read; ``probe`` is what its beginning still tells."""

    path: Path
    probe: Probe = field(default_factory=Probe)


@dataclass
class Contents:
    """The files of a folder.

    Attributes:
        headers: Of all images, of whatever study and device.
        lost: Files that are DICOM images, or may be, and could not be read.
        closed_folders: How many folders could not be opened.
    """

    headers: list[SliceHeader] = field(default_factory=list)
    lost: list[LostFile] = field(default_factory=list)
    closed_folders: int = 0


def read_contents(folder: Path, skip: str) -> Contents:
    """Reads the headers of a folder's DICOM images; a file that does not begin as DICOM is not parsed.

    Args:
        skip: Name of files that are no images.
    """
    contents = Contents()
    for path in _walk(folder, contents):
        if path.name == skip:
            continue
        try:
            if begins_as_dicom(path):
                contents.headers += read_headers(path)
        except OSError:
            contents.lost.append(LostFile(path))
        except UnreadableFile as error:
            probe = probe_file(path)
            if is_mr(probe.modality) and (probe.mr_class or not isinstance(error, NotAnImage)):
                contents.lost.append(LostFile(path, probe))
    return contents


def _walk(folder: Path, contents: Contents) -> Iterator[Path]:
    """The files of a folder and its subfolders, linked ones too, each folder once."""
    seen: set[tuple[int, int]] = set()

    def on_error(_: OSError) -> None:
        contents.closed_folders += 1

    for root, folders, files in os.walk(folder, onerror=on_error, followlinks=True):
        place = Path(root).stat()
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        folders.sort()
        yield from (Path(root) / name for name in sorted(files))


def select_study(headers: Sequence[SliceHeader]) -> tuple[list[SliceHeader], list[Note]]:
    """Selects the MR images of the one study that there is.

    Returns:
        The images, and notes on those that are left out.

    Raises:
        InputError: There is no image, none of MR, or there are several studies or patients.
    """
    if not headers:
        raise InputError("the study holds no DICOM image that can be read", "", "study-without-readable-image")
    kept = [header for header in headers if is_mr(header.modality)]
    others = {header.path: header.modality for header in headers if not is_mr(header.modality)}
    if not kept:
        kind = Counter(others.values()).most_common(1)[0][0]
        raise InputError(
            f"the study holds {_name_kind(kind)}, not MR", "send an MRI of the lumbar spine", "study-not-mr"
        )
    notes: list[Note] = []
    if others:
        notes.append(
            Note.make(
                "not-mr-left-out",
                "{images} left out, as only MR images are graded",
                images=name_modalities(others.values()),
            )
        )
    uids = {header.study_uid for header in kept} - {""}
    if len(uids) > 1:
        raise InputError(f"the files belong to {len(uids)} studies", "grade each on its own", "several-studies")
    patients = count_patients({header.patient for header in kept})
    if patients > 1:
        raise InputError(
            f"the files of the study are of {patients} patients", "send those of one patient", "several-patients"
        )
    nameless = [header for header in kept if not header.study_uid]
    if uids and nameless:
        count = len({header.path for header in nameless})
        kept = [header for header in kept if header.study_uid]
        words = (
            "{count} images without a StudyInstanceUID left out, as nothing says that they are of this study"
            if count > 1
            else "{count} image without a StudyInstanceUID left out, as nothing says that it is of this study"
        )
        notes.append(Note.make("images-without-study-uid", words, count=count))
    return kept, notes


def _name_kind(modality: str) -> str:
    return name_modalities([modality] * 2).removeprefix("2 ")


def describe_losses(contents: Contents, groups: Sequence[SeriesGroup]) -> list[Note]:
    """Says how many files of which series could not be read; what no header tells is not guessed."""
    there = {header.sop_uid for group in groups for header in group.slices if header.sop_uid}
    counts: Counter[str] = Counter()
    for lost in contents.lost:
        if lost.probe.sop_uid not in there or not lost.probe.sop_uid:
            counts[_name_origin(lost, groups)] += 1
    words = "{count} file{origin} could not be read", "{count} files{origin} could not be read"
    notes = [
        Note.make("files-unreadable", words[count > 1], count=count, origin=origin) for origin, count in counts.items()
    ]
    if closed := contents.closed_folders:
        folders = "{count} folders" if closed > 1 else "{count} folder"
        notes.append(Note.make("folders-closed", f"{folders} of the study could not be opened", count=closed))
    return notes


def _name_origin(lost: LostFile, groups: Sequence[SeriesGroup]) -> str:
    own = [group for group in groups if _has_uid(group.slices, lost.probe.series_uid)]
    if len(own) == 1:
        return f" of {name_series(own[0].slices)}"
    beside = [group for group in groups if any(header.path.parent == lost.path.parent for header in group.slices)]
    if len(beside) == 1:
        return f" beside {name_series(beside[0].slices)}"
    return " of the study"


def _has_uid(slices: Iterable[SliceHeader], uid: str) -> bool:
    return bool(uid) and any(header.series_uid == uid for header in slices)


def describe_torn(groups: Iterable[SeriesGroup]) -> list[Note]:
    """Says how many single slices cannot be put together to series."""
    torn = sum(group.torn for group in groups)
    if not torn:
        return []
    are = "are" if torn > 1 else "is"
    words = f"{{count}} series of one slice {are} not graded on, as it is not known which slices belong together"
    return [Note.make("series-torn", words, count=torn)]
