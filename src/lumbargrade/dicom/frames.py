"""The stored pixels of a file, frame by frame: the file is opened and parsed once, and a frame is read where it lies."""

import os
import struct
import threading
import weakref
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from math import ceil, inf
from pathlib import Path

from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRBigEndian, RLELossless

from lumbargrade.dicom.guard import MOST_ENCODED
from lumbargrade.dicom.parse import MAX_INFLATED, bounded_file, read_header

IMAGE_PIXEL = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated",
    "BitsStored", "PixelRepresentation",
)  # fmt: skip
"""What a frame is decoded by."""

_TAGS = [
    Tag(keyword) for keyword in (
        *IMAGE_PIXEL, "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "SOPClassUID", "Modality",
        "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ExtendedOffsetTable", "PixelPaddingValue",
        "PixelPaddingRangeLimit",
    )
]  # fmt: skip

_MOST_OPEN = 8
"""Files of many frames that are kept open: a study has a few, which may be read in turns."""

_MOST_FRAGMENTS = 100_000
_ITEM, _NO_LENGTH = 0xFFFEE000, 0xFFFFFFFF
_END_OF_IMAGE = b"\xff\xd9"

Span = tuple[int, int]
"""Start and length in the file, bytes."""


class PixelFile:
    """A file of one image or of many; to be made and used within :func:`lumbargrade.dicom.parse.parsing`.

    Attributes:
        dataset: What of its header its pixels are decoded by.
        inflated_bytes: That it takes in memory.
    """

    def __init__(self, path: Path) -> None:
        with bounded_file(path) as file:
            self.dataset, self._element, self._inflated = read_header(file, path, _TAGS)
            if self._inflated is None:
                self._file = os.dup(file.fileno())
                weakref.finalize(self, os.close, self._file)
        self._size = os.fstat(self._file).st_size if self._inflated is None else len(self._inflated)
        self.inflated_bytes = 0 if self._inflated is None else self._size

    def encoded(self, number: int) -> bytes:
        """A frame as it is compressed.

        Args:
            number: From 0.

        Raises:
            ValueError: The file does not hold it.
        """
        spans = self._encoded[number]
        if sum(length for _, length in spans) > MOST_ENCODED:
            raise ValueError("a frame of more than any image")
        return b"".join(self._read_whole(*span) for span in spans)

    def alone(self, number: int | None, transfer_syntax: str) -> tuple[Dataset, int]:
        """A frame for pydicom to decode.

        Args:
            number: From 0; None for the only one of a file that must not hold others.

        Returns:
            A file of this frame, and the frame's number in it.
        """
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax, IGNORE)
        for keyword in IMAGE_PIXEL:
            if keyword in self.dataset:
                dataset[keyword] = self.dataset[keyword]
        if transfer_syntax == RLELossless:
            dataset.PixelData = encapsulate([self.encoded(number or 0)])
            return dataset, 0
        return self._add_native(dataset, number)

    def _add_native(self, dataset: Dataset, number: int | None) -> tuple[Dataset, int]:
        """Adds a frame's pixels, or all where frames do not begin at whole words of the encoding."""
        tag, vr, start, length = self._element
        bits = (
            int(dataset.Rows)
            * int(dataset.Columns)
            * int(dataset.get("SamplesPerPixel") or 1)
            * int(dataset.BitsAllocated)
        )
        size = ceil(bits / 8)
        if length == _NO_LENGTH or (number is None and length >= 2 * size):
            raise ValueError("other pixels than the header says")
        index = number or 0
        if index and bits % (16 if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else 8):
            dataset.NumberOfFrames = self.dataset.NumberOfFrames
            pixels = self._read(start, length)
        else:
            pixels = self._read(start + index * size, min(size + size % 2, length - index * size))
            index = 0
        dataset.add_new(tag, "OB" if vr == "OB" else "OW", pixels)
        return dataset, index

    @cached_property
    def _encoded(self) -> list[list[Span]]:
        """The fragments of each frame (DICOM PS3.5, A.4): by the offset tables, if they are right, else by what they hold."""
        if self._element.length != _NO_LENGTH:
            raise ValueError("pixels that are not encapsulated")
        table, *fragments = self._fragments()
        frames = int(self.dataset.get("NumberOfFrames") or 1)
        starts = [start - fragments[0][0] for start, _ in fragments]
        end = sum(length + 8 for _, length in fragments)
        for offsets in (self._extended_offsets(), self._basic_offsets(table)):
            rising = offsets[:1] == [0] and all(one < other for one, other in pairwise(offsets))
            if rising and frames <= len(offsets) and {offset for offset in offsets if offset < end} <= set(starts):
                bounds = [bisect_left(starts, offset) for offset in (*offsets, inf)]
                return [fragments[one:other] for one, other in pairwise(bounds) if one < other]
        if frames == 1:
            return [fragments]
        if frames == len(fragments):
            return [[fragment] for fragment in fragments]
        return self._by_ends(fragments)

    def _by_ends(self, fragments: list[Span]) -> list[list[Span]]:
        """Where a fragment ends as a JPEG stream does, the next one begins a frame; the last ones may be missing."""
        frames: list[list[Span]] = [[]]
        for start, length in fragments:
            frames[-1].append((start, length))
            if _END_OF_IMAGE in self._read(start + max(length - 10, 0), min(length, 10)):
                frames.append([])
        return [frame for frame in frames if frame]

    def _fragments(self) -> list[Span]:
        """The offset table, and the fragments behind it."""
        spans: list[Span] = []
        place = self._element.start
        while len(head := self._read(place, 8)) == 8:
            group, element, length = struct.unpack("<HHL", head)
            if group << 16 | element != _ITEM:
                break
            spans.append((place + 8, length))
            place += 8 + length
            if len(spans) > _MOST_FRAGMENTS:
                raise ValueError("more fragments than any image")
        if len(spans) < 2:
            raise ValueError("no fragments")
        return spans

    def _extended_offsets(self) -> list[int]:
        table = self.dataset.get("ExtendedOffsetTable") or b""
        return list(struct.unpack(f"<{len(table) // 8}Q", table[: len(table) // 8 * 8]))

    def _basic_offsets(self, span: Span) -> list[int]:
        table = self._read(span[0], min(span[1], 4 * _MOST_FRAGMENTS))
        return list(struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4]))

    def _read_whole(self, start: int, length: int) -> bytes:
        content = self._read(start, length)
        if len(content) < length:
            raise ValueError("cut short")
        return content

    def _read(self, start: int, length: int) -> bytes:
        length = max(min(length, self._size - start), 0)
        if self._inflated is not None:
            return bytes(self._inflated[start : start + length])
        return os.pread(self._file, length, start)


_kept: OrderedDict[tuple[Path, int, int, int], PixelFile] = OrderedDict()
_lock = threading.RLock()


def open_pixels(path: Path, keep: bool) -> PixelFile:
    """Opens a file within :func:`lumbargrade.dicom.parse.parsing`.

    Args:
        keep: Whether it is asked for again soon: one of many frames. It is the same one then, unless it has changed.

    Raises:
        Exception: As :func:`lumbargrade.dicom.parse.read_header`.
    """
    if not keep:
        return PixelFile(path)
    found = path.stat()
    key = (path, found.st_ino, found.st_mtime_ns, found.st_size)
    with _lock:
        file = _kept.pop(key, None) or PixelFile(path)
        _kept[key] = file
        while len(_kept) > _MOST_OPEN or (
            len(_kept) > 1 and sum(kept.inflated_bytes for kept in _kept.values()) > MAX_INFLATED
        ):
            _kept.popitem(last=False)
    return file


@contextmanager
def closing_pixels() -> Iterator[None]:
    """Closes, at the end, the files that are kept open; one that is asked for again is opened again."""
    try:
        yield
    finally:
        with _lock:
            _kept.clear()
