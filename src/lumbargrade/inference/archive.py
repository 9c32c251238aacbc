"""Unpacks the zip of a study. It comes from anybody: it is bounded, and no name in it is ever used as a path.

What cannot be unpacked is left out and counted, and the rest is read; what does not begin as DICOM does is not unpacked.
"""

import errno
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lumbargrade.data.study_zip import POINTS
from lumbargrade.dicom.limits import LIMITS, StudyLimits, check_time
from lumbargrade.dicom.magic import START_BYTES, looks_like_dicom
from lumbargrade.dicom.probe import may_be_dicom
from lumbargrade.errors import InputError
from lumbargrade.scratch import scratch_error

_OTHERS = "files"
_CHUNK = 1 << 20
_UTF8, _NOT_UTF8, _ENCRYPTED = 0x800, 0xF7, 1
_LONGEST_NUMBER = 18
_CENTRAL, _LOCAL, _END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
_LOCAL_BYTES = 30
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, OverflowError),
    *(NotImplementedError, RuntimeError, MemoryError, OSError),
)
"""What the zip module and its decoders raise on damaged bytes; OSError is also the disk's own word."""


class _DamagedMember(Exception):  # noqa: N818 - it is counted, and told as a number
    pass


@contextmanager
def opened_archive(source: Path | bytes) -> Iterator[zipfile.ZipFile]:
    """Opens a zip, whatever its files are called.

    Raises:
        InputError: It is not a zip, or cannot be read.
    """
    try:
        archive = _open(source)
    except _DAMAGE as error:
        _raise_if_unreadable(error)
        raise InputError(
            "the study is not a zip file that can be unpacked", "send a zip of its DICOM files", "not-a-zip"
        ) from error
    with archive:
        yield archive


def check_archive(archive: zipfile.ZipFile, limits: StudyLimits = LIMITS) -> list[zipfile.ZipInfo]:
    """Returns a zip's files, if it may be unpacked.

    Raises:
        InputError: It is encrypted, holds too many files, or becomes too large.
    """
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise InputError("the study's zip is encrypted", "send it without a password", "zip-encrypted")
    size, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if len(entries) > limits.files:
        raise InputError(
            f"the study's zip holds {len(entries)} files", f"at most {limits.files} are taken", "too-many-files"
        )
    if size > limits.unpacked_bytes or size > limits.growth * max(packed, 1 << 20):
        raise InputError(
            f"the study's zip unpacks to {size >> 20} MiB from {packed >> 20} MiB, which no real study does",
            "",
            "zip-bomb",
        )
    return entries


