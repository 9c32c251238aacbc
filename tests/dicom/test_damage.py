import io
import logging
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from lumbargrade.dicom import parse
from lumbargrade.dicom.headers import MAX_FRAMES, NotAnImage, UnreadableFile, read_headers
from lumbargrade.dicom.pixels import read_pixels

Make = Callable[..., Dataset]


def _error(path: Path) -> str:
    """What is said of a file that cannot be read; nothing of the patient may be in it."""
    with pytest.raises(UnreadableFile) as caught:
        for header in read_headers(path):
            read_pixels(header)
    assert "SECRET" not in str(caught.value)
    return str(caught.value)


def _nested(levels: int, undefined: bool) -> bytes:
    """A private sequence in a sequence in a sequence, explicit little-endian."""
    content = b""
    for _ in range(levels):
        length = (0xFFFFFFFF if undefined else len(content)).to_bytes(4, "little")
        end = b"\xfe\xff\x0d\xe0\0\0\0\0" if undefined else b""
        item = b"\xfe\xff\x00\xe0" + length + content + end
        length = (0xFFFFFFFF if undefined else len(item)).to_bytes(4, "little")
        end = b"\xfe\xff\xdd\xe0\0\0\0\0" if undefined else b""
        content = b"\x08\x00\x15\x11SQ\0\0" + length + item + end  # ReferencedSeriesSequence
    return content


@pytest.mark.parametrize("content", [b"", b"study_id,level\n1,L1/L2\n" * 9, b"\0" * 500], ids=["empty", "text", "zero"])
def test_what_is_no_dicom(write: Any, content: bytes) -> None:
    assert _error(write.bytes(content, "notes.dcm")) in {
        "notes.dcm is not a DICOM file",
        "notes.dcm is damaged or no DICOM file; send it again or remove it",
    }


@given(content=st.binary(max_size=400))
def test_random_bytes_are_no_dicom(writer: Any, content: bytes) -> None:
    assert _error(writer.bytes(content, "random.dcm")).startswith("random.dcm is ")


@given(content=st.binary(max_size=400))
def test_random_bytes_behind_a_preamble_are_no_dicom(writer: Any, content: bytes) -> None:
    assert _error(writer.bytes(bytes(128) + b"DICM" + content, "random.dcm")).startswith("random.dcm is ")


def test_a_folder_is_no_file(write: Any) -> None:
    (write.folder / "1.dcm").mkdir()
    assert _error(write.folder / "1.dcm") == "1.dcm is damaged or no DICOM file; send it again or remove it"


@pytest.mark.parametrize(
    ("syntax", "encoding"),
    [(ExplicitVRLittleEndian, "Explicit VR Little Endian"), (ImplicitVRLittleEndian, "Implicit VR Little Endian")],
)
def test_pixels_cut_short(write: Any, syntax: str, encoding: str) -> None:
    path = write.image(syntax=syntax)
    path.write_bytes(path.read_bytes()[:-10])
    assert read_headers(path)[0].plane.shape == (6, 8)
    assert _error(path) == f"the pixels of 1.dcm cannot be decoded ({encoding}); send it again"


@pytest.mark.parametrize("padding", [2, 30])
def test_padding_behind_the_pixels_is_left_out(write: Any, pixels: Any, padding: int) -> None:
    path = write.image(pixels, PixelData=pixels.tobytes() + bytes(padding))
    np.testing.assert_array_equal(read_pixels(read_headers(path)[0]), pixels)


@pytest.mark.parametrize("rows", [3, 12])
def test_rows_that_the_pixels_do_not_have(write: Any, rows: int) -> None:
    message = "the pixels of 1.dcm cannot be decoded (Explicit VR Little Endian); send it again"
    assert _error(write.image(Rows=rows)) == message


@pytest.mark.parametrize(
    ("syntax", "rows"),
    [(RLELossless, 66), (JPEGLSLossless, 11), (JPEGLSLossless, 66), (JPEG2000Lossless, 11), (JPEG2000Lossless, 66)],
)
def test_rows_that_compressed_pixels_do_not_have(
    write: Any, new_image: Make, pixels: Any, syntax: str, rows: int
) -> None:
    dataset = new_image(pixels)
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.Rows = rows
    assert _error(write.dataset(dataset)).startswith("the pixels of 1.dcm cannot be decoded (")


def test_no_pixels(write: Any) -> None:
    message = "the pixels of 1.dcm cannot be decoded (Explicit VR Little Endian); send it again"
    assert _error(write.image(PixelData=None)) == message


@pytest.mark.parametrize("body", [b"\x81\x01", b"\x7f\x01", b"\x81", b"\x81\x05\x81\x05\x7f"])
def test_run_lengths_that_run_out(write: Any, body: bytes) -> None:
    """A decoder in Rust panics on some of these, with what is no ``Exception``."""
    starts = np.array([2, 64, 64 + len(body), *[0] * 13], dtype="<u4").tobytes()
    path = write.encapsulated(starts + body + body, np.zeros((6, 8), np.uint16), RLELossless)
    assert _error(path) == "the pixels of 1.dcm cannot be decoded (RLE Lossless); send it again"


def test_a_keyboard_interrupt_is_no_damage() -> None:
    with pytest.raises(KeyboardInterrupt), parse.parsing(Path("1.dcm")):
        raise KeyboardInterrupt


def test_nothing_that_a_tag_says_is_logged(write: Any) -> None:
    content = write.image(SpecificCharacterSet="ISO_IR 100").read_bytes()
    path = write.bytes(content.replace(b"ISO_IR 100", b"SECRETNAME"))
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        read_pixels(read_headers(path)[0])
    finally:
        logging.getLogger().removeHandler(handler)
    assert log.getvalue() == ""


