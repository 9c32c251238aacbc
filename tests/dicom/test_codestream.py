import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless

from lumbargrade.dicom.codestream import SIZED, stated_size

Jpeg = Callable[[NDArray[np.uint16]], bytes]

_BEGINNINGS = [b"", b"\xff\xd8", b"\xff\xd8\xff\xff\xe0\x00\x05", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "]


def _encoded(shape: tuple[int, ...], kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros(shape, np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("shape", "expected"), [((9, 7), (9, 7, 1)), ((40, 50, 3), (40, 50, 3))])
def test_jpeg(shape: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    assert stated_size(_encoded(shape, "JPEG"), JPEGBaseline8Bit) == expected


@pytest.mark.parametrize("boxes", [True, False])
@pytest.mark.parametrize(("shape", "expected"), [((39, 37), (39, 37, 1)), ((40, 50, 3), (40, 50, 3))])
def test_jpeg_2000_alone_and_in_boxes(boxes: bool, shape: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    assert stated_size(_encoded(shape, "JPEG2000", no_jp2=not boxes), JPEG2000Lossless) == expected


def test_jpeg_2000_leaves_out_what_is_before_its_origin() -> None:
    stream = bytearray(_encoded((40, 50), "JPEG2000", no_jp2=True))
    stream[16:24] = (20).to_bytes(4, "big") + (4).to_bytes(4, "big")
    assert stated_size(bytes(stream), JPEG2000Lossless) == (36, 30, 1)


def test_lossless_jpeg_behind_remarks_and_fill_bytes(new_lossless_jpeg: Jpeg) -> None:
    stream = new_lossless_jpeg(np.zeros((5, 6), np.uint16))
    thumbnail = b"\xff\xc3\x00\x0b\x10\xff\xff\xff\xff\x01"  # looks like a frame header
    remark = b"\xff\xff\xfe" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert stated_size(stream[:2] + remark + stream[2:], JPEGLosslessSV1) == (5, 6, 1)


@pytest.mark.parametrize("marker", [0xDE, 0xC9, 0xDA, 0xD9])
def test_other_segments_before_the_frame_header_are_not_passed(new_lossless_jpeg: Jpeg, marker: int) -> None:
    stream = new_lossless_jpeg(np.zeros((5, 6), np.uint16))
    with pytest.raises(ValueError, match="no JPEG frame header"):
        stated_size(stream[:2] + bytes([0xFF, marker, 0, 2]) + stream[2:], JPEGLosslessSV1)


@pytest.mark.parametrize("size", [0, 1, 7, 1 << 31])
def test_a_box_that_leads_nowhere(size: int) -> None:
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + size.to_bytes(4, "big") + bytes(40)
    with pytest.raises(ValueError, match="no JPEG 2000 codestream"):
        stated_size(boxes, JPEG2000Lossless)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_what_is_no_stream(syntax: str) -> None:
    with pytest.raises(ValueError, match=r"^no JPEG"):
        stated_size(b"", syntax)


@given(syntax=st.sampled_from(sorted(SIZED)), start=st.sampled_from(_BEGINNINGS), rest=st.binary(max_size=80))
def test_any_bytes_have_a_size_or_none(syntax: str, start: bytes, rest: bytes) -> None:
    with suppress(ValueError):
        assert len(stated_size(start + rest, syntax)) == 3