def holds_dicom(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> bool:
    """Whether a file that can be unpacked begins as DICOM does."""
    for entry in entries:
        try:
            if looks_like_dicom(next(_parts(archive, entry), b"")):
                return True
        except _DamagedMember:
            continue
    return False


@dataclass(frozen=True)
class UnpackedFiles:
    """What came out of a zip.

    Attributes:
        members: Place of each unpacked file among those of the zip, by where it lies now.
        damaged: Files that could not be unpacked.
    """

    members: Mapping[Path, int]
    damaged: int


def unpack_study(source: Path | bytes, folder: Path, limits: StudyLimits = LIMITS) -> UnpackedFiles:
    """Unpacks the DICOM files of a zip and its points, under names of our own; files of one folder stay together.

    Raises:
        InputError: It is not a zip, is beyond the limits, its points are damaged, or all of its files are.
        ScratchError: The folder cannot be written: its disk is full, for example.
        StudyTimeoutError: It takes too long.
    """
    damaged, members = 0, dict[Path, int]()
    places: dict[PurePosixPath, str] = {}
    with opened_archive(source) as archive:
        for count, entry in enumerate(check_archive(archive, limits)):
            check_time()
            place = places.setdefault(PurePosixPath(entry.filename).parent, str(len(places)))
            target = _target(folder, entry, place, count)
            try:
                if _unpack_member(archive, entry, target):
                    members[target] = count
            except _DamagedMember as error:
                if target.name == POINTS:
                    raise InputError(
                        f"{POINTS} cannot be unpacked from the zip", "send it again", "points-damaged-in-zip"
                    ) from error
                target.unlink(missing_ok=True)
                damaged += 1
            except OSError as error:
                raise scratch_error(error, folder) from error
    if damaged and not members:
        raise InputError(
            f"none of the {damaged} files in the study's zip can be unpacked", "make the zip again", "zip-damaged"
        )
    return UnpackedFiles(members, damaged)


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
                _unpack_member(archive, entries[number], unpacked[number])
            except _DamagedMember as error:
                raise InputError(
                    "a file of the study's zip cannot be unpacked again", "send the study again", "member-damaged"
                ) from error
            except OSError as error:
                raise scratch_error(error, folder) from error
    return unpacked


def _target(folder: Path, entry: zipfile.ZipInfo, place: str, count: int) -> Path:
    own = _own_name(PurePosixPath(entry.filename), place, count)
    if (folder / own).exists():  # the zip has one name twice
        if own == POINTS:
            raise InputError(f"the study's zip holds {POINTS} twice", "remove one of them", "points-twice-in-zip")
        own = f"{place}/{_OTHERS}/f{count}.dcm"
    return folder / own


def _own_name(name: PurePosixPath, place: str, count: int) -> str:
    """Numbers where RSNA's layout has them, counters elsewhere, in a folder for each folder of the zip."""
    if name.name == POINTS:
        return POINTS
    series = name.parent.name
    if all(part.isdecimal() and len(part) <= _LONGEST_NUMBER for part in (series, name.stem)):
        return f"{place}/{int(series)}/{int(name.stem)}.dcm"
    return f"{place}/{_OTHERS}/f{count}.dcm"


def _unpack_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> bool:
    """Whether it was unpacked: it is DICOM, or the points."""
    parts = _parts(archive, entry)
    start = next(parts, b"")
    if target.name != POINTS and not may_be_dicom(start, PurePosixPath(entry.filename).suffix):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(start)
        for part in parts:
            file.write(part)
    return True


def _parts(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """A file's bytes, first as many as show whether it is DICOM.

    Raises:
        _DamagedMember: They cannot be unpacked.
        InputError: The zip itself cannot be read.
    """
    try:
        if _dictionary_bytes(archive, entry) > LIMITS.dictionary_bytes:
            raise ValueError("more memory than a study is given")
        with archive.open(entry) as packed:
            part = packed.read(START_BYTES)
            while part:
                yield part
                part = packed.read(_CHUNK)
    except _DAMAGE as error:
        _raise_if_unreadable(error)
        raise _DamagedMember from error


def _raise_if_unreadable(error: BaseException) -> None:
    """What the disk says of the zip's own file is no damage; decoders raise OSError without a number."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise InputError(
            f"the study's zip cannot be read ({error.strerror})", "see that it can be", "zip-unreadable"
        ) from error


def _dictionary_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """What a file compressed with LZMA makes the decoder set aside; 0 for any other."""
    if entry.compress_type != zipfile.ZIP_LZMA:
        return 0
    header = _local_header(archive, entry)
    if header is None:
        return 0
    _, name, extra = header
    file = _file_of(archive)
    file.seek(entry.header_offset + _LOCAL_BYTES + len(name) + extra + 5)  # version, length, lc/lp/pb
    return int.from_bytes(file.read(4), "little")


def _open(source: Path | bytes) -> zipfile.ZipFile:
    """Opens a zip such that no name keeps a file from being unpacked: the module insists on names that it can spell."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
        _forgive_names(archive)
    except UnicodeDecodeError:
        archive = zipfile.ZipFile(_without_utf8(source if isinstance(source, bytes) else source.read_bytes()))
        _forgive_names(archive)
    return archive


def _forgive_names(archive: zipfile.ZipFile) -> None:
    """A file is unpacked though the name before it differs from that in the directory.

    Raises:
        UnicodeDecodeError: A name that says it is UTF-8 is not.
    """
    for entry in archive.infolist():
        header = _local_header(archive, entry)
        if header is not None:
            flags, name, _ = header
            entry.orig_filename = name.decode("utf-8" if flags & _UTF8 else "cp437")


def _local_header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[int, bytes, int] | None:
    """Flags, name, and length of the extra field before a file's bytes, if they are where the directory says."""
    if entry.header_offset < 0:
        return None
    file = _file_of(archive)
    file.seek(entry.header_offset)
    head = file.read(_LOCAL_BYTES)
    if len(head) < _LOCAL_BYTES or not head.startswith(_LOCAL):
        return None
    flags, (name, extra) = int.from_bytes(head[6:8], "little"), struct.unpack("<HH", head[26:30])
    return flags, file.read(name), extra


def _file_of(archive: zipfile.ZipFile) -> IO[bytes]:
    if archive.fp is None:
        raise ValueError("a closed zip")
    return archive.fp


def _without_utf8(source: bytes) -> IO[bytes]:
    """A copy that says of no name that it is UTF-8, neither in the directory nor before the files; then any bytes are one."""
    content = bytearray(source)
    end = content.rfind(_END)
    size = int.from_bytes(content[end + 12 : end + 16], "little")
    place = content.find(_CENTRAL, end - size if 0 < size <= end else 0)
    while place >= 0:
        content[place + 9] &= _NOT_UTF8
        place = content.find(_CENTRAL, place + 4)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            if content.startswith(_LOCAL, max(entry.header_offset, 0)):
                content[entry.header_offset + 7] &= _NOT_UTF8
    return io.BytesIO(content)
