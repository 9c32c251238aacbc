"""Receives an upload: an archive, or loose DICOM files, part by part onto the disk. Names that are sent are never used."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, Self

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, File, MultipartDecoder, NeedData

from lumbargrade.archives.formats import archive_kind
from lumbargrade.archives.zips import HEAD_BYTES
from lumbargrade.dicom.magic import looks_like_dicom
from lumbargrade.scratch import is_full
from lumbargrade.viewer.errors import Refusal
from lumbargrade.viewer.studies.decode import UPLOAD

_CHUNK = 1 << 20
_PART, _ARCHIVE = "part", "archive"
_MOST_BUFFERED = 4 << 20
"""Of bytes that are not a file's: a part's head is never that long."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def receive(stream: _Readable, boundary: bytes, folder: Path, max_bytes: int, max_files: int) -> int:
    """Writes the upload in a multipart body to :data:`UPLOAD` in a folder; returns the number of its bytes.

    Loose files, and archives beside them, are put into a zip. Any other file is left out among others.

    Raises:
        Refusal: It is too large, is no study, or does not arrive as a whole.
    """
    received = 0
    part = folder / _PART
    try:
        with _Bag(folder) as bag:
            for number, chunks in enumerate(_files(stream, boundary), start=1):
                if number > max_files:
                    raise Refusal(
                        413,
                        f"The upload has more than {max_files} files.",
                        "Send one study at a time.",
                        "upload-of-too-many-files",
                    )
                start = b""
                with part.open("wb") as file:
                    for chunk in chunks:
                        received += len(chunk)
                        if received > max_bytes:
                            raise too_large(max_bytes)
                        start += chunk[: HEAD_BYTES - len(start)]
                        file.write(chunk)
                if looks_like_dicom(start):
                    bag.add(part)
                elif archive_kind(start) is not None:
                    bag.add_archive(part)
    except (ValueError, RequestEntityTooLarge, OSError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise disk_full() from error
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Refusal(400, "The upload did not arrive as a whole.", "Send it again.", "upload-cut-short") from error
    finally:
        part.unlink(missing_ok=True)
    if not bag.close_into(folder / UPLOAD):
        raise Refusal(
            415,
            "The upload is no zip and holds no DICOM file.",
            "Send the study's DICOM files, or a zip of them.",
            "upload-without-dicom",
        )
    return received


class _Bag:
    """What came: one archive as it is, or a zip of loose files and archives."""

    def __init__(self, folder: Path) -> None:
        self._only = folder / "only"
        self._path = folder / "loose.zip"
        self._count = 0

    def __enter__(self) -> Self:
        self._zip = zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED)
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def add(self, file: Path, ending: str = "dcm") -> None:
        """Adds a file, and an archive that came alone until now."""
        if self._only.exists():
            self._write(self._only, _ARCHIVE)
            self._only.unlink()
        self._write(file, ending)

    def add_archive(self, file: Path) -> None:
        """Adds an archive; it is kept as it is while nothing else comes."""
        if self._count or self._only.exists():
            self.add(file, _ARCHIVE)
        else:
            file.replace(self._only)

    def close_into(self, target: Path) -> bool:
        """Moves what came to its place; false if nothing did."""
        came = self._only if self._only.exists() else self._path if self._count else None
        if came is not None:
            came.replace(target)
        self._path.unlink(missing_ok=True)
        return came is not None

    def _write(self, file: Path, ending: str) -> None:
        self._count += 1
        self._zip.write(file, f"{self._count}.{ending}")


def too_large(max_bytes: int) -> Refusal:
    """The refusal of an upload above the limit."""
    return Refusal(
        413, f"The upload is larger than {max_bytes / 1e6:,.0f} MB.", "Send one study at a time.", "upload-too-large"
    )


def disk_full() -> Refusal:
    """The refusal of an upload that there is no room for."""
    return Refusal(507, "The server's disk is full.", "Tell whoever runs it.", "disk-full")


def _files(stream: _Readable, boundary: bytes) -> Iterator[Iterable[bytes]]:
    """The files of a multipart body, each as its chunks; fields are passed over."""
    events = _events(stream, boundary)
    for event in events:
        if isinstance(event, File):
            yield _chunks(events)


def _chunks(events: Iterator[object]) -> Iterator[bytes]:
    for event in events:
        if isinstance(event, Data):
            yield event.data
            if not event.more_data:
                return


def _events(stream: _Readable, boundary: bytes) -> Iterator[object]:
    decoder = MultipartDecoder(boundary, max_parts=None)
    while True:
        event = decoder.next_event()
        if isinstance(event, NeedData):
            if len(decoder.buffer) > _MOST_BUFFERED:
                raise ValueError("a part without an end of its head")
            decoder.receive_data(stream.read(_CHUNK) or None)
        else:
            yield event
            if isinstance(event, Epilogue):
                return
