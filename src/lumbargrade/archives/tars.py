"""Reads tars, packed by gzip or not, and files that gzip has packed, whatever they say of themselves: they come from anybody.

Nothing is extracted by its name. Links, devices and folders are passed over: only the bytes of plain files are read.
"""

import gzip
import io
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from lumbargrade.archives.zips import HEAD_BYTES, DamagedMember, counting_damage, read_parts
from lumbargrade.dicom.limits import StudyLimits, check_time
from lumbargrade.errors import InputError

GZIP = b"\x1f\x8b"

_LARGEST_READ = 16 << 20
"""No header of a tar is so long; one that says so would be read into memory as a whole."""


def begins_as_tar(start: bytes) -> bool:
    """Whether a file begins with a tar's header, by its checksum.

    Args:
        start: Its first :data:`lumbargrade.archives.zips.HEAD_BYTES`.
    """
    if len(start) < HEAD_BYTES:
        return False
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def gzip_start(source: Path | bytes) -> bytes:
    """How the file begins that gzip has packed; nothing if it cannot be unpacked."""
    try:
        with counting_damage(), _opened(source) as file, gzip.GzipFile(fileobj=file) as unpacked:
            return unpacked.read(HEAD_BYTES)
    except (DamagedMember, InputError):
        return b""


def gzip_parts(source: Path | bytes, limits: StudyLimits) -> Generator[bytes]:
    """The bytes of a file that gzip has packed, first as many as show what it is.

    Raises:
        DamagedMember: They cannot be unpacked.
        InputError: It becomes too large.
    """
    packed = len(source) if isinstance(source, bytes) else source.stat().st_size
    with counting_damage(), _opened(source) as file:
        stream = _BoundedStream(cast(IO[bytes], gzip.GzipFile(fileobj=file)), limits, packed)
        yield from read_parts(cast(IO[bytes], stream))


class _BoundedStream(io.RawIOBase):
    """What a tar is read from: it ends the reading where the bytes that came out, or that are asked for, become too many."""

    def __init__(self, file: IO[bytes], limits: StudyLimits, packed: int) -> None:
        self._file = file
        self._most = min(limits.unpacked_bytes, limits.growth * max(packed, 1 << 20))
        self._packed = packed

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError("a header that is too long")
        check_time()
        data = self._file.read(size)
        self._check()
        return data

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        while self._file.tell() + _LARGEST_READ < place:  # gzip unpacks all that is passed over
            before = self._file.tell()
            self._file.seek(before + _LARGEST_READ)
            check_time()
            self._check()
            if self._file.tell() == before:
                break
        self._file.seek(place)
        self._check()
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def _check(self) -> None:
        if isinstance(self._file, gzip.GzipFile) and self._file.tell() > self._most:
            raise InputError(
                f"the study's archive unpacks to more than {self._most >> 20} MiB from {self._packed >> 20} MiB, which no "
                "real study does",
                "",
                "zip-bomb",
            )


@contextmanager
def opened_tar(source: Path | bytes, limits: StudyLimits) -> Iterator[tarfile.TarFile]:
    """Opens a tar.

    Raises:
        DamagedMember: It cannot be opened.
        InputError: It becomes too large.
    """
    packed = len(source) if isinstance(source, bytes) else source.stat().st_size
    with _opened(source) as file:
        is_packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        unpacked = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if is_packed else file
        stream = _BoundedStream(unpacked, limits, packed)
        with counting_damage():
            archive = tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape")
        yield archive


def tar_files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The plain files of a tar as they come.

    Raises:
        DamagedMember: It is damaged or cut from there on.
        InputError: It becomes too large.
    """
    end = -1
    while True:
        with counting_damage():
            entry = archive.next()
            if entry is not None and archive.offset <= end:
                raise tarfile.ReadError("a file of a negative size")
        archive.members.clear()  # type: ignore[attr-defined]  # millions of them would fill the memory
        end = archive.offset
        if entry is None:
            return
        check_time()
        if entry.isreg():
            yield entry


def tar_parts(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Generator[bytes]:
    """A file's bytes, first as many as show what it is.

    Raises:
        DamagedMember: They cannot be read.
    """
    with counting_damage():
        file = archive.extractfile(entry)
        if file is not None:
            yield from read_parts(file)


@contextmanager
def _opened(source: Path | bytes) -> Iterator[IO[bytes]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        with source.open("rb") as file:
            yield file
