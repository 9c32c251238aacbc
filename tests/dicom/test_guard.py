"""A frame on which a decoder crashes, hangs, swells or lies costs itself, and nothing else."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import _PIXEL_DATA_DECODERS
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless, RLELossless

from lumbargrade.dicom import decoder, guard
from lumbargrade.dicom.codestream import SIZED
from lumbargrade.dicom.headers import UnreadableFile, read_headers
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.errors import LumbargradeError
from tests.faulty_decoders import FAULTS, faulty_decoders, make_faulty

Jpeg = Callable[[NDArray[np.uint16]], bytes]

LIMITS = guard.DecoderLimits(memory_bytes=1 << 30, processor_seconds=1, seconds=3)
CODES = {
    "segfault": "decoder-crashed",
    "abort": "decoder-crashed",
    "exit": "decoder-crashed",
    "print": "decoder-crashed",
    "killed": "decoder-killed",
    "loop": "decoding-took-too-long",
    "sleep": "decoding-took-too-long",
    "memory": "pixels-not-decodable",
    "raise": "pixels-not-decodable",
    "less": "pixels-not-decodable",
}


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[guard.DecoderPool]:
    """Two children at most; their decoder fails where a file asks for it."""
    with faulty_decoders(tmp_path / "decoders", monkeypatch, LIMITS) as pool:
        yield pool


@pytest.fixture
def lossless(write: Any, new_lossless_jpeg: Jpeg, pixels: NDArray[np.uint16]) -> Callable[..., Path]:
    """Writes a file of an encoding that only one library decodes."""

    def make(fault: str = "none", name: str = "other.dcm") -> Path:
        path: Path = write.encapsulated(new_lossless_jpeg(pixels), pixels, JPEGLosslessSV1, BitsStored=16, HighBit=15)
        path = path.rename(path.with_name(name))
        make_faulty(path, fault)
        return path

    return make


def _read(path: Path) -> NDArray[np.float32]:
    return read_pixels(read_headers(path)[0])


def _pids(pool: guard.DecoderPool) -> set[int]:
    return {child.pid for child in pool._children}


def _is_gone(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        with suppress(psutil.TimeoutExpired):
            process.wait(30)
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[pytest.mark.slow] if fault in ("loop", "sleep") else []) for fault in FAULTS]
)
def test_a_fault_costs_its_file_only(
    pool: guard.DecoderPool,
    lossless: Callable[..., Path],
    pixels: NDArray[np.uint16],
    fault: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sound, faulty = lossless(name="sound.dcm"), lossless(fault)
    np.testing.assert_array_equal(_read(sound), pixels)
    with pytest.raises(UnreadableFile) as caught:
        _read(faulty)
    assert caught.value.code == CODES[fault]
    assert "cannot be decoded (JPEG Lossless" in caught.value.what
    assert "Meyer" not in str(caught.value)
    np.testing.assert_array_equal(_read(sound), pixels)
    assert len(_pids(pool)) == 1
    assert capfd.readouterr() == ("", "")


def test_what_an_earlier_frame_has_done_to_a_child_costs_no_later_one(
    pool: guard.DecoderPool, lossless: Callable[..., Path], pixels: NDArray[np.uint16]
) -> None:
    path = lossless()
    _read(path)
    (pid,) = _pids(pool)
    os.kill(pid, signal.SIGKILL)
    np.testing.assert_array_equal(_read(path), pixels)
    assert _pids(pool).isdisjoint({pid})


def test_every_decoder_in_c_is_guarded() -> None:
    compressed = {uid for uid in _PIXEL_DATA_DECODERS if uid.is_encapsulated}
    assert compressed - SIZED == {RLELossless}


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_what_needs_no_child_starts_none(
    write: Any, new_image: Any, pixels: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch, syntax: str | None
) -> None:
    monkeypatch.setattr(guard, "_Child", lambda limits: pytest.fail("started"))
    path = write.image(pixels) if syntax is None else write.compressed(new_image(pixels), syntax)
    np.testing.assert_array_equal(_read(path), pixels)


LIAR = """
import sys
sys.path.insert(0, {folder!r})
from decoder import *

connection = socket.socket(fileno=int(sys.argv[1]))
receive(connection, 0)
send(connection, Message({{}}))
while True:
    receive(connection, 1 << 20)
    {answer}
