"""Each encoding gives the stored values back, as the product decodes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import MRImageStorage

from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.pixels import read_stored
from lumbargrade.phantom.encode import TRANSFER_SYNTAXES, encode_pixels
from lumbargrade.phantom.headers.common import set_stored

RNG = np.random.default_rng(3)
IMAGES: dict[str, Callable[[], NDArray[np.uint16] | NDArray[np.int16]]] = {
    "noise": lambda: RNG.integers(0, 4096, (40, 34)).astype(np.uint16),
    "extremes": lambda: np.tile(np.array([0, 4095], np.uint16), (36, 18)),
    "flat": lambda: np.zeros((33, 40), np.uint16),
    "signed": lambda: RNG.integers(-32768, 32768, (35, 33)).astype(np.int16),
    "frames": lambda: RNG.integers(0, 4096, (3, 40, 36)).astype(np.uint16),
}


@pytest.mark.parametrize("encoding", TRANSFER_SYNTAXES)
@pytest.mark.parametrize("kind", IMAGES)
def test_nothing_is_lost(encoding: str, kind: str, tmp_path: Path) -> None:
    pixels = IMAGES[kind]()
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, "1.2.3"
    set_stored(dataset, pixels)
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = MRImageStorage, "1.2.3"
    encode_pixels(dataset, encoding)
    path = tmp_path / "1.dcm"
    dataset.save_as(path, enforce_file_format=True)
    assert dcmread(path).file_meta.TransferSyntaxUID == TRANSFER_SYNTAXES[encoding]
    decoded = np.stack([read_stored(header) for header in read_headers(path)])
    assert np.array_equal(decoded, pixels.reshape(decoded.shape))
