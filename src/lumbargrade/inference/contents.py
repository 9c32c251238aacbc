"""What a folder holds: the MR images of each study, and what is said of the files that could not be read.

Whatever door a study comes through, it is decided here which images are graded.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from lumbargrade.archives.formats import archive_kind
from lumbargrade.archives.zips import HEAD_BYTES
from lumbargrade.dicom.errors import NotAnImage
from lumbargrade.dicom.grouping import SeriesGroup, name_series
from lumbargrade.dicom.headers import SliceHeader, UnreadableFile, read_headers
from lumbargrade.dicom.identity import count_patients
from lumbargrade.dicom.modality import is_mr, name_modalities
from lumbargrade.dicom.probe import Probe, may_be_dicom, probe_file
from lumbargrade.errors import InputError
from lumbargrade.notes import Note

_FEW_STUDIES = 3
"""Studies above which most must have more than one image."""


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
        archives: Files that are archives.
    """

    headers: list[SliceHeader] = field(default_factory=list)
    lost: list[LostFile] = field(default_factory=list)
    closed_folders: int = 0
    archives: list[Path] = field(default_factory=list)


def read_contents(folder: Path, skip: str) -> Contents:
    """Reads the headers of a folder's DICOM images; a file that does not begin as DICOM is not parsed.

    Args:
        skip: Name of files that are no images.
    """
    contents = Contents()
    for path in _walk(folder, contents):
        if path.name == skip or (path.exists() and not path.is_file()):  # a pipe would be waited for
            continue
        try:
            with path.open("rb") as file:
                start = file.read(HEAD_BYTES)
            if may_be_dicom(start, path.suffix):
                contents.headers += read_headers(path)
            elif archive_kind(start) is not None:
                contents.archives.append(path)
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


@dataclass(frozen=True)
class StudyContents:
    """The images of one study, and of the files that could not be read those that may be its own.

    Attributes:
        uid: StudyInstanceUID; empty if the files have none.
        headers: Of its images, those that are not MR too.
        others: Images that are no MR, of no study that has MR images.
        nameless: Files without a StudyInstanceUID beside those that have one.
    """

    uid: str
    headers: Sequence[SliceHeader]
    others: Sequence[SliceHeader] = ()
    nameless: int = 0
    lost: Sequence[LostFile] = ()

    @property
    def mr(self) -> list[SliceHeader]:
        """The images that may be graded."""
        return [header for header in self.headers if is_mr(header.modality)]

    @cached_property
    def series_uids(self) -> frozenset[str]:
        """SeriesInstanceUIDs of its images."""
        return frozenset(header.series_uid for header in self.headers if header.series_uid)

    @cached_property
    def folders(self) -> frozenset[Path]:
        """Where its images lie."""
        return frozenset(header.path.parent for header in self.headers)

    @property
    def date(self) -> str:
        """Day of the study, YYYY-MM-DD; empty if the files do not tell one."""
        days = Counter(header.study_date for header in self.mr if header.study_date)
        return days.most_common(1)[0][0] if days else ""


def split_studies(contents: Contents) -> list[StudyContents]:
    """Tells the studies apart that have MR images, by their StudyInstanceUID.

    Raises:
        InputError: There is no image, none of MR, or nearly each image has a StudyInstanceUID of its own.
    """
    if not contents.headers:
        raise InputError("the study holds no DICOM image that can be read", "", "study-without-readable-image")
    mr = [header for header in contents.headers if is_mr(header.modality)]
    if not mr:
        modality = Counter(header.modality for header in contents.headers).most_common(1)[0][0]
        kind = name_modalities([modality] * 2).removeprefix("2 ")
        raise InputError(f"the study holds {kind}, not MR", "send an MRI of the lumbar spine", "study-not-mr")
    by_uid: dict[str, list[SliceHeader]] = {header.study_uid: [] for header in mr if header.study_uid} or {"": []}
    rest: list[SliceHeader] = []
    for header in contents.headers:
        by_uid.get(header.study_uid, rest).append(header)
    _check_uids(by_uid)
    nameless = len({header.path for header in rest if is_mr(header.modality)})
    others = [header for header in rest if not is_mr(header.modality)]
    studies = [StudyContents(uid, headers, others, nameless) for uid, headers in by_uid.items()]
    owners = [(lost, _owners(lost, studies)) for lost in contents.lost]
    return [replace(study, lost=[lost for lost, uids in owners if study.uid in uids]) for study in studies]