"""
ANSWERS = {
    "more bytes": "send(connection, Message({'kind': '<u2', 'shape': [33, 40]}, bytes(1 << 20)))",
    "fewer bytes": "send(connection, Message({'kind': '<u2', 'shape': [33, 40]}, bytes(33)))",
    "another shape": "send(connection, Message({'kind': '<u2', 'shape': [40, 33]}, bytes(33 * 40 * 2)))",
    "objects": "send(connection, Message({'kind': '|O', 'shape': [33, 40]}, bytes(33 * 40 * 8)))",
    "no words": "connection.sendall(bytes([9, 0, 0, 0, 0, 0, 0, 0]) + b'no words!')",
    "a list": "send(connection, Message([1, 2]))",
    "gigabytes": "connection.sendall(bytes([255] * 8))",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_child_that_lies_is_not_believed(
    lossless: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    path = lossless()
    liar = tmp_path / "liar.py"
    liar.write_text(LIAR.format(folder=str(Path(decoder.__file__).parent), answer=ANSWERS[answer]))
    monkeypatch.setattr(guard, "_pool", guard.DecoderPool(1, LIMITS))
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "__file__", str(liar))
        with pytest.raises(UnreadableFile) as caught:
            _read(path)
    assert caught.value.code == "decoder-returned-other-pixels"
    assert guard._pool._children == set()


@pytest.mark.parametrize("program", ["", "import time; time.sleep(60)", "raise SystemExit(3)"])
def test_children_that_cannot_start_are_no_file_s_fault(
    lossless: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    path = lossless()
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(decoder, "__file__", str(tmp_path / "program.py"))
    monkeypatch.setattr(guard, "_pool", guard.DecoderPool(1, guard.DecoderLimits(start_seconds=1)))
    with pytest.raises(LumbargradeError) as caught:
        _read(path)
    assert caught.value.code == "decoder-not-started"
    assert not isinstance(caught.value, UnreadableFile)


@pytest.mark.slow
def test_threads_have_a_child_each_up_to_the_limit(
    pool: guard.DecoderPool, lossless: Callable[..., Path], pixels: NDArray[np.uint16]
) -> None:
    paths = [lossless(fault, f"{fault}.dcm") for fault in ("none", "segfault", "abort")] * 2
    seen: list[int] = []

    def read(path: Path) -> bool:
        with suppress(UnreadableFile):
            np.testing.assert_array_equal(_read(path), pixels)
            seen.append(len(_pids(pool)))
            return True
        return False

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(read, paths)) == [path.name == "none.dcm" for path in paths]
    assert max(seen) <= 2
    assert len(_pids(pool)) <= 2


@pytest.mark.slow
def test_a_thread_that_waits_keeps_no_other_from_reading(
    pool: guard.DecoderPool, lossless: Callable[..., Path], tmp_path: Path
) -> None:
    hanging, sound = lossless("sleep"), lossless(name="sound.dcm")
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(_read, hanging)
        while not (tmp_path / "decoders" / "started").exists():
            assert not reading.done()
            time.sleep(0.01)
        _read(sound)
        assert not reading.done()
        assert isinstance(reading.exception(), UnreadableFile)


PARENT = """
import sys
from pathlib import Path
from lumbargrade.dicom import guard
from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.pixels import read_pixels

sys.path.insert(0, {decoders!r})
read_pixels(read_headers(Path({sound!r}))[0])
print(*(child.pid for child in guard._pool._children), flush=True)
{then}
"""
THEN = {
    "idle": "input()",
    "looping": "read_pixels(read_headers(Path({faulty!r}))[0])",
    "forked": "import os, time; os.fork() or time.sleep(60); input()",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "fault"), [("idle", "none"), ("looping", "loop"), ("looping", "sleep"), ("forked", "none")]
)
def test_children_end_with_a_parent_that_is_killed(
    pool: guard.DecoderPool, lossless: Callable[..., Path], tmp_path: Path, then: str, fault: str
) -> None:
    sound, faulty = lossless(name="sound.dcm"), lossless(fault)
    rest = THEN[then].format(faulty=str(faulty))
    script = PARENT.format(decoders=str(tmp_path / "decoders"), sound=str(sound), then=rest)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        while then == "looping" and not (tmp_path / "decoders" / "started").exists():
            assert parent.poll() is None
            time.sleep(0.01)
        parent.kill()
        assert _is_gone(child.pid)
        if then == "forked":
            os.killpg(parent.pid, signal.SIGKILL)


def _read_all(paths: list[Path]) -> list[bool]:
    results = []
    for path in paths:
        try:
            results.append(bool(_read(path).any()))
        except UnreadableFile:
            results.append(False)
    return results


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_daemonic_workers_have_children(pool: guard.DecoderPool, lossless: Callable[..., Path], method: str) -> None:
    paths = [lossless(fault, f"{fault}.dcm") for fault in ("none", "segfault")]
    _read(paths[0])
    with multiprocessing.get_context(method).Pool(1) as workers:
        assert workers.apply(_read_all, [[paths[0], paths[1], paths[0]]]) == [True, False, True]
    np.testing.assert_array_equal(_read(paths[0]), _read(paths[0]))


def test_a_real_stream_that_is_damaged_is_decoded_or_refused(
    pool: guard.DecoderPool, write: Any, new_image: Any, new_compressed: Any, pixels: NDArray[np.uint16]
) -> None:
    """Decoders are given what they may crash on: the pool is as good after it as before."""
    whole = new_compressed(new_image(pixels), JPEGLSLossless).PixelData
    rng = np.random.default_rng(0)
    for number in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(60, len(damaged) - 10, 1 + number % 8):
            damaged[place] = rng.integers(256)
        dataset = new_compressed(new_image(pixels), JPEGLSLossless)
        dataset.PixelData = bytes(damaged)
        with suppress(UnreadableFile):
            assert _read(write.dataset(dataset)).shape == pixels.shape
    np.testing.assert_array_equal(_read(write.compressed(new_image(pixels), JPEGLSLossless)), pixels)
