import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from lumbargrade.dicom.headers import UnreadableFile, read_headers
from lumbargrade.dicom.pixels import read_pixels

Make = Callable[..., Dataset]

_PIXELS = np.arange(33 * 40, dtype=np.uint16).reshape(33, 40)
_TAGS = {"RescaleSlope": "2", "PhotometricInterpretation": "MONOCHROME1"}


def _plain(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _jpeg(make: Make, stream: bytes, pixels: NDArray[Any], syntax: str) -> Dataset:
    dataset = make(pixels, PixelData=encapsulate([stream]), **_TAGS)
    dataset["PixelData"].VR = "OB"
    return _plain(dataset, syntax)


@pytest.fixture(scope="module")
def whole_files(
    new_image: Make, new_enhanced: Make, new_compressed: Make, new_lossless_jpeg: Callable[[NDArray[np.uint16]], bytes]
) -> list[bytes]:
    grey, small = _PIXELS.astype(np.uint8), _PIXELS[:6, :8]
    baseline = io.BytesIO()
    Image.fromarray(grey).save(baseline, "JPEG")
    uncompressed = (
        ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    )  # fmt: skip
    compressed = RLELossless, JPEGLSLossless, JPEG2000Lossless
    datasets = [
        *(_plain(new_image(small, syntax, **_TAGS), syntax) for syntax in uncompressed),
        *(new_compressed(new_image(_PIXELS, **_TAGS), syntax) for syntax in compressed),
        _plain(new_enhanced(np.stack([small] * 2))),
        _jpeg(new_image, new_lossless_jpeg(_PIXELS), _PIXELS, JPEGLosslessSV1),
        _jpeg(new_image, baseline.getvalue(), grey, JPEGBaseline8Bit),
    ]
    return [_bytes(dataset) for dataset in datasets]


def _bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def test_whole_files_are_read(writer: Any, whole_files: list[bytes]) -> None:
    for content in whole_files:
        for header in read_headers(writer.bytes(content, "whole.dcm")):
            assert read_pixels(header).shape == header.plane.shape


@given(content=st.binary(max_size=400))
def test_random_bytes_are_no_dicom(writer: Any, content: bytes) -> None:
    with pytest.raises(UnreadableFile, match=r"^random\.dcm is "):
        read_headers(writer.bytes(content, "random.dcm"))


@given(content=st.binary(max_size=400))
def test_random_bytes_behind_a_preamble_are_no_dicom(writer: Any, content: bytes) -> None:
    with pytest.raises(UnreadableFile, match=r"^random\.dcm is "):
        read_headers(writer.bytes(bytes(128) + b"DICM" + content, "random.dcm"))


_FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=6)


@settings(max_examples=600, deadline=None)
@given(which=st.integers(0, 9), flips=_FLIPS, keep=st.floats(0.05, 1) | st.just(1.0))
def test_a_damaged_file_is_read_or_refused(
    writer: Any, whole_files: list[bytes], which: int, flips: list[tuple[float, int]], keep: float
) -> None:
    content = bytearray(whole_files[which])
    for place, change in flips:
        content[128 + int(place * (len(content) - 128))] ^= change
    path = writer.bytes(bytes(content[: int(keep * len(content))]), "damaged.dcm")
    try:
        for header in read_headers(path):
            pixels = read_pixels(header)
            assert pixels.shape == header.plane.shape
            assert np.isfinite(pixels).all()
    except UnreadableFile as error:
        assert "damaged.dcm" in str(error)
        assert "SECRET" not in str(error)
