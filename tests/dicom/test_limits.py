"""No file keeps a reader busy for long, and a study's images are counted together."""

import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from lumbargrade.dicom import limits, parse
from lumbargrade.dicom.headers import UnreadableFile, read_headers
from lumbargrade.dicom.limits import LIMITS, StudyLimits, StudyTimeoutError, within_limits
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.errors import InputError

Make = Callable[..., Dataset]

FEW_READS = 2_000
ZEROS = bytes(8 * 10 * FEW_READS)


def head_of(content: bytes) -> int:
    """Where the dataset begins, after the preamble and the File Meta Information."""
    return 144 + int.from_bytes(content[140:144], "little")


def no_deflate(content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def sequence(content: bytes, length: bytes) -> bytes:
    """ReferencedSeriesSequence with one item, explicit little-endian, both of the length given."""
    ends = (b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0") if length == b"\xff" * 4 else (b"", b"")
    return b"\x08\x00\x15\x11SQ\0\0" + length + b"\xfe\xff\x00\xe0" + length + content + ends[0] + ends[1]


def test_a_file_that_is_nothing_but_zeros_is_not_parsed(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "dcmread", lambda *some, **more: pytest.fail("parsed"))
    monkeypatch.setattr(parse, "read_preamble", lambda *some, **more: pytest.fail("parsed"))
    with pytest.raises(UnreadableFile, match="not a DICOM file"):
        read_headers(write.bytes(bytes(1000)))


@pytest.mark.parametrize(
    "evil",
    [
        lambda whole: bytes(128) + b"DICM" + ZEROS,
        lambda whole: b"\x08\x00" + ZEROS,
        lambda whole: whole[: head_of(whole)] + ZEROS,
        lambda whole: bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x00\x00" * (10 * FEW_READS),
        lambda whole: whole[: head_of(whole)] + b"\x09\x00\x00\x00LO\x00\x00" * (10 * FEW_READS),
        lambda whole: whole[: head_of(whole)] + sequence(b"\x09\x00\x00\x00LO\x00\x00" * (10 * FEW_READS), b"\xff" * 4),
    ],
    ids=["after DICM", "after a tag", "after the meta", "group 2 for ever", "one tag for ever", "in a sequence"],
)
def test_millions_of_empty_elements_are_not_read(
    write: Any, evil: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parse, "MAX_READS", FEW_READS)
    whole = write.image().read_bytes()
    with pytest.raises(UnreadableFile, match="damaged or no DICOM file"):
        read_headers(write.bytes(evil(whole)))


def test_nor_are_they_in_a_deflated_file(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_READS", FEW_READS)
    whole = write.image(syntax=DeflatedExplicitVRLittleEndian).read_bytes()
    evil = whole[: head_of(whole)] + no_deflate(b"\x09\x00\x00\x00LO\x00\x00" * (10 * FEW_READS))
    with pytest.raises(UnreadableFile, match="damaged or no DICOM file"):
        read_headers(write.bytes(evil))


def test_nor_are_those_behind_the_pixels(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_READS", FEW_READS)
    (header,) = read_headers(write.bytes(write.image().read_bytes() + ZEROS))
    assert read_pixels(header).shape == header.plane.shape


def test_a_sequence_of_a_stated_length_is_bounded_too(
    write: Any, new_enhanced: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write.dataset(new_enhanced(np.zeros((3, 6, 8), np.uint16)))
    monkeypatch.setattr(parse, "MAX_SEQUENCE_BYTES", 100)
    with pytest.raises(UnreadableFile, match="damaged or no DICOM file"):
        read_headers(path)


def test_frames_are_counted_over_all_files_of_a_study(write: Any, new_enhanced: Make) -> None:
    paths = [write.dataset(new_enhanced(np.zeros((3, 6, 8), np.uint16)), f"{n}.dcm") for n in range(3)]
    with within_limits(StudyLimits(frames=9, pixels=9 * 48)):
        assert sum(len(read_headers(path)) for path in paths) == 9
    for few in (StudyLimits(frames=8), StudyLimits(pixels=9 * 48 - 1)):
        with within_limits(few), pytest.raises(InputError, match="send the lumbar spine's series alone") as caught:
            for path in paths:
                read_headers(path)
        assert not isinstance(caught.value, UnreadableFile), "it is not left out as a damaged file would be"


def test_claimed_frames_are_counted_before_anything_is_made_of_them(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumbargrade.dicom.headers._header", lambda *some: pytest.fail("made"))
    with within_limits(), pytest.raises(InputError, match=f"more than {LIMITS.frames:,} images"):
        read_headers(write.image(NumberOfFrames=LIMITS.frames + 1))


def test_a_study_that_takes_too_long_ends_between_two_files(write: Any) -> None:
    path = write.image()
    with within_limits(seconds=0):
        time.sleep(0.001)
        with pytest.raises(StudyTimeoutError, match="was not graded within 0 s"):
            read_headers(path)
    (header,) = read_headers(path)
    with within_limits(seconds=0), pytest.raises(StudyTimeoutError):
        time.sleep(0.001)
        read_pixels(header)


def test_a_study_that_takes_too_long_ends_within_a_file(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write.bytes(bytes(128) + b"DICM" + ZEROS)
    monkeypatch.setattr(parse, "_READS_A_CHECK", 10)
    checks = iter([None, None, None])

    def check() -> None:
        if next(checks, "late") == "late":
            raise StudyTimeoutError("late", "", "study-took-too-long")

    monkeypatch.setattr(parse, "check_time", check)
    with pytest.raises(StudyTimeoutError, match="late"):
        read_headers(path)


def test_limits_end_with_the_study(write: Any) -> None:
    path = write.image()
    with within_limits(StudyLimits(frames=1)):
        read_headers(path)
    with within_limits(StudyLimits(frames=1)):
        read_headers(path)
    assert limits._meter.get() is None


def test_a_file_of_many_frames_that_changes_is_parsed_again(write: Any, new_enhanced: Make) -> None:
    first = write.dataset(new_enhanced(np.zeros((2, 6, 8), np.uint16)))
    before = read_pixels(read_headers(first)[1])
    second = write.dataset(new_enhanced(np.ones((2, 6, 8), np.uint16)), syntax=ExplicitVRLittleEndian)
    assert (read_pixels(read_headers(second)[1]) != before).all()