def _check_uids(by_uid: Mapping[str, Sequence[SliceHeader]]) -> None:
    single = sum(len({header.path for header in headers}) == 1 for headers in by_uid.values())
    if len(by_uid) > _FEW_STUDIES and 2 * single > len(by_uid):
        raise InputError(
            f"the files belong to {len(by_uid)} studies, most of them of one image, as if somebody had given each image a "
            "StudyInstanceUID of its own",
            "export the study again with one for all",
            "study-uid-for-each-image",
        )


def _owners(lost: LostFile, studies: Sequence[StudyContents]) -> set[str]:
    """The studies that a file may be of that could not be read: what its beginning tells counts, or its folder, or nothing."""
    candidates = (
        {study.uid for study in studies if study.uid == lost.probe.study_uid != ""},
        {study.uid for study in studies if lost.probe.series_uid in study.series_uids},
        {study.uid for study in studies if lost.path.parent in study.folders},
    )
    return next(filter(None, candidates), {study.uid for study in studies})


def select_images(study: StudyContents) -> tuple[list[SliceHeader], list[Note]]:
    """Selects the images of a study that may be graded.

    Returns:
        The images, and notes on those that are left out.

    Raises:
        InputError: They are of several patients.
    """
    patients = count_patients({header.patient for header in study.headers})
    if patients > 1:
        raise InputError(
            f"the files of the study are of {patients} patients", "send those of one patient", "several-patients"
        )
    days = len({header.study_date for header in study.mr if header.study_date})
    if days > 1 and not study.uid:
        raise InputError(
            f"the files have no StudyInstanceUID, and are of {days} days",
            "send those of one study",
            "days-without-study-uid",
        )
    notes: list[Note] = []
    if days > 1:
        words = "the images of the study are of {count} days, as if several examinations had been put into one"
        notes.append(Note.make("several-days", words, count=days))
    beside = [header for header in study.headers if not is_mr(header.modality)]
    if others := {header.path: header.modality for header in (*beside, *study.others)}:
        notes.append(
            Note.make(
                "not-mr-left-out",
                "{images} left out, as only MR images are graded",
                images=name_modalities(others.values()),
            )
        )
    if study.nameless:
        words = (
            "{count} images without a StudyInstanceUID left out, as nothing says that they are of this study"
            if study.nameless > 1
            else "{count} image without a StudyInstanceUID left out, as nothing says that it is of this study"
        )
        notes.append(Note.make("images-without-study-uid", words, count=study.nameless))
    return study.mr, notes


def describe_losses(lost_files: Iterable[LostFile], closed_folders: int, groups: Sequence[SeriesGroup]) -> list[Note]:
    """Says how many files of which series could not be read; what no header tells is not guessed."""
    there = {header.sop_uid for group in groups for header in group.slices if header.sop_uid}
    counts: Counter[str] = Counter()
    for lost in lost_files:
        if lost.probe.sop_uid not in there or not lost.probe.sop_uid:
            counts[_name_origin(lost, groups)] += 1
    words = "{count} file{origin} could not be read", "{count} files{origin} could not be read"
    notes = [
        Note.make("files-unreadable", words[count > 1], count=count, origin=origin) for origin, count in counts.items()
    ]
    if closed := closed_folders:
        folders = "{count} folders" if closed > 1 else "{count} folder"
        notes.append(Note.make("folders-closed", f"{folders} of the study could not be opened", count=closed))
    return notes


def _name_origin(lost: LostFile, groups: Sequence[SeriesGroup]) -> str:
    uid = lost.probe.series_uid
    own = [group for group in groups if uid and any(header.series_uid == uid for header in group.slices)]
    if len(own) == 1:
        return f" of {name_series(own[0].slices)}"
    beside = [group for group in groups if any(header.path.parent == lost.path.parent for header in group.slices)]
    if len(beside) == 1:
        return f" beside {name_series(beside[0].slices)}"
    return " of the study"


def describe_torn(groups: Iterable[SeriesGroup]) -> list[Note]:
    """Says how many single slices cannot be put together to series."""
    torn = sum(group.torn for group in groups)
    if not torn:
        return []
    are = "are" if torn > 1 else "is"
    words = f"{{count}} series of one slice {are} not graded on, as it is not known which slices belong together"
    return [Note.make("series-torn", words, count=torn)]
