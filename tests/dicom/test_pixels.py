import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from lumbargrade.dicom.headers import UnreadableFile, read_headers
from lumbargrade.dicom.pixels import read_pixels

Make = Callable[..., Dataset]
Jpeg = Callable[[NDArray[np.uint16]], bytes]


def _read(path: Any, frame: int = 0) -> NDArray[np.float32]:
    return read_pixels(read_headers(path)[frame])


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
    np.testing.assert_array_equal(_read(write.compressed(new_image(stored), syntax)), stored)


def test_nearly_lossless_jpeg_ls_is_close(write: Any, new_image: Make, pixels: NDArray[np.uint16]) -> None:
    decoded = _read(write.compressed(new_image(pixels), JPEGLSNearLossless, jls_error=3))
    assert 0 < np.abs(decoded - pixels).max() <= 3


def test_jpeg_2000_with_losses_is_close(write: Any, new_image: Make) -> None:
    smooth = np.add.outer(np.arange(64) * 30, np.arange(64) * 20).astype(np.uint16)
    decoded = _read(write.compressed(new_image(smooth), JPEG2000, j2k_psnr=[60]))
    assert np.abs(decoded - smooth).max() < 40


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
def test_lossless_jpeg(write: Any, new_lossless_jpeg: Jpeg, syntax: str) -> None:
    stored = np.random.default_rng(0).integers(0, 65536, (9, 7), dtype=np.uint16)
    stored[0, 0] = 0  # the difference of 32768 is a case of its own
    path = write.encapsulated(new_lossless_jpeg(stored), stored, syntax, BitsStored=16, HighBit=15)
    np.testing.assert_array_equal(_read(path), stored)


def test_extended_jpeg_has_12_bits(write: Any, new_extended_jpeg: Jpeg) -> None:
    blocks = np.array([[0, 4095, 2048], [300, 1, 3000]], dtype=np.uint16)
    stored = np.kron(blocks, np.ones((8, 8), np.uint16))
    decoded = _read(write.encapsulated(new_extended_jpeg(blocks), stored, JPEGExtended12Bit))
    assert np.abs(decoded - stored).max() <= 1


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


@pytest.mark.parametrize(
    ("stored", "tags", "shown"),
    [
        (np.array([[-32768, 3], [5, 9]], np.int16), {"PixelPaddingValue": -32768}, [[3, 3], [5, 9]]),
        (np.array([[65535, 3], [5, 9]], np.uint16), {"PixelPaddingValue": 65535}, [[3, 3], [5, 9]]),
        (
            np.array([[60000, 3], [65000, 9]], np.uint16),
            {"PixelPaddingValue": 60000, "PixelPaddingRangeLimit": 65535},
            [[3, 3], [3, 9]],
        ),
        (np.array([[5, 3], [5, 9]], np.uint16), {"PixelPaddingValue": 5}, [[5, 3], [5, 9]]),
        (np.array([[7, 7], [7, 7]], np.uint16), {"PixelPaddingValue": 7}, [[7, 7], [7, 7]]),
    ],
    ids=["below", "above", "range", "among others", "nothing else"],
)
def test_padding_is_as_dark_as_the_darkest_pixel(
    write: Any, stored: NDArray[np.generic], tags: dict[str, int], shown: list[list[int]]
) -> None:
    np.testing.assert_array_equal(_read(write.image(stored, **tags)), shown)


def test_padding_of_an_image_in_which_low_is_bright_is_dark(write: Any) -> None:
    stored = np.array([[0, 100], [4000, 4050]], dtype=np.uint16)
    turned = _read(write.image(stored, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0))
    np.testing.assert_array_equal(turned, [[45, 3995], [95, 45]])


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


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_decodes_the_frame_asked_for_with_its_own_slope(write: Any, new_enhanced: Make, syntax: str) -> None:
    stored = np.arange(3 * 6 * 8, dtype=np.uint16).reshape(3, 6, 8)
    path = write.dataset(new_enhanced(stored), syntax=syntax)
    for frame in (2, 0, 1):
        np.testing.assert_array_equal(_read(path, frame), stored[frame] * (frame + 1.0) + 10)


@pytest.mark.parametrize("table", ["basic", "extended", "none"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_decodes_the_compressed_frame_asked_for(
    write: Any, new_enhanced: Make, new_compressed: Make, syntax: str, table: str
) -> None:
    stored = np.arange(3 * 33 * 40, dtype=np.uint16).reshape(3, 33, 40)
    dataset = new_compressed(new_enhanced(stored), syntax, encapsulate_ext=table == "extended")
    if table == "none":
        dataset.PixelData = encapsulate(list(generate_frames(dataset.PixelData, number_of_frames=3)), has_bot=False)
    path = write.dataset(dataset)
    for frame in (2, 0, 1):
        np.testing.assert_array_equal(_read(path, frame), stored[frame] * (frame + 1.0) + 10)


def test_a_frame_in_pieces(write: Any, new_image: Make, new_compressed: Make, pixels: NDArray[np.uint16]) -> None:
    dataset = new_compressed(new_image(pixels), JPEG2000Lossless)
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([frame], 4, has_bot=False)
    np.testing.assert_array_equal(_read(write.dataset(dataset)), pixels)


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
