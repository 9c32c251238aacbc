"""Pixels of a slice, in the scanner's units, whatever the encoding."""

import warnings
from functools import lru_cache
from os import SEEK_CUR
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.config import IGNORE
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from lumbargrade.dicom.codestream import SIZED, stated_size
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.limits import check_time
from lumbargrade.dicom.parse import bounded_file, parse_header, parsing, read_file

_TAGS = [
    Tag(keyword) for keyword in (
        "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "PixelRepresentation",
        "RescaleSlope", "RescaleIntercept", "SOPClassUID", "Modality", "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    )
]  # fmt: skip

_IMAGE_PIXEL = [
    Tag(keyword) for keyword in (
        "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated",
        "BitsStored", "PixelRepresentation", "NumberOfFrames",
    )
]  # fmt: skip


class _OtherSize(UnreadableFile):
    pass


def read_pixels(header: SliceHeader) -> NDArray[np.float32]:
    """Decodes a slice, (rows, columns), with its rescale slope and intercept applied.

    MONOCHROME1 (low is bright) is turned round within the range of the stored bits, so that all slices of a series are
    turned alike. Windows and lookup tables for display are not applied.

    Raises:
        UnreadableFile: The file is damaged, is in colour, or its encoding cannot be decoded.
    """
    path = header.path
    dataset = _parsed(header)
    stored = _stored(header, dataset)
    with parsing(path):
        if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
            stored = _turned(stored, dataset)
        slope, intercept = _rescale(dataset, header.frame)
        pixels = (stored * slope + intercept).astype(np.float32)
    if not np.isfinite(pixels).all():
        raise UnreadableFile(
            f"the pixels of {path.name} are not all finite numbers", "send it again", "pixels-not-finite", path.name
        )
    return pixels


def read_stored(header: SliceHeader) -> NDArray[np.int64]:
    """Decodes the stored values of a slice, (rows, columns), as the file has them.

    Raises:
        UnreadableFile: The file is damaged, is in colour, holds no whole numbers, or its encoding cannot be decoded.
    """
    stored = _stored(header, _parsed(header))
    whole = stored.astype(np.int64)
    if not (whole == stored).all():
        raise UnreadableFile(
            f"the pixels of {header.path.name} are no whole numbers", "", "pixels-not-whole", header.path.name
        )
    return whole


def _parsed(header: SliceHeader) -> Dataset:
    """The header of a slice's file; that of many frames is parsed once for those that are read one after the other."""
    check_time()
    if header.frame is None:
        return parse_header(header.path, _TAGS)
    with parsing(header.path):
        found = header.path.stat()
    return _parse_once(header.path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1)
def _parse_once(path: Path, modified: int, size: int) -> Dataset:
    return parse_header(path, _TAGS)


def _stored(header: SliceHeader, dataset: Dataset) -> NDArray[np.float64]:
    path = header.path
    with parsing(path):
        if int(dataset.get("SamplesPerPixel") or 1) != 1 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            raise UnreadableFile(f"{path.name} is a colour image; MR images are grey", "", "image-in-colour", path.name)
    stored = _decode(header, dataset)
    if stored.shape != header.plane.shape:
        raise _other_size(path)
    return stored


def _decode(header: SliceHeader, dataset: Dataset) -> NDArray[np.float64]:
    path = header.path
    try:
        with parsing(path):
            warnings.filterwarnings("error", "The number of bytes of pixel data is sufficient to contain")
            source, index = _source(header)
            return np.asarray(pixel_array(source, index=index, raw=True), dtype=np.float64)
    except _OtherSize:
        raise
    except UnreadableFile as error:
        encoding = _encoding(header.transfer_syntax)
        raise UnreadableFile(
            f"the pixels of {path.name} cannot be decoded ({encoding})",
            "send it again",
            "pixels-not-decodable",
            path.name,
        ) from error


def _encoding(transfer_syntax: str) -> str:
    if not transfer_syntax:
        return "no stated encoding"
    name = str(UID(transfer_syntax, IGNORE).name)
    return name if name != transfer_syntax else "an unknown encoding"


def _source(header: SliceHeader) -> tuple[Path | Dataset, int]:
    """What pydicom decodes, and the frame in it.

    It is the path where pydicom can read a single frame of many, else the whole file, whose size it then checks.
    """
    index = header.frame or 0
    if header.transfer_syntax in SIZED:
        return _compressed_frame(header, index), 0
    if header.frame is not None and header.transfer_syntax not in ("", DeflatedExplicitVRLittleEndian):
        return header.path, index
    dataset = read_file(header.path)
    if not header.transfer_syntax:  # then the bytes alone show the encoding
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset, index


def _compressed_frame(header: SliceHeader, index: int) -> Dataset:
    """A frame alone, if the size that it states is the header's: a decoder makes room for whatever it states."""
    with bounded_file(header.path) as file:
        dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(_IMAGE_PIXEL))
        file.seek(12, SEEK_CUR)  # tag, kind and length of the pixel data
        frames = int(dataset.get("NumberOfFrames") or 1)
        frame = get_frame(file, index, number_of_frames=frames)
    if stated_size(frame, header.transfer_syntax) != (*header.plane.shape, 1):
        raise _other_size(header.path)
    dataset.NumberOfFrames = 1
    dataset.PixelData = encapsulate([frame])
    return dataset


def _other_size(path: Path) -> _OtherSize:
    return _OtherSize(
        f"{path.name} holds other pixels than its header says", "send it again", "pixels-of-another-size", path.name
    )


def _turned(stored: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    highest = 2 ** int(dataset.BitsStored) - 1
    return (-1 if dataset.get("PixelRepresentation") else highest) - stored


def _rescale(dataset: Dataset, frame: int | None) -> tuple[float, float]:
    each = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    for group in [*each[frame or 0 : (frame or 0) + 1], *shared]:
        transformation = group.get("PixelValueTransformationSequence")
        if transformation:
            return _slope_intercept(transformation[0])
    return _slope_intercept(dataset)


def _slope_intercept(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    return float(slope) if slope else 1.0, float(intercept) if intercept is not None else 0.0
