"""Unpacks archives. They come from anybody: they are bounded, and no name in them is ever used as a path.

What cannot be unpacked is left out and counted, and the rest is read; what does not begin as DICOM does is not unpacked.
Archives in an archive are looked into, one in another at most: what holds no DICOM image is a viewer's own, or a text.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path, PurePosixPath

from lumbargrade.archives.formats import NO_ARCHIVE, ArchiveFile, archive_kind, is_zip, opened_files
from lumbargrade.archives.zips import DamagedMember, check_archive, opened_archive, zip_parts
from lumbargrade.dicom.limits import LIMITS, StudyLimits, check_time
from lumbargrade.dicom.probe import may_be_dicom
from lumbargrade.errors import InputError
from lumbargrade.scratch import scratch_error

_OTHERS = "files"
_LONGEST_NUMBER = 18
_DEPTH = 2
"""Archives in an archive that are opened: one in the user's own, which may lie in one that the page has made."""
_LOOKED_AT = 4
"""Times as many files as a study may have are looked at in archives that lie in one: a viewer's have thousands."""
_TOO_LARGE, _TOO_MANY = "study-unpacks-too-large", "too-many-nested-files"


def may_hold_dicom(source: Path | bytes, limits: StudyLimits = LIMITS) -> bool:
    """Whether a file of an archive begins as DICOM does, or is an archive itself.

    Raises:
        InputError: It cannot be unpacked, or is beyond the limits.
    """
    with suppress(DamagedMember), opened_files(source, limits) as files:
        for file in files:
            with suppress(DamagedMember):
                with closing(file.parts()) as parts:
                    start = next(parts, b"")
                if may_be_dicom(start, file.name.suffix) or archive_kind(start) is not None:
                    return True
    return False


@dataclass(frozen=True)
class UnpackedFiles:
    """What came out of an archive.

    Attributes:
        members: Place of each unpacked file among those of the zip, by where it lies now.
        nested: Files that came out of a tar, or of archives in the archive.
        damaged: Files that could not be unpacked.
        unopened: Archives in it that could not be opened.
        cut: Tars that are cut, or damaged in their midst: how many files are missing is not known.
    """

    members: Mapping[Path, int]
    nested: int = 0
    damaged: int = 0
    unopened: int = 0
    cut: int = 0


def unpack_archive(
    source: Path | bytes, folder: Path, limits: StudyLimits = LIMITS, keep: str | None = None
) -> UnpackedFiles:
    """Unpacks the DICOM files of an archive, under names of our own; files of one folder stay together.

    Args:
        keep: Name of a file that is unpacked too, under this name: it says something of the images.

    Raises:
        InputError: It is no archive, is beyond the limits, the file to keep is damaged, or all of its files are.
        ScratchError: The folder cannot be written: its disk is full, for example.
        StudyTimeoutError: It takes too long.
    """
    packed = len(source) if isinstance(source, bytes) else source.stat().st_size
    unpacking = _Unpacking(folder, limits, packed, keep)
    try:
        with opened_files(source, limits) as files:
            unpacking.unpack_all(files, "")
    except DamagedMember:
        unpacking.cut += 1
    any_unpacked = bool(unpacking.members or unpacking.nested)
    if unpacking.cut and not any_unpacked:
        raise InputError("the study's tar is damaged", "make it again", "tar-damaged")
    if unpacking.damaged and not any_unpacked:
        raise InputError(
            f"none of the {unpacking.damaged} files in the study's zip can be unpacked",
            "make the zip again",
            "zip-damaged",
        )
    members, nested = unpacking.members, unpacking.nested
    if not is_zip(source):
        members, nested = {}, nested + len(members)
    return UnpackedFiles(members, nested, unpacking.damaged, unpacking.unopened, unpacking.cut)


def unpack_members(source: Path, numbers: Iterable[int], folder: Path) -> dict[int, Path]:
    """Unpacks single files of a zip that was unpacked before.

    Args:
        numbers: Their places among the zip's files, as :class:`UnpackedFiles` has them.

    Raises:
        InputError: The zip, or one of these files, cannot be read any more.
        ScratchError: The folder cannot be written.
    """
    unpacked: dict[int, Path] = {}
    with opened_archive(source) as archive:
        entries = check_archive(archive)
        for number in numbers:
            unpacked[number] = folder / f"{number}.dcm"
            try:
                with unpacked[number].open("wb") as target:
                    target.writelines(zip_parts(archive, entries[number]))
            except DamagedMember as error:
                raise InputError(
                    "a file of the study's zip cannot be unpacked again", "send the study again", "member-damaged"
                ) from error
            except OSError as error:
                raise scratch_error(error, folder) from error
    return unpacked


