"""What archive a file is, by how it begins and never by its name, and its files one after the other."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from lumbargrade.archives.tars import GZIP, begins_as_tar, gzip_parts, gzip_start, opened_tar, tar_files, tar_parts
from lumbargrade.archives.zips import HEAD_BYTES, check_archive, opened_archive, unreadable_archive, zip_parts
from lumbargrade.dicom.limits import LIMITS, StudyLimits
from lumbargrade.dicom.magic import looks_like_dicom
from lumbargrade.errors import InputError

ArchiveKind = Literal["zip", "tar", "gzip", "7z", "RAR", "bzip2", "xz", "zstd"]

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""How archives are called that are studies beside others; one that is given is known by its content."""

OTHER_ARCHIVES = (".7z", ".rar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
"""How those are called that are refused in words."""

_NOT_UNPACKED = ("7z", "RAR", "bzip2", "xz", "zstd")

_LEAST_BYTES = 20
"""No archive with anything in it is shorter."""

NO_ARCHIVE = "packed-file-without-dicom"
"""Code of the error that a packed file is something else, such as a viewer's data."""

_STARTS: tuple[tuple[bytes, ArchiveKind], ...] = (
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (GZIP, "gzip"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"),
    (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), *((b"BZh%d1AY&SY" % level, "bzip2") for level in range(1, 10)),
)  # fmt: skip


def archive_kind(start: bytes) -> ArchiveKind | None:
    """What archive a file is, by how it begins and never by its name; None if it is none.

    Args:
        start: Its first :data:`lumbargrade.archives.zips.HEAD_BYTES`.
    """
    if len(start) < _LEAST_BYTES:
        return None
    return next((kind for mark, kind in _STARTS if start.startswith(mark)), "tar" if begins_as_tar(start) else None)


class ArchiveFile(NamedTuple):
    """A file of an archive."""

    name: PurePosixPath
    parts: Callable[[], Generator[bytes]]


@contextmanager
def opened_files(source: Path | bytes, limits: StudyLimits = LIMITS) -> Iterator[Iterator[ArchiveFile]]:
    """Opens an archive, and gives its files as they come; the bytes of each are to be read before the next one is asked for.

    Raises:
        InputError: It is none that can be unpacked, is encrypted, or is beyond the limits.
        DamagedMember: It is a tar that is damaged.
    """
    kind = archive_kind(_start(source))
    if kind in _NOT_UNPACKED:
        raise InputError(
            f"the study is a{'n' if kind == 'xz' else ''} {kind} archive, which is not unpacked here",
            "unpack it, and send a zip of its DICOM files",
            "archive-of-other-kind",
        )
    start = gzip_start(source) if kind == "gzip" else b""
    if kind == "tar" or begins_as_tar(start):
        with opened_tar(source, limits) as tar:
            yield (ArchiveFile(PurePosixPath(entry.name), partial(tar_parts, tar, entry)) for entry in tar_files(tar))
        return
    if kind == "gzip":
        if not looks_like_dicom(start):
            raise InputError(
                "the study is a packed file that is neither a tar nor a DICOM image",
                "send a zip of its DICOM files",
                "packed-file-without-dicom",
            )
        yield iter([ArchiveFile(PurePosixPath("packed"), partial(gzip_parts, source, limits))])
        return
    with opened_archive(source) as zipped:
        entries = check_archive(zipped, limits)
        yield (ArchiveFile(PurePosixPath(entry.filename), partial(zip_parts, zipped, entry)) for entry in entries)


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by how it begins; one that cannot be read is none."""
    try:
        return path.is_file() and archive_kind(_start(path)) is not None
    except InputError:
        return False


def is_zip(source: Path | bytes) -> bool:
    """Whether an archive is a zip, whose files can be found again one by one.

    Raises:
        InputError: It cannot be read.
    """
    return archive_kind(_start(source)) not in ("tar", "gzip")


def _start(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    try:
        with source.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable_archive(error) from error
