import errno
import io
import logging
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from lumbargrade.dicom import parse
from lumbargrade.dicom.headers import MAX_FRAMES, NotAnImage, UnreadableFile, read_headers
from lumbargrade.dicom.pixels import read_pixels

Make = Callable[..., Dataset]
Jpeg = Callable[[NDArray[np.uint16]], bytes]


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


def test_a_folder_is_no_file(write: Any) -> None:
    (write.folder / "1.dcm").mkdir()
    assert _error(write.folder / "1.dcm") == "1.dcm cannot be read: Is a directory; see that it can be"


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


@pytest.mark.parametrize("rows", [11, 66])
@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_rows_that_compressed_pixels_do_not_have(
    write: Any, new_image: Make, new_compressed: Make, pixels: Any, syntax: str, rows: int
) -> None:
    dataset = new_compressed(new_image(pixels), syntax)
    dataset.Rows = rows
    assert _error(write.dataset(dataset)) == "1.dcm holds other pixels than its header says; send it again"


def test_rows_that_run_lengths_do_not_have(write: Any, new_image: Make, new_compressed: Make, pixels: Any) -> None:
    dataset = new_compressed(new_image(pixels), RLELossless)
    dataset.Rows = 66
    assert _error(write.dataset(dataset)) == "the pixels of 1.dcm cannot be decoded (RLE Lossless); send it again"


def test_a_stream_that_claims_gigabytes(write: Any, new_lossless_jpeg: Jpeg, pixels: Any) -> None:
    """A decoder makes room for them first, of which the process can end."""
    stream = new_lossless_jpeg(pixels)
    claims = stream.replace(bytes([16, 0, 33, 0, 40]), bytes([16, 255, 255, 255, 255]))
    assert claims != stream
    path = write.encapsulated(claims, pixels, JPEGLosslessSV1)
    assert _error(path) == "1.dcm holds other pixels than its header says; send it again"


def test_a_colour_stream_behind_a_grey_header(write: Any) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save(stream, "JPEG")
    path = write.encapsulated(stream.getvalue(), np.zeros((16, 24), np.uint8), JPEGBaseline8Bit)
    assert _error(path) == "1.dcm holds other pixels than its header says; send it again"


def test_no_pixels(write: Any) -> None:
    message = "1.dcm ends before its pixels; send it again"
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


@pytest.mark.parametrize("error", [OSError("truncated"), OSError(errno.EINVAL, "Invalid argument"), RecursionError()])
def test_what_a_parser_raises_is_damage(error: Exception) -> None:
    with pytest.raises(UnreadableFile) as caught, parse.parsing(Path("1.dcm")):
        raise error
    assert str(caught.value) == "1.dcm is damaged or no DICOM file; send it again or remove it"


def test_a_computer_out_of_files_is_no_damage() -> None:
    with pytest.raises(UnreadableFile) as caught, parse.parsing(Path("1.dcm")):
        raise OSError(errno.EMFILE, "Too many open files")
    assert str(caught.value) == "1.dcm cannot be read: Too many open files; see that it can be"


def test_one_thread_parses_at_a_time_and_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("pydicom")
    monkeypatch.setattr(logger, "propagate", True)

    def state() -> tuple[object, ...]:
        return list(warnings.filters), logger.propagate, pydicom.config.settings.reading_validation_mode

    def enter() -> None:
        with parse.parsing(Path("2.dcm")):
            pass

    before = state()
    with ThreadPoolExecutor(1) as pool:
        with parse.parsing(Path("1.dcm")):
            entering = pool.submit(enter)
            with pytest.raises(TimeoutError):
                entering.result(timeout=0.1)
        entering.result()
    assert state() == before


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
