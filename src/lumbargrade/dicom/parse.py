"""Parses a file's header, whatever the file is, into a pydicom dataset that has an image."""

import errno
import logging
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, SegmentationStorage

from lumbargrade.dicom.errors import NotAnImage, UnreadableFile

MAX_INFLATED = 512 << 20
"""Bytes that a deflated file may become; a zip bomb becomes more."""

MAX_PIXELS = 64 << 20
"""Pixels of an image; no MR slice has more."""

_CHUNK = 1 << 20
_ALONE = threading.RLock()
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_SEGMENTATIONS = {SegmentationStorage, _LABEL_MAP}


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turns whatever a parser raises on a damaged file into :class:`UnreadableFile`, and keeps its warnings back.

    They are kept from the log too: they quote what tags say, names among it. One thread parses at a time, since what
    keeps them back holds for the whole process; it is as it was afterwards.
    """
    try:
        with _ALONE, _unlogged(), warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    except UnreadableFile:
        raise
    except FileNotFoundError as error:
        raise UnreadableFile(f"{path.name} is not there") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # what decoders raise, and a leap to nowhere
            raise _damaged(path) from error
        raise UnreadableFile(f"{path.name} cannot be read: {error.strerror}; see that it can be") from error
    except BaseException as error:  # damage makes pydicom raise anything, and decoders in Rust panic
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise _damaged(path) from error


def _damaged(path: Path) -> UnreadableFile:
    return UnreadableFile(f"{path.name} is damaged or no DICOM file; send it again or remove it")


@contextmanager
def _unlogged() -> Iterator[None]:
    logger = logging.getLogger("pydicom")
    before, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = before


def parse_header(path: Path, tags: list[BaseTag]) -> Dataset:
    """Reads a file up to its pixels.

    Args:
        tags: What is needed.

    Raises:
        UnreadableFile: It is no DICOM file, is damaged, ends before its pixels, or would inflate beyond :data:`MAX_INFLATED`.
        NotAnImage: It holds no image.
    """
    with parsing(path):
        with path.open("rb") as file:
            refuse_bomb(file, path)
            dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(tags))
            syntax = dataset.file_meta.get("TransferSyntaxUID")
            cut = syntax != DeflatedExplicitVRLittleEndian and not file.read(1)
        if not dataset.get("Rows") or not dataset.get("Columns"):
            if (
                dataset.get("SOPClassUID")
                or dataset.get("Modality")
                or dataset.file_meta.get("MediaStorageSOPClassUID")
            ):
                raise NotAnImage(f"{path.name} is a DICOM object without an image")
            raise UnreadableFile(f"{path.name} is not a DICOM file")
        if dataset.get("SOPClassUID") in _SEGMENTATIONS:
            raise NotAnImage(f"{path.name} is a DICOM object without an image")
        if int(dataset.Rows) < 0 or int(dataset.Columns) < 0:
            raise ValueError("negative size")
        if int(dataset.Rows) * int(dataset.Columns) > MAX_PIXELS:
            raise UnreadableFile(f"{path.name} claims {dataset.Rows} x {dataset.Columns} pixels, which no MR image has")
        if cut:
            raise UnreadableFile(f"{path.name} ends before its pixels; send it again")
        return dataset


def refuse_bomb(file: BinaryIO, path: Path) -> None:
    """Inflates a deflated file up to the limit before pydicom inflates it without one.

    Raises:
        UnreadableFile: It would inflate beyond :data:`MAX_INFLATED`.
    """
    read_preamble(file, force=True)
    meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        read_dataset(file, is_implicit_VR=True, is_little_endian=True, stop_when=lambda tag, *_: tag >> 16 != 0)
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not inflater.eof and (deflated := inflater.unconsumed_tail or file.read(_CHUNK)):
            size += len(inflater.decompress(deflated, _CHUNK))
            if size > MAX_INFLATED:
                raise UnreadableFile(
                    f"{path.name} inflates to more than {MAX_INFLATED >> 20} MiB, which no MR image does"
                )
    file.seek(0)
