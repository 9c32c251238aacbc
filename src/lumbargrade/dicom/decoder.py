"""The program that decodes compressed frames for another process: what crashes in a decoder crashes here.

It is run by :mod:`lumbargrade.dicom.guard`, needs nothing of Lumbargrade but this file, and ends with whoever asks: it
reads the end of its socket, or, while it decodes, gets a signal from it.
"""

import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""For the program: threads of numpy that nobody needs take address space, which is limited."""

MOST_WORDS = 1 << 16
"""Bytes of JSON in a message."""

_SIZES = struct.Struct("<II")


class Message(NamedTuple):
    """What goes over the socket.

    Attributes:
        facts: Anything that JSON holds.
        content: Encoded or decoded pixels.
    """

    facts: dict[str, Any]
    content: bytes | memoryview = b""


def send(connection: socket.socket, message: Message) -> None:
    """Sends a message.

    Raises:
        OSError: Nobody takes it, or not in the socket's time.
    """
    facts = json.dumps(message.facts).encode()
    connection.sendall(_SIZES.pack(len(facts), len(message.content)) + facts)
    connection.sendall(message.content)


def receive(connection: socket.socket, most: int) -> Message:
    """Waits for a message.

    Args:
        most: Bytes of its content.

    Raises:
        EOFError: Nobody sends any more.
        ValueError: It is larger than it may be, or none.
        OSError: It does not come, or not in the socket's time.
    """
    facts, content = _SIZES.unpack(_receive(connection, _SIZES.size))
    if facts > MOST_WORDS or content > most:
        raise ValueError("too large a message")
    return Message(json.loads(bytes(_receive(connection, facts))), _receive(connection, content))


def _receive(connection: socket.socket, size: int) -> memoryview:
    whole = memoryview(bytearray(size))
    left = whole
    while len(left):
        count = connection.recv_into(left)
        if not count:
            raise EOFError
        left = left[count:]
    return whole


def main() -> None:
    """Decodes until nobody asks any more."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    start = receive(connection, 0).facts
    sys.path[:] = start["path"]
    from pydicom.pixels import utils  # noqa: F401 - all imports come before the limits

    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    with suppress(OSError):  # of Linux: where memory runs out, this process is the first to go
        Path("/proc/self/oom_score_adj").write_text("1000")
    _limit(resource.RLIMIT_AS, start["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 1)  # at 0 Linux still hands a core to a program that collects them
    send(connection, Message({}))
    while True:
        frame = receive(connection, start["frame_bytes"])
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + start["processor_seconds"] + 1)
        signal.signal(signal.SIGIO, signal.SIG_DFL)  # nothing comes now but the asker's end, of which this one dies
        answer = _answer(frame)
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        send(connection, answer)


def _limit(kind: int, most: int) -> None:
    """Lowers a limit of this process, where the system has it."""
    hard = resource.getrlimit(kind)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _answer(frame: Message) -> Message:
    try:
        pixels = _decode(frame)
        return Message({"kind": pixels.dtype.str, "shape": pixels.shape}, memoryview(pixels.reshape(-1)).cast("B"))
    except BaseException:  # whatever a decoder raises of damage, or of a lack of memory
        return Message({"fault": "damaged"})


def _decode(frame: Message) -> Any:
    import numpy as np
    from pydicom import Dataset, config
    from pydicom.dataset import FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.pixels.utils import pixel_array

    with config.disable_value_validation():
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = frame.facts["transfer_syntax"]
        for keyword, value in frame.facts["image"].items():
            setattr(dataset, keyword, value)
        dataset.PixelData = encapsulate([bytes(frame.content)])
        pixels = np.ascontiguousarray(pixel_array(dataset, index=0, raw=True))
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)


if __name__ == "__main__":
    with suppress(EOFError, OSError):
        main()
