"""Parses a file's header, whatever the file is, into a pydicom dataset that has an image."""

import errno
import io
import logging
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, SegmentationStorage

from lumbargrade.dicom.errors import NotAnImage, UnreadableFile
from lumbargrade.dicom.limits import StudyTimeoutError, check_time
from lumbargrade.dicom.magic import START_BYTES, looks_like_dicom

MAX_INFLATED = 512 << 20
"""Bytes that a deflated file may become; a zip bomb becomes more."""

MAX_PIXELS = 64 << 20
"""Pixels of an image; no MR slice has more."""

MAX_READS = 300_000
"""Reads of a file while its header is parsed, two or three an element; a file of zeros is millions of empty elements."""

MAX_SEQUENCE_BYTES = 32 << 20
"""Of a sequence that is parsed; the largest of real ones are those of multi-frame images, some kilobytes a frame."""

_CHUNK = 1 << 20
_READS_A_CHECK = 1 << 13
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
    except UnreadableFile as error:
        error.quote = error.quote or path.name
        raise
    except StudyTimeoutError:
        raise
    except FileNotFoundError as error:
        raise UnreadableFile(f"{path.name} is not there", "", "file-missing", path.name) from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # what decoders raise, and a leap to nowhere
            raise _damaged(path) from error
        raise UnreadableFile(
            f"{path.name} cannot be read: {error.strerror}", "see that it can be", "file-unreadable", path.name
        ) from error
    except BaseException as error:  # damage makes pydicom raise anything, and decoders in Rust panic
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise _damaged(path) from error


def _damaged(path: Path) -> UnreadableFile:
    return UnreadableFile(
        f"{path.name} is damaged or no DICOM file", "send it again or remove it", "file-damaged", path.name
    )


@contextmanager
def _unlogged() -> Iterator[None]:
    logger = logging.getLogger("pydicom")
    before, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = before


class _BoundedFile:
    """A file that is read in so many pieces at most; what is built of millions of tiny elements ends there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads = 0
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise ValueError("more elements than any DICOM file has")
        if self._reads % _READS_A_CHECK == 0:
            check_time()
        return self._file.read(size)


class _InflatedFile(_BoundedFile):
    """A deflated file, inflated."""


@contextmanager
def bounded_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a DICOM file for pydicom, such that no file keeps it busy for long; a deflated one is inflated already.

    Raises:
        UnreadableFile: It does not begin as DICOM does, or would inflate beyond :data:`MAX_INFLATED`.
    """
    check_time()
    with path.open("rb") as file:
        if not looks_like_dicom(file.read(START_BYTES)):
            raise UnreadableFile(f"{path.name} is not a DICOM file", "", "not-dicom")
        file.seek(0)
        bounded = bound_reads(file)
        inflated = _inflate(bounded, path)
        file.seek(0)
        yield bounded if inflated is None else cast(BinaryIO, _InflatedFile(inflated))


def read_file(path: Path, tags: Sequence[BaseTag] | None = None) -> Dataset:
    """Reads a DICOM file with pydicom within bounds.

    Args:
        tags: Only these, up to the pixels; all of the file if not given.

    Raises:
        Exception: Any, as pydicom raises it; the caller turns it into its own with :func:`parsing`.
    """
    with bounded_file(path) as file:
        return _read(file, tags)


def _read(file: BinaryIO, tags: Sequence[BaseTag] | None) -> Dataset:
    if tags is None:
        dataset = dcmread(file, force=True)
    else:
        dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(tags))
    if isinstance(file, _InflatedFile):
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return dataset


def bound_reads(file: BinaryIO) -> BinaryIO:
    """The file, but it raises ValueError once it has been read in more than :data:`MAX_READS` pieces."""
    return cast(BinaryIO, _BoundedFile(file))


def parse_header(path: Path, tags: list[BaseTag]) -> Dataset:
    """Reads a file up to its pixels.

    Args:
        tags: What is needed.

    Raises:
        UnreadableFile: It is no DICOM file, is damaged, ends before its pixels, or would inflate beyond :data:`MAX_INFLATED`.
        NotAnImage: It holds no image.
        StudyTimeoutError: The study that it belongs to has taken too long.
    """
    with parsing(path):
        with bounded_file(path) as file:
            dataset = _read(file, tags)
            cut = not isinstance(file, _InflatedFile) and not file.read(1)
        if not dataset.get("Rows") or not dataset.get("Columns"):
            if (
                dataset.get("SOPClassUID")
                or dataset.get("Modality")
                or dataset.file_meta.get("MediaStorageSOPClassUID")
            ):
                raise NotAnImage(f"{path.name} is a DICOM object without an image", "", "no-image")
            raise UnreadableFile(f"{path.name} is not a DICOM file", "", "not-dicom")
        if dataset.get("SOPClassUID") in _SEGMENTATIONS:
            raise NotAnImage(f"{path.name} is a DICOM object without an image", "", "no-image")
        if int(dataset.Rows) < 0 or int(dataset.Columns) < 0:
            raise ValueError("negative size")
        if int(dataset.Rows) * int(dataset.Columns) > MAX_PIXELS:
            raise UnreadableFile(
                f"{path.name} claims {dataset.Rows} x {dataset.Columns} pixels, which no MR image has",
                "",
                "image-too-large",
            )
        if cut:
            raise UnreadableFile(f"{path.name} ends before its pixels", "send it again", "file-cut-short", path.name)
        for tag in tags:
            _refuse_long_sequence(dataset, tag)
        return dataset


def _refuse_long_sequence(dataset: Dataset, tag: BaseTag) -> None:
    """A sequence of a stated length is parsed when it is asked for, out of the reach of a file's bound."""
    element = dataset.get_item(tag) if tag in dataset else None
    if isinstance(element, RawDataElement) and element.value is not None and len(element.value) > MAX_SEQUENCE_BYTES:
        raise ValueError("a sequence longer than that of any image")


def _inflate(file: BinaryIO, path: Path) -> BinaryIO | None:
    """A deflated file as pydicom reads one that is not, or None for any other; pydicom would inflate without a limit."""
    read_preamble(file, force=True)
    meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return None
    read_dataset(file, is_implicit_VR=True, is_little_endian=True, stop_when=lambda tag, *_: tag >> 16 != 0)
    end = file.tell()
    file.seek(0)
    head = file.read(end)
    inflated = io.BytesIO()
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    inflated.write(head.replace(DeflatedExplicitVRLittleEndian.encode(), plain))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflater.eof and (deflated := inflater.unconsumed_tail or file.read(_CHUNK)):
        inflated.write(inflater.decompress(deflated, _CHUNK))
        if inflated.tell() - end > MAX_INFLATED:
            raise UnreadableFile(
                f"{path.name} inflates to more than {MAX_INFLATED >> 20} MiB, which no MR image does",
                "",
                "file-inflates-too-much",
            )
    if not inflater.eof:
        raise ValueError("cut short")
    inflated.seek(0)
    return inflated
