"""Parses a file's header, whatever the file is, into a pydicom dataset that has an image."""

import errno
import io
import logging
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MRSpectroscopyStorage,
    SegmentationStorage,
)

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
_NO_IMAGES = {SegmentationStorage, _LABEL_MAP, MRSpectroscopyStorage}
"""Objects that have rows and columns, and show nobody."""
_PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}  # of floats, of doubles, of whole numbers


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
        self.seek, self.tell, self.fileno = file.seek, file.tell, file.fileno

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise ValueError("more elements than any DICOM file has")
        if self._reads % _READS_A_CHECK == 0:
            check_time()
        return self._file.read(size)


class _InflatedFile(_BoundedFile):
    """A deflated file, inflated."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.content = file.getbuffer()


class PixelElement(NamedTuple):
    """Where in a file its pixels are.

    Attributes:
        vr: How the value is represented; None if the file leaves it open.
        start, length: Of the value, bytes; 0xFFFFFFFF is a length that is not stated.
    """

    tag: int
    vr: str | None
    start: int
    length: int


class FileHeader(NamedTuple):
    """A file up to its pixels.

    Attributes:
        inflated: All of a deflated file, as if it were not.
    """

    dataset: Dataset
    pixels: PixelElement
    inflated: memoryview | None


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


def read_file(path: Path, tags: list[BaseTag]) -> Dataset:
    """Reads tags of a DICOM file, up to its pixels, whatever object it is.

    Raises:
        Exception: Any, as pydicom raises it; the caller turns it into its own with :func:`parsing`.
    """
    with bounded_file(path) as file:
        return _mark_inflated(dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(tags)), file)


def _mark_inflated(dataset: Dataset, file: BinaryIO) -> Dataset:
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
    with parsing(path), bounded_file(path) as file:
        return read_header(file, path, tags).dataset


def read_header(file: BinaryIO, path: Path, tags: list[BaseTag]) -> FileHeader:
    """Reads a file that :func:`bounded_file` has opened, within :func:`parsing`; raises as :func:`parse_header` does."""
    found: list[PixelElement] = []

    def stop(tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) not in _PIXEL_DATA:
            return False
        found.append(PixelElement(int(tag), vr, file.tell(), length))
        return True

    dataset = _mark_inflated(read_partial(file, stop, force=True, specific_tags=list(tags)), file)
    _check_image(dataset, path)
    if not found:
        raise UnreadableFile(f"{path.name} ends before its pixels", "send it again", "file-cut-short", path.name)
    for tag in tags:
        _refuse_long_sequence(dataset, tag)
    return FileHeader(dataset, found[-1], file.content if isinstance(file, _InflatedFile) else None)


def _check_image(dataset: Dataset, path: Path) -> None:
    if not dataset.get("Rows") or not dataset.get("Columns"):
        if dataset.get("SOPClassUID") or dataset.get("Modality") or dataset.file_meta.get("MediaStorageSOPClassUID"):
            raise NotAnImage(f"{path.name} is a DICOM object without an image", "", "no-image")
        raise UnreadableFile(f"{path.name} is not a DICOM file", "", "not-dicom")
    if dataset.get("SOPClassUID") in _NO_IMAGES:
        raise NotAnImage(f"{path.name} is a DICOM object without an image", "", "no-image")
    if int(dataset.Rows) < 0 or int(dataset.Columns) < 0:
        raise ValueError("negative size")
    if int(dataset.Rows) * int(dataset.Columns) > MAX_PIXELS:
        raise UnreadableFile(
            f"{path.name} claims {dataset.Rows} x {dataset.Columns} pixels, which no MR image has",
            "",
            "image-too-large",
        )


def _refuse_long_sequence(dataset: Dataset, tag: BaseTag) -> None:
    """A sequence of a stated length is parsed when it is asked for, out of the reach of a file's bound."""
    element = dataset.get_item(tag) if tag in dataset else None
    if isinstance(element, RawDataElement) and element.value is not None and len(element.value) > MAX_SEQUENCE_BYTES:
        raise ValueError("a sequence longer than that of any image")


def _inflate(file: BinaryIO, path: Path) -> io.BytesIO | None:
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
