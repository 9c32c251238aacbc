import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
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


def _read(path: Any, frame: int = 0) -> NDArray[np.float32]:
    return read_pixels(read_headers(path)[frame])


def _lossless_jpeg(pixels: NDArray[np.uint16]) -> bytes:
    """Lossless JPEG (ITU-T T.81, annex H) of 16 bits: predictor 1, all 17 categories with codes of 5 bits."""
    rows, columns = pixels.shape
    values = pixels.astype(np.int64)
    left = np.roll(values, 1, axis=1)
    left[1:, 0] = values[:-1, 0]
    left[0, 0] = 1 << 15
    bits = ""
    for difference in ((values - left + 32768) % 65536 - 32768).ravel().tolist():
        category = abs(difference).bit_length()
        bits += f"{category:05b}"
        if 0 < category < 16:
            bits += f"{difference if difference > 0 else difference + (1 << category) - 1:0{category}b}"
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    frame = bytes([16]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    start = bytes([1, 1, 0, 1, 0, 0])
    return b"\xff\xd8" + segment(0xC3, frame) + segment(0xC4, table) + segment(0xDA, start) + scan + b"\xff\xd9"


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_uncompressed_pixels(write: Any, pixels: NDArray[np.uint16], syntax: str) -> None:
    decoded = _read(write.image(pixels, syntax=syntax))
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
def test_compressed_pixels(write: Any, new_image: Make, pixels: NDArray[np.uint16], syntax: str, signed: bool) -> None:
    stored = pixels.astype(np.int16) - 2000 if signed else pixels
    dataset = new_image(stored)
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(_read(write.dataset(dataset)), stored)


def test_lossless_jpeg(write: Any) -> None:
    stored = np.random.default_rng(0).integers(0, 65536, (9, 7), dtype=np.uint16)
    stored[0, 0] = 0  # the difference of 32768 is a case of its own
    path = write.encapsulated(_lossless_jpeg(stored), stored, JPEGLosslessSV1, BitsStored=16, HighBit=15)
    np.testing.assert_array_equal(_read(path), stored)


def test_baseline_jpeg_is_close(write: Any) -> None:
    stored = np.add.outer(np.arange(16) * 5, np.arange(24) * 4).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "JPEG", quality=95)
    decoded = _read(write.encapsulated(stream.getvalue(), stored, JPEGBaseline8Bit))
    assert np.abs(decoded - stored).max() < 6


@pytest.mark.parametrize(
    ("implicit", "little"), [(True, True), (False, True), (False, False)], ids=["implicit", "explicit", "big"]
)
def test_pixels_without_meta_information(
    write: Any, new_image: Make, pixels: NDArray[np.uint16], implicit: bool, little: bool
) -> None:
    path = write.folder / "bare.dcm"
    dataset = new_image(pixels, ExplicitVRLittleEndian if little else ExplicitVRBigEndian)
    dataset.save_as(path, implicit_vr=implicit, little_endian=little)
    np.testing.assert_array_equal(_read(path), pixels)


def test_rescales(write: Any, pixels: NDArray[np.uint16]) -> None:
    decoded = _read(write.image(pixels, RescaleSlope="2.5", RescaleIntercept="-100"))
    np.testing.assert_allclose(decoded, pixels * 2.5 - 100)


def test_a_slope_of_zero_is_not_believed(write: Any, pixels: NDArray[np.uint16]) -> None:
    np.testing.assert_array_equal(_read(write.image(pixels, RescaleSlope="0", RescaleIntercept="3")), pixels + 3.0)


def test_a_slope_beyond_numbers_is_refused(write: Any) -> None:
    with pytest.raises(UnreadableFile) as caught:
        _read(write.image(RescaleSlope="1e300"))
    assert str(caught.value) == "the pixels of 1.dcm are not all finite numbers; send it again"


def test_windows_change_nothing(write: Any, pixels: NDArray[np.uint16]) -> None:
    np.testing.assert_array_equal(_read(write.image(pixels, WindowCenter="40", WindowWidth="0")), pixels)


def test_signed_pixels(write: Any) -> None:
    stored = np.array([[-32768, -1], [0, 32767]], dtype=np.int16)
    np.testing.assert_array_equal(_read(write.image(stored)), stored)


def test_bits_above_those_stored_are_no_part_of_a_pixel(write: Any, pixels: NDArray[np.uint16]) -> None:
    np.testing.assert_array_equal(_read(write.image(pixels | np.uint16(0xF000))), pixels)


def test_low_is_bright_is_turned_within_the_stored_bits(write: Any) -> None:
    stored = np.array([[0, 1], [4000, 4095]], dtype=np.uint16)
    turned = _read(write.image(stored, PhotometricInterpretation="MONOCHROME1", RescaleSlope="2"))
    np.testing.assert_array_equal(turned, [[8190, 8188], [190, 0]])


def test_low_is_bright_is_turned_with_its_sign(write: Any) -> None:
    stored = np.array([[-32768, -1], [0, 32767]], dtype=np.int16)
    turned = _read(write.image(stored, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(turned, [[32767, 0], [-1, -32768]])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_decodes_the_frame_asked_for_with_its_own_slope(write: Any, new_enhanced: Make, syntax: str) -> None:
    stored = np.arange(3 * 6 * 8, dtype=np.uint16).reshape(3, 6, 8)
    dataset = new_enhanced(stored)
    if syntax == RLELossless:
        dataset.file_meta = Dataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(syntax, generate_instance_uid=False)
    path = write.dataset(dataset, syntax=syntax)
    for frame in (2, 0, 1):
        np.testing.assert_array_equal(_read(path, frame), stored[frame] * (frame + 1.0) + 10)


def test_a_shared_slope_counts_for_all_frames(write: Any, new_enhanced: Make) -> None:
    stored = np.arange(2 * 6 * 8, dtype=np.uint16).reshape(2, 6, 8)
    dataset = new_enhanced(stored)
    transformation = dataset.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence
    dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = transformation
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PixelValueTransformationSequence
    np.testing.assert_array_equal(_read(write.dataset(dataset), 0), stored[0] * 2.0 + 10)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_is_refused(write: Any, photometric: str) -> None:
    dataset_tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": photometric, "PlanarConfiguration": 0}
    path = write.image(np.zeros((6, 8), np.uint8), PixelData=bytes(6 * 8 * 3), **dataset_tags)
    with pytest.raises(UnreadableFile) as caught:
        _read(path)
    assert str(caught.value) == "1.dcm is a colour image; MR images are grey"


def test_a_palette_is_refused(write: Any) -> None:
    with pytest.raises(UnreadableFile) as caught:
        _read(write.image(PhotometricInterpretation="PALETTE COLOR"))
    assert str(caught.value) == "1.dcm is a colour image; MR images are grey"
