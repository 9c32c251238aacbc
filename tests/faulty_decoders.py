"""A decoder that crashes, hangs or lies where a file asks for it: it stands before the real one on the path."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from lumbargrade.dicom import guard

FAULTS = {
    "segfault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "exit": "os._exit(0)",
    "loop": "exec('while True: pass')",
    "sleep": "time.sleep(600)",
    "memory": "bytearray(64 << 30)",
    "raise": "exec('raise RuntimeError(\"Meyer^Anna\")')",
    "less": "decode(source, **options)[:-2]",
    "print": "[os.write(1, b'Meyer^Anna'), os.write(2, b'Meyer^Anna'), os.abort()]",
}
"""What decoding comes to, by the remark in the file."""

_DECODER = f"""
import ctypes, os, signal, sys, time
here = os.path.dirname(os.path.dirname(__file__))
sys.path.remove(here)
del sys.modules["libjpeg"]
import libjpeg
sys.path.insert(0, here)
decode = libjpeg.decode_pixel_data
FAULTS = {FAULTS!r}

def decode_pixel_data(source, **options):
    for remark, fault in FAULTS.items():
        if b"fault: " + remark.encode() + b";" in bytes(source):
            open(os.path.join(here, "started"), "w").close()
            return eval(fault, globals(), locals())
    return decode(source, **options)

libjpeg.decode_pixel_data = decode_pixel_data
"""


@contextmanager
def faulty_decoders(
    folder: Path, patch: pytest.MonkeyPatch, limits: guard.DecoderLimits | None = None
) -> Iterator[guard.DecoderPool]:
    """Has all decoders that start meanwhile be such ones, those of processes that are started as well.

    Args:
        folder: An empty one.
        limits: Of a frame.
    """
    (folder / "libjpeg").mkdir(parents=True)
    (folder / "libjpeg" / "__init__.py").write_text(_DECODER)
    patch.syspath_prepend(str(folder))
    pool = guard.DecoderPool(2, limits)
    patch.setattr(guard, "_pool", pool)
    try:
        yield pool
    finally:
        pool.end()


def make_faulty(path: Path, fault: str, frame: int = 0) -> None:
    """Has a decoder fail at a frame of a file."""
    dataset = dcmread(path)
    add_fault(dataset, fault, frame)
    dataset.save_as(path)


def add_fault(dataset: Dataset, fault: str, frame: int = 0) -> None:
    """Compresses an image (JPEG-LS), if it is not, and writes a remark into a frame at which a decoder fails."""
    if dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    remark = f"fault: {fault};".encode()
    remark += bytes(len(remark) % 2)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
    start = frames[frame]
    frames[frame] = start[:2] + b"\xff\xfe" + (len(remark) + 2).to_bytes(2, "big") + remark + start[2:]
    dataset.PixelData = encapsulate(frames)
