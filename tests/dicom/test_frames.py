"""Files of many frames: opened and parsed once, each frame read where it lies."""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from lumbargrade.dicom import frames, parse
from lumbargrade.dicom.headers import UnreadableFile, read_headers
from lumbargrade.dicom.pixels import read_pixels

Make = Callable[..., Dataset]

FRAMES = 12
NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


@pytest.fixture
def stored() -> NDArray[np.uint16]:
    return np.random.default_rng(3).integers(0, 4096, (FRAMES, 33, 40), dtype=np.uint16)


@pytest.fixture
def written(write: Any, new_enhanced: Make, new_compressed: Make, stored: NDArray[np.uint16]) -> Callable[..., Path]:
    """Writes the frames in an encoding, with an offset table or without."""

    def make(syntax: str, table: str = "none", name: str = "1.dcm") -> Path:
        dataset = new_enhanced(stored)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = stored.astype(">u2").tobytes()
        if syntax in COMPRESSED:
            dataset = new_compressed(dataset, syntax, encapsulate_ext=table == "extended")
            if table != "extended":
                each = list(generate_frames(dataset.PixelData, number_of_frames=FRAMES))
                dataset.PixelData = encapsulate(each, has_bot=table == "basic")
        path: Path = write.dataset(dataset, name, syntax)
        return path

    return make


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Counts how often files are opened and parsed, and what is read of their pixels."""
    counts = {"opened": 0, "parsed": 0, "reads": 0, "bytes": 0}
    opened, parsed, read = parse.bounded_file, parse.read_header, os.pread

    def count_opened(path: Path) -> Any:
        counts["opened"] += 1
        return opened(path)

    def count_parsed(*arguments: Any) -> Any:
        counts["parsed"] += 1
        return parsed(*arguments)

    def count_read(file: int, length: int, start: int) -> bytes:
        content = read(file, length, start)
        counts["reads"] += 1
        counts["bytes"] += len(content)
        return content

    monkeypatch.setattr(frames, "bounded_file", count_opened)
    monkeypatch.setattr(frames, "read_header", count_parsed)
    monkeypatch.setattr(os, "pread", count_read)
    with frames.closing_pixels():
        pass
    yield counts


@pytest.mark.parametrize(
    ("syntax", "table"),
    [
        *((syntax, "none") for syntax in NATIVE),
        *((s, table) for s in COMPRESSED for table in ("none", "basic", "extended")),
    ],
)
def test_the_work_is_linear_in_frames(
    written: Callable[..., Path], stored: NDArray[np.uint16], work: dict[str, int], syntax: str, table: str
) -> None:
    path = written(syntax, table)
    headers = read_headers(path)
    for number in reversed(range(FRAMES)):
        np.testing.assert_array_equal(read_pixels(headers[number]), stored[number] * (number + 1.0) + 10)
    assert (work["opened"], work["parsed"]) == (1, 1)
    assert work["reads"] <= 3 * FRAMES + 5
    assert work["bytes"] <= path.stat().st_size


def test_files_that_are_read_in_turns_are_parsed_once(written: Callable[..., Path], work: dict[str, int]) -> None:
    files = [read_headers(written(syntax, name=f"{n}.dcm")) for n, syntax in enumerate([*NATIVE, RLELossless])]
    for number in range(FRAMES):
        for headers in files:
            read_pixels(headers[number])
    assert work["parsed"] == len(files)


def test_few_files_are_kept_open(written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_MOST_OPEN", 2)
    before = psutil.Process().num_fds()
    headers = [read_headers(written(ExplicitVRLittleEndian, name=f"{n}.dcm"))[0] for n in range(6)]
    with frames.closing_pixels():
        for header in headers:
            read_pixels(header)
        assert psutil.Process().num_fds() - before <= 2
    assert psutil.Process().num_fds() <= before


def test_what_is_inflated_is_bounded_over_all_files(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = [read_headers(written(DeflatedExplicitVRLittleEndian, name=f"{n}.dcm"))[0] for n in range(3)]
    monkeypatch.setattr(frames, "MAX_INFLATED", FRAMES * 33 * 40 * 2 * 2)
    for header in headers:
        read_pixels(header)
    assert [key[0] for key in frames._kept] == [headers[2].path]


def test_a_file_of_one_image_is_not_kept_open(write: Any, work: dict[str, int]) -> None:
    read_pixels(read_headers(write.image())[0])
    assert (work["opened"], work["parsed"], len(frames._kept)) == (1, 1, 0)


def _with_table(dataset: Dataset, offsets: list[int], fragments: list[bytes]) -> Dataset:
    """Encapsulates fragments behind an offset table that says what it likes."""
    table = struct.pack(f"<{len(offsets)}L", *offsets)
    items = [struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content for content in [table, *fragments]]
    dataset.PixelData = b"".join(items)
    return dataset


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(
    "table",
    ["right", "empty", "zeros", "of another file", "without items", "short"],
    ids=lambda name: name.replace(" ", "-"),
)
def test_frames_of_several_fragments_behind_any_table(
    write: Any, new_enhanced: Make, new_compressed: Make, stored: NDArray[np.uint16], table: str, parts: int
) -> None:
    dataset = new_compressed(new_enhanced(stored), JPEGLSLossless)
    each = list(generate_frames(dataset.PixelData, number_of_frames=FRAMES))
    cut = [
        [frame[place * 400 : (place + 1) * 400 if place < parts - 1 else None] for place in range(parts)]
        for frame in each
    ]
    fragments = [fragment for frame in cut for fragment in frame]
    lengths = [sum(len(fragment) + 8 for fragment in frame) for frame in cut]
    right = [sum(lengths[:number]) for number in range(FRAMES)]
    offsets = {
        "right": right,
        "empty": [],
        "zeros": [0] * FRAMES,
        "of another file": [offset // 2 for offset in right],
        "without items": [offset - 8 * number for number, offset in enumerate(right)],
        "short": right[:2],
    }[table]
    path = write.dataset(_with_table(dataset, offsets, fragments))
    for number, header in enumerate(read_headers(path)):
        np.testing.assert_array_equal(read_pixels(header), stored[number] * (number + 1.0) + 10)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGLSLossless])
def test_a_file_that_is_cut_short_has_the_frames_before(
    written: Callable[..., Path], stored: NDArray[np.uint16], syntax: str
) -> None:
    path = written(syntax, "basic")
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    headers, sound = read_headers(path), 0
    for number, header in enumerate(headers):
        try:
            np.testing.assert_array_equal(read_pixels(header), stored[number] * (number + 1.0) + 10)
            sound += 1
        except UnreadableFile as error:
            assert error.code == "pixels-not-decodable"
            assert number >= sound
    assert FRAMES // 2 <= sound < FRAMES


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_frames_of_an_odd_number_of_bytes(write: Any, new_enhanced: Make, syntax: str) -> None:
    stored = np.random.default_rng(3).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    content = stored.tobytes() + b"\0"
    if syntax == ExplicitVRBigEndian:
        content = np.frombuffer(content, np.uint16).byteswap().tobytes()
    dataset = new_enhanced(stored)
    dataset.PixelData = content
    for number, header in enumerate(read_headers(write.dataset(dataset, syntax=syntax))):
        np.testing.assert_array_equal(read_pixels(header), stored[number] * (number + 1.0) + 10)
