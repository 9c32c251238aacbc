"""Pixels of a slice, in the scanner's units, whatever the encoding."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.parse import parse_header, parsing

_TAGS = [
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "PixelRepresentation",
    "RescaleSlope", "RescaleIntercept", "SOPClassUID", "Modality", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


def read_pixels(header: SliceHeader) -> NDArray[np.float32]:
    """Decodes a slice, (rows, columns), with its rescale slope and intercept applied.

    MONOCHROME1 (low is bright) is turned round within the range of the stored bits, so that all slices of a series are
    turned alike. Windows and lookup tables for display are not applied.

    Raises:
        UnreadableFile: The file is damaged, is in colour, or its encoding cannot be decoded.
    """
    path = header.path
    dataset = parse_header(path, _TAGS)
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise UnreadableFile(f"{path.name} is a colour image; MR images are grey")
    stored = _decode(header, dataset)
    if stored.shape != header.plane.shape:
        raise UnreadableFile(f"{path.name} holds other pixels than its header says; send it again")
    with parsing(path):
        if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
            stored = _turned(stored, dataset)
        slope, intercept = _rescale(dataset, header.frame)
        return (stored * slope + intercept).astype(np.float32)


def _decode(header: SliceHeader, dataset: Dataset) -> NDArray[np.float64]:
    path, frame = header.path, header.frame or 0
    try:
        with parsing(path):
            if header.transfer_syntax:
                return np.asarray(pixel_array(path, index=frame, raw=True), dtype=np.float64)
            return np.asarray(pixel_array(_with_meta(path), index=frame, raw=True), dtype=np.float64)
    except UnreadableFile as error:
        encoding = UID(header.transfer_syntax).name if header.transfer_syntax else "no stated encoding"
        raise UnreadableFile(f"the pixels of {path.name} cannot be decoded ({encoding}); send it again") from error


def _with_meta(path: Path) -> Dataset:
    """A file without File Meta Information says nothing of its encoding but what its bytes show."""
    dataset = dcmread(path, force=True)
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


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
