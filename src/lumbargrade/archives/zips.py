"""Opens zips and reads their files, whatever the zip says of them: it comes from anybody."""

import errno
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lumbargrade.dicom.limits import LIMITS, StudyLimits
from lumbargrade.errors import InputError

HEAD_BYTES = 512
"""How much of a file is read first: that shows whether it is DICOM, or an archive."""

_CHUNK = 1 << 20
_UTF8, _NOT_UTF8, _ENCRYPTED = 0x800, 0xF7, 1
_CENTRAL, _LOCAL, _END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
_LOCAL_BYTES, _CENTRAL_BYTES = 30, 46
_UNICODE_NAME, _NO_KIND = 0x7075, 0xFFFE
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError),
    *(OverflowError, NotImplementedError, RuntimeError, MemoryError, OSError),
)
"""What the modules of zips and tars and their decoders raise on damaged bytes; OSError is also the disk's own word."""


class DamagedMember(Exception):  # noqa: N818 - it is counted, and told as a number
    """A file of an archive that cannot be unpacked."""


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


def zip_parts(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Generator[bytes]:
    """A file's bytes, first as many as show whether it is DICOM.

    Raises:
        DamagedMember: They cannot be unpacked.
        InputError: The zip itself cannot be read.
    """
    with counting_damage():
        if _dictionary_bytes(archive, entry) > LIMITS.dictionary_bytes:
            raise ValueError("more memory than a study is given")
        with archive.open(entry) as packed:
            yield from read_parts(packed)


def read_parts(file: IO[bytes]) -> Generator[bytes]:
    """The bytes of an open file, first as many as show what it is."""
    part = file.read(HEAD_BYTES)
    while part:
        yield part
        part = file.read(_CHUNK)


@contextmanager
def counting_damage() -> Iterator[None]:
    """Turns what damaged bytes raise into :class:`DamagedMember`.

    Raises:
        InputError: The archive's own file cannot be read.
    """
    try:
        yield
    except _DAMAGE as error:
        _raise_if_unreadable(error)
        raise DamagedMember from error


def unreadable_archive(error: OSError) -> InputError:
    """The error for an archive whose file the system does not read."""
    return InputError(f"the study's archive cannot be read ({error.strerror})", "see that it can be", "zip-unreadable")


def _raise_if_unreadable(error: BaseException) -> None:
    """What the disk says of an archive's own file is no damage; decoders raise OSError without a number."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise unreadable_archive(error) from error


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
    except (UnicodeDecodeError, zipfile.BadZipFile):
        archive = zipfile.ZipFile(_without_claims(source if isinstance(source, bytes) else source.read_bytes()))
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


def _without_claims(source: bytes) -> IO[bytes]:
    """A copy that claims of no name that it is UTF-8, and that has no extra field which cannot be; then any bytes are a name.

    Raises:
        BadZipFile: It is no zip.
    """
    content = bytearray(source)
    end = content.rfind(_END)
    size = int.from_bytes(content[end + 12 : end + 16], "little")
    place = content.find(_CENTRAL, end - size if 0 < size <= end else 0)
    while 0 <= place < len(content) - _CENTRAL_BYTES:
        content[place + 9] &= _NOT_UTF8
        _mend_extra(content, place)
        place = content.find(_CENTRAL, place + 4)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            if content.startswith(_LOCAL, max(entry.header_offset, 0)):
                content[entry.header_offset + 7] &= _NOT_UTF8
    return io.BytesIO(content)


def _mend_extra(content: bytearray, place: int) -> None:
    """Takes the meaning from an extra field of a file's name, and cuts one that is longer than there is room for."""
    name, length = struct.unpack_from("<HH", content, place + 28)
    start = place + _CENTRAL_BYTES + name
    end = min(start + length, len(content))
    while start + 4 <= end:
        kind, size = struct.unpack_from("<HH", content, start)
        struct.pack_into("<HH", content, start, _NO_KIND if kind == _UNICODE_NAME else kind, min(size, end - start - 4))
        start += 4 + size