@dataclass
class _Unpacking:
    """What is unpacked of an archive, and of those in it, so far."""

    folder: Path
    limits: StudyLimits
    packed: int
    keep: str | None
    members: dict[Path, int] = field(default_factory=dict)
    nested: int = 0
    damaged: int = 0
    unopened: int = 0
    cut: int = 0
    _size: int = 0
    _looked_at: int = 0
    _places: dict[tuple[str, PurePosixPath], str] = field(default_factory=dict)

    def unpack_all(self, files: Iterator[ArchiveFile], within: str, depth: int = 0) -> None:
        """Unpacks the files of an archive.

        Args:
            within: Names the archive that it lies in; empty for the outermost.
        """
        for count, file in enumerate(files):
            check_time()
            self._count(count, depth)
            place = self._places.setdefault((within, file.name.parent), str(len(self._places)))
            keep = self.keep if depth == 0 else None
            target = _target(self.folder, file.name, place, f"{within}{count}", keep)
            try:
                if self._unpack_file(file, target, f"{within}{count}-", depth):
                    if depth == 0:
                        self.members[target] = count
                    else:
                        self.nested += 1
            except DamagedMember as error:
                if target.name == keep:
                    raise InputError(
                        f"{keep} cannot be unpacked from the zip", "send it again", "points-damaged-in-zip"
                    ) from error
                target.unlink(missing_ok=True)
                self.damaged += depth == 0
            except OSError as error:
                raise scratch_error(error, self.folder) from error

    def _count(self, count: int, depth: int) -> None:
        if depth == 0 and count >= self.limits.files:
            raise InputError(
                f"the study's archive holds more than {self.limits.files} files",
                f"at most {self.limits.files} are taken",
                "too-many-files",
            )
        if depth:
            self._looked_at += 1
            if self._looked_at > _LOOKED_AT * self.limits.files:
                raise DamagedMember
            if self.nested >= self.limits.files:
                raise InputError(
                    f"the archives in the study's archive hold more than {self.limits.files} files",
                    f"at most {self.limits.files} are taken",
                    "too-many-nested-files",
                )

    def _unpack_file(self, file: ArchiveFile, target: Path, within: str, depth: int) -> bool:
        """Whether it was unpacked: it is DICOM, or the file to keep."""
        with closing(file.parts()) as parts:
            start = next(parts, b"")
            if (depth == 0 and target.name == self.keep) or may_be_dicom(start, file.name.suffix):
                self._write(start, parts, target)
                return True
            if depth == _DEPTH or archive_kind(start) is None:
                return False
            inner = self.folder / f".{within}"
            try:
                self._write(start, parts, inner)
                self._unpack_inner(inner, within, depth + 1)
            finally:
                inner.unlink(missing_ok=True)
            return False

    def _write(self, start: bytes, parts: Iterator[bytes], target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for part in chain([start], parts):
                file.write(part)
                self._weigh(len(part))

    def _weigh(self, size: int) -> None:
        self._size += size
        if self._size > min(self.limits.unpacked_bytes, self.limits.growth * max(self.packed, 1 << 20)):
            raise InputError(
                f"the study's archive unpacks to more than {self._size >> 20} MiB from {self.packed >> 20} MiB, which no "
                "real study does",
                "",
                "study-unpacks-too-large",
            )

    def _unpack_inner(self, inner: Path, within: str, depth: int) -> None:
        """Unpacks an archive that lies in one; what cannot be opened is counted, as it may hold images."""
        limits = replace(self.limits, files=_LOOKED_AT * self.limits.files)
        before = self.nested
        try:
            with opened_files(inner, limits) as files:
                self.unpack_all(files, within, depth)
        except DamagedMember:
            self.unopened += self.nested == before
            self.cut += self.nested > before
        except InputError as error:
            if error.code in (_TOO_LARGE, _TOO_MANY):
                raise
            self.unopened += error.code != NO_ARCHIVE


def _target(folder: Path, name: PurePosixPath, place: str, count: str, keep: str | None) -> Path:
    own = keep if name.name == keep else _own_name(name, place, count)
    if (folder / own).exists():  # the archive has one name twice
        if own == keep:
            raise InputError(f"the study's zip holds {keep} twice", "remove one of them", "points-twice-in-zip")
        own = f"{place}/{_OTHERS}/f{count}.dcm"
    return folder / own


def _own_name(name: PurePosixPath, place: str, count: str) -> str:
    """Numbers where RSNA's layout has them, counters elsewhere, in a folder for each folder of the archive."""
    series = name.parent.name
    if all(part.isdecimal() and len(part) <= _LONGEST_NUMBER for part in (series, name.stem)):
        return f"{place}/{int(series)}/{int(name.stem)}.dcm"
    return f"{place}/{_OTHERS}/f{count}.dcm"
