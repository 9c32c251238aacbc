"""Parses a file's header, whatever the file is, into a pydicom dataset that has an image."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.uid import DeflatedExplicitVRLittleEndian

from lumbargrade.dicom.errors import NotAnImage, UnreadableFile

MAX_INFLATED = 512 << 20
"""Bytes that a deflated file may become; a zip bomb becomes more."""

MAX_PIXELS = 64 << 20
"""Pixels of an image; no MR slice has more."""

_PREAMBLE = 128
_META_START = _PREAMBLE + 4


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turns whatever a parser raises on a damaged file into :class:`UnreadableFile`, and keeps its warnings back."""
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    except UnreadableFile:
        raise
    except FileNotFoundError as error:
        raise UnreadableFile(f"{path.name} is not there") from error
    except (
        Exception
    ) as error:  # pydicom lets through what damage causes: AttributeError, RecursionError, struct.error …
        raise UnreadableFile(f"{path.name} is damaged or no DICOM file; send it again or remove it") from error


def parse_header(path: Path, tags: list[str] | None = None) -> Dataset:
    """Reads a file up to its pixels.

    Args:
        tags: Keywords of what is needed; all if not given.

    Raises:
        UnreadableFile: It is no DICOM file, is damaged, or would inflate beyond :data:`MAX_INFLATED`.
        NotAnImage: It holds no image.
    """
    with parsing(path):
        with path.open("rb") as file:
            _refuse_bomb(file, path)
            wanted: list[int | str | tuple[int, int]] | None = list(tags) if tags else None
            dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=wanted)  # type: ignore[arg-type]
        if not dataset.get("Rows") or not dataset.get("Columns"):
            if (
                dataset.get("SOPClassUID")
                or dataset.get("Modality")
                or dataset.file_meta.get("MediaStorageSOPClassUID")
            ):
                raise NotAnImage(f"{path.name} is a DICOM object without an image")
            raise UnreadableFile(f"{path.name} is not a DICOM file")
        if int(dataset.Rows) * int(dataset.Columns) > MAX_PIXELS:
            raise UnreadableFile(f"{path.name} claims {dataset.Rows} x {dataset.Columns} pixels, which no MR image has")
        return dataset


def _refuse_bomb(file: BinaryIO, path: Path) -> None:
    """Inflates a deflated file up to the limit before pydicom inflates it without one."""
    start = file.read(_META_START + 1024)
    file.seek(0)
    if DeflatedExplicitVRLittleEndian.encode() not in start:
        return
    group_length = int.from_bytes(start[_META_START + 8 : _META_START + 12], "little")
    file.seek(_META_START + 12 + group_length)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(file.read(), MAX_INFLATED)
    file.seek(0)
    if inflater.unconsumed_tail:
        raise UnreadableFile(f"{path.name} inflates to more than {MAX_INFLATED >> 20} MiB, which no MR image does")