def test_an_unknown_encoding_is_not_quoted(write: Any) -> None:
    content = write.image().read_bytes()
    path = write.bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.SECRET1.2.1\0"))
    assert _error(path) == "the pixels of 1.dcm cannot be decoded (an unknown encoding); send it again"


def test_absurd_size(write: Any) -> None:
    assert _error(write.image(Rows=65535, Columns=65535)) == (
        "1.dcm claims 65535 x 65535 pixels, which no MR image has"
    )


def test_absurd_number_of_frames(write: Any) -> None:
    assert _error(write.image(NumberOfFrames=MAX_FRAMES + 1)) == "1.dcm claims 10001 frames, which no MR image has"
    assert _error(write.image(NumberOfFrames=-3)) == "1.dcm claims -3 frames, which no MR image has"


def test_frames_that_are_not_there(write: Any, new_enhanced: Make) -> None:
    dataset = new_enhanced(np.zeros((2, 6, 8), np.uint16))
    dataset.NumberOfFrames = 3
    message = "the pixels of 1.dcm cannot be decoded (Explicit VR Little Endian); send it again"
    assert _error(write.dataset(dataset)) == message


def test_size_missing(write: Any) -> None:
    with pytest.raises(NotAnImage) as caught:
        read_headers(write.image(Rows=None))
    assert str(caught.value) == "1.dcm is a DICOM object without an image"


@pytest.mark.parametrize("group_length", [None, 1 << 20], ids=["honest", "lying"])
def test_a_deflate_bomb(write: Any, new_image: Make, monkeypatch: pytest.MonkeyPatch, group_length: int | None) -> None:
    dataset = new_image(np.zeros((6, 8), np.uint16))
    dataset.add_new(0x00091001, "OB", bytes(3 << 20))
    path = write.dataset(dataset, "bomb.dcm", DeflatedExplicitVRLittleEndian)
    content = bytearray(path.read_bytes())
    assert len(content) < 16 << 10
    if group_length is not None:
        content[140:144] = group_length.to_bytes(4, "little")
        path.write_bytes(content)
    read_headers(path)
    monkeypatch.setattr(parse, "MAX_INFLATED", 2 << 20)
    assert _error(path) == "bomb.dcm inflates to more than 2 MiB, which no MR image does"


def test_a_deflate_bomb_behind_a_command_group(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_INFLATED", 2 << 20)
    whole = write.image(syntax=DeflatedExplicitVRLittleEndian).read_bytes()
    meta = whole[: 144 + int.from_bytes(whole[140:144], "little")]
    command = b"\0\0\0\0\x04\0\0\0\0\0\0\0"
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = meta + command + deflater.compress(bytes(3 << 20)) + deflater.flush()
    assert _error(write.bytes(bomb, "bomb.dcm")) == "bomb.dcm inflates to more than 2 MiB, which no MR image does"


def test_a_deflated_file_cut_short(write: Any) -> None:
    path = write.image(syntax=DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-60])
    assert _error(path) == "1.dcm is damaged or no DICOM file; send it again or remove it"


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("levels", [20, 250, 3000])
def test_deep_nesting_is_read_or_refused(write: Any, levels: int, undefined: bool) -> None:
    content = write.image().read_bytes()
    end = 144 + int.from_bytes(content[140:144], "little")
    path = write.bytes(content[:end] + _nested(levels, undefined) + content[end:])
    try:
        (header,) = read_headers(path)
        assert read_pixels(header).shape == (6, 8)
    except UnreadableFile as error:
        assert levels > 20
        assert str(error) in {
            "1.dcm is damaged or no DICOM file; send it again or remove it",
            "the pixels of 1.dcm cannot be decoded (Explicit VR Little Endian); send it again",
        }


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "MagneticFieldStrength", "SliceThickness"])
def test_words_where_numbers_belong(write: Any, new_image: Make, keyword: str) -> None:
    dataset = new_image(np.zeros((6, 8), np.uint16))
    dataset[keyword]._value = "SECRET"
    stream = io.BytesIO()
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(stream, dataset, enforce_file_format=True)
    (header,) = read_headers(write.bytes(stream.getvalue()))
    assert header.plane.shape == (6, 8)
    assert "SECRET" not in repr(header)


def _whole_files(new_image: Make, new_enhanced: Make) -> list[bytes]:
    contents = []
    pixels = np.arange(33 * 40, dtype=np.uint16).reshape(33, 40)
    for syntax in (
        ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
        RLELossless, JPEGLSLossless, JPEG2000Lossless,
    ):  # fmt: skip
        compressed = syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)
        dataset = new_image(
            pixels if compressed else pixels[:6, :8], syntax, RescaleSlope="2", PhotometricInterpretation="MONOCHROME1"
        )
        dataset.file_meta = Dataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compressed else syntax
        if compressed:
            dataset.compress(syntax, generate_instance_uid=False)
        contents.append(_bytes(dataset))
    dataset = new_enhanced(np.stack([pixels[:6, :8]] * 2))
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return [*contents, _bytes(dataset)]


def _bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture(scope="module")
def whole_files(new_image: Make, new_enhanced: Make) -> list[bytes]:
    return _whole_files(new_image, new_enhanced)


_FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=6)


@settings(max_examples=600, deadline=None)
@given(which=st.integers(0, 7), flips=_FLIPS, keep=st.floats(0.05, 1) | st.just(1.0))
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
