"""Receives an upload: a zip, or loose DICOM files, part by part onto the disk. Names that are sent are never used."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, File, MultipartDecoder, NeedData

from lumbargrade.dicom.magic import START_BYTES, looks_like_dicom
from lumbargrade.scratch import is_full
from lumbargrade.viewer.errors import Refusal
from lumbargrade.viewer.studies.decode import UPLOAD

_CHUNK = 1 << 20
_PART = "part"
_MOST_BUFFERED = 4 << 20
"""Of bytes that are not a file's: a part's head is never that long."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def receive(stream: _Readable, boundary: bytes, folder: Path, max_bytes: int, max_files: int) -> int:
    """Writes the upload in a multipart body to :data:`UPLOAD` in a folder; returns the number of its bytes.

    Loose files are put into a zip. A file that is no DICOM is left out among others.

    Raises:
        Refusal: It is too large, is no study, or does not arrive as a whole.
    """
    target = folder / UPLOAD
    loose, received, zips = 0, 0, 0
    part = folder / _PART
    try:
        with zipfile.ZipFile(folder / "loose.zip", "w", zipfile.ZIP_STORED) as archive:
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
                        start += chunk[: START_BYTES - len(start)]
                        file.write(chunk)
                if start.startswith(_ZIP):
                    zips += 1
                    part.replace(target)
                elif looks_like_dicom(start):
                    loose += 1
                    archive.write(part, f"{loose}.dcm")
    except (ValueError, RequestEntityTooLarge, OSError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise disk_full() from error
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Refusal(400, "The upload did not arrive as a whole.", "Send it again.", "upload-cut-short") from error
    finally:
        part.unlink(missing_ok=True)
    if zips > 1 or (zips and loose):
        raise Refusal(
            400,
            "The upload has several studies, or a zip beside loose files.",
            "Send one study at a time.",
            "upload-of-several-studies",
        )
    if not zips and not loose:
        raise Refusal(
            415,
            "The upload is no zip and holds no DICOM file.",
            "Send the study's DICOM files, or a zip of them.",
            "upload-without-dicom",
        )
    if loose:
        (folder / "loose.zip").replace(target)
    else:
        (folder / "loose.zip").unlink()
    return received


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
