"""Pixels of a slice, in the scanner's units, whatever the encoding."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lumbargrade.dicom.codestream import SIZED, stated_size
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.frames import IMAGE_PIXEL, PixelFile, open_pixels
from lumbargrade.dicom.guard import DecodeFault, EncodedFrame, decode_guarded
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.limits import check_time
from lumbargrade.dicom.parse import parsing
from lumbargrade.dicom.values import read_integer


class _OtherSize(UnreadableFile):
    pass


def read_pixels(header: SliceHeader) -> NDArray[np.float32]:
    """Decodes a slice, (rows, columns), with its rescale slope and intercept applied.

    MONOCHROME1 (low is bright) is turned round within the range of the stored bits, so that all slices of a series are
    turned alike. Windows and lookup tables for display are not applied. What pads an image becomes as dark as its darkest pixel.

    Raises:
        UnreadableFile: The file is damaged, is in colour, or its encoding cannot be decoded.
    """
    path = header.path
    file = _open(header)
    stored = _stored(header, file)
    dataset = file.dataset
    with parsing(path):
        inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
        _fill_padding(stored, dataset, inverted)
        if inverted:
            stored = _turned(stored, dataset)
        slope, intercept = _rescale(dataset, header.frame)
        stored *= slope
        stored += intercept
        pixels = stored.astype(np.float32)
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
    stored = _stored(header, _open(header))
    whole = stored.astype(np.int64)
    if not (whole == stored).all():
        raise UnreadableFile(
            f"the pixels of {header.path.name} are no whole numbers", "", "pixels-not-whole", header.path.name
        )
    return whole


def _open(header: SliceHeader) -> PixelFile:
    check_time()
    with parsing(header.path):
        return open_pixels(header.path, keep=header.frame is not None)


def _stored(header: SliceHeader, file: PixelFile) -> NDArray[np.float64]:
    path, dataset = header.path, file.dataset
    with parsing(path):
        if int(dataset.get("SamplesPerPixel") or 1) != 1 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            raise UnreadableFile(f"{path.name} is a colour image; MR images are grey", "", "image-in-colour", path.name)
    stored = _decode(header, file)
    if stored.shape != header.plane.shape:
        raise _other_size(path)
    return stored


def _decode(header: SliceHeader, file: PixelFile) -> NDArray[np.float64]:
    path = header.path
    words = f"the pixels of {path.name} cannot be decoded ({_encoding(header.transfer_syntax)})"
    try:
        if header.transfer_syntax in SIZED:
            with parsing(path):
                frame = _compressed_frame(header, file)
            return decode_guarded(frame).astype(np.float64)  # others may parse meanwhile
        with parsing(path):
            dataset, index = file.alone(header.frame, header.transfer_syntax or _guess_encoding(file.dataset))
            return np.array(pixel_array(dataset, index=index, raw=True), dtype=np.float64)
    except _OtherSize:
        raise
    except DecodeFault as fault:
        if fault.code != "pixels-not-decodable":
            words = f"{words}: {fault.what}"
        raise UnreadableFile(words, fault.remedy, fault.code, path.name) from fault
    except UnreadableFile as error:
        raise UnreadableFile(words, "send it again", "pixels-not-decodable", path.name) from error


def _encoding(transfer_syntax: str) -> str:
    if not transfer_syntax:
        return "no stated encoding"
    name = str(UID(transfer_syntax, IGNORE).name)
    return name if name != transfer_syntax else "an unknown encoding"


def _guess_encoding(dataset: Dataset) -> str:
    """How the bytes are encoded of a file that does not say it."""
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _compressed_frame(header: SliceHeader, file: PixelFile) -> EncodedFrame:
    """A frame, if the size that it states is the header's: a decoder makes room for whatever it states."""
    content = file.encoded(header.frame or 0)
    if stated_size(content, header.transfer_syntax) != (*header.plane.shape, 1):
        raise _other_size(header.path)
    found = [(keyword, file.dataset.get(keyword)) for keyword in IMAGE_PIXEL]
    image = {keyword: value if isinstance(value, str) else int(value) for keyword, value in found if value is not None}
    return EncodedFrame(content, header.transfer_syntax, image, header.plane.shape)


def _other_size(path: Path) -> _OtherSize:
    return _OtherSize(
        f"{path.name} holds other pixels than its header says", "send it again", "pixels-of-another-size", path.name
    )


def _turned(stored: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    highest = 2 ** int(dataset.BitsStored) - 1
    return (-1 if dataset.get("PixelRepresentation") else highest) - stored


def _fill_padding(stored: NDArray[np.float64], dataset: Dataset, inverted: bool) -> None:
    """Gives pixels that pad an image (PixelPaddingValue) its darkest value, if theirs is beyond all others.

    The grey scale would be that of the padding else. A value that lies among those of the image may be a real one.
    """
    value = _padding(dataset, "PixelPaddingValue")
    if value is None:
        return
    other = _padding(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((value, value if other is None else other))
    pads = (stored >= low) & (stored <= high)
    image = stored[~pads]
    if pads.any() and image.size and not image.min() <= low <= high <= image.max():
        stored[pads] = image.max() if inverted else image.min()


def _padding(dataset: Dataset, keyword: str) -> int | None:
    """A value as it is decoded: files state one below zero without its sign too, or with more bits than are stored."""
    value = read_integer(dataset.get(keyword))
    if value is None:
        return None
    bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    value %= 1 << bits
    return value - (1 << bits) if dataset.get("PixelRepresentation") and value >> (bits - 1) else value


def _rescale(dataset: Dataset, frame: int | None) -> tuple[float, float]:
    each = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in [*each[frame or 0 : (frame or 0) + 1], *shared]:
        transformation = group.get("PixelValueTransformationSequence")
        if transformation:
            return _slope_intercept(transformation[0])
    return _slope_intercept(dataset)


def _slope_intercept(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    return float(slope) if slope else 1.0, float(intercept) if intercept is not None else 0.0
