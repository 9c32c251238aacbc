"""Decodes compressed frames in other processes, with limits of memory, time and output.

The decoders of the JPEG family are written in C, and a damaged file can crash them, keep them busy for ever or have them
take all memory. Each frame that needs one is decoded by a child process (:mod:`lumbargrade.dicom.decoder`), which decodes
one frame after the other until it fails; another one then takes its place. Children start when they are first needed.
Uncompressed, deflated and run-length encoded frames need none: what reads them is written in Python and Rust, with zlib
for the second, whose output is bounded.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbargrade.dicom import decoder
from lumbargrade.dicom.decoder import Message, receive, send
from lumbargrade.errors import LumbargradeError
from lumbargrade.machine import count_cores

_KINDS = {"|u1", "|i1", "<u2", "<i2", "<u4", "<i4"}
_LARGEST_PIXEL = 4
_AGAIN = "send it again"

MOST_ENCODED = 256 << 20
"""Bytes of a compressed frame."""


@dataclass(frozen=True)
class DecoderLimits:
    """What decoding a frame may take at most.

    Attributes:
        memory_bytes: Address space of a child; systems other than Linux may not hold to it.
        processor_seconds: Of a frame.
        seconds: Of a frame, by the clock: more than the other one, as the machine may be busy.
        start_seconds: Until a child is ready.
    """

    memory_bytes: int = 2 << 30
    processor_seconds: int = 20
    seconds: float = 60
    start_seconds: float = 120


LIMITS = DecoderLimits()


@dataclass(frozen=True)
class EncodedFrame:
    """A frame as it is compressed.

    Attributes:
        transfer_syntax: UID of its encoding.
        image: What is needed of the image pixel module, by keyword.
        shape: (rows, columns) of its pixels.
    """

    content: bytes
    transfer_syntax: str
    image: dict[str, int | str]
    shape: tuple[int, int]


class DecodeFault(LumbargradeError):  # noqa: N818 - the file's, not the program's
    """A frame cannot be decoded within the limits."""


class _ChildDied(Exception):  # noqa: N818 - it is caught here
    def __init__(self, fault: DecodeFault) -> None:
        super().__init__(fault)
        self.fault = fault


class _Child:
    """A process that decodes.

    Attributes:
        ready: Whether it waits for a frame.
    """

    def __init__(self, limits: DecoderLimits) -> None:
        self._limits = limits
        self._ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-B", decoder.__file__, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # what libraries print of a file may quote a patient's name
                    cwd="/",
                    env={**os.environ, **decoder.ENVIRONMENT},
                    start_new_session=True,  # Ctrl-C is for this process
                )
        except OSError as error:
            self._ours.close()
            raise _not_started(error.strerror or "") from error
        self.ready = False
        self._begin()

    def _begin(self) -> None:
        start = {
            "path": [place for place in sys.path if place.startswith(os.sep)],
            "memory_bytes": self._limits.memory_bytes,
            "processor_seconds": self._limits.processor_seconds,
            "frame_bytes": MOST_ENCODED,
        }
        self._ours.settimeout(self._limits.start_seconds)
        try:
            send(self._ours, Message(start))
            receive(self._ours, 0)
        except (EOFError, ValueError, OSError) as error:
            self.end()
            raise _not_started("it ended at once" if not isinstance(error, TimeoutError) else "it hangs") from error
        except BaseException:
            self.end()
            raise
        self._ours.settimeout(self._limits.seconds)
        self.ready = True

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def decode(self, frame: EncodedFrame) -> NDArray[Any]:
        """Decodes a frame.

        Raises:
            DecodeFault: It cannot be, or not within the limits.
            _ChildDied: The child did; what it was asked for need not be why.
        """
        self.ready = False
        try:
            send(self._ours, Message({"transfer_syntax": frame.transfer_syntax, "image": frame.image}, frame.content))
            answer = receive(self._ours, prod(frame.shape) * _LARGEST_PIXEL)
            pixels = _read_pixels(answer, frame.shape)
        except TimeoutError:
            raise self._late() from None
        except (EOFError, OSError):
            raise self._death() from None
        except ValueError as error:
            raise DecodeFault(
                "the decoder returned something else than such an image", _AGAIN, "decoder-returned-other-pixels"
            ) from error
        self.ready = True
        if pixels is not None:
            return pixels
        raise DecodeFault("the frame is damaged", _AGAIN, "pixels-not-decodable")

    def end(self) -> None:
        """Kills it, if it lives, and lets go of it."""
        self.ready = False
        self._ours.close()
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Lets go of another process's child: this process was forked from that one, and has its sockets."""
        self._ours.close()
        self._process.returncode = 0

    def _death(self) -> _ChildDied | DecodeFault:
        self.end()
        number = -self._process.returncode
        if number == signal.SIGXCPU:
            return self._late()
        if number == signal.SIGKILL:
            why = "the decoder was killed, as the system does where memory is short"
            return _ChildDied(DecodeFault(why, "free memory, or send it again", "decoder-killed"))
        how = signal.Signals(number).name if number > 0 else f"exit code {-number}"
        return _ChildDied(DecodeFault(f"the decoder crashed ({how})", _AGAIN, "decoder-crashed"))

    def _late(self) -> DecodeFault:
        seconds = self._limits.processor_seconds
        return DecodeFault(f"decoding takes longer than {seconds} s", _AGAIN, "decoding-took-too-long")


def _read_pixels(answer: Message, shape: tuple[int, int]) -> NDArray[Any] | None:
    """The pixels of a child's answer, or None if it says that there are none.

    Raises:
        ValueError: It is neither.
    """
    if not isinstance(answer.facts, dict):
        raise ValueError("no answer")
    if "fault" in answer.facts:
        return None
    kind = answer.facts.get("kind")
    if str(kind) not in _KINDS or answer.facts.get("shape") != list(shape):
        raise ValueError("other pixels")
    return np.frombuffer(answer.content, np.dtype(kind)).reshape(shape)


class DecoderPool:
    """Children that decode, one for each thread that does so at a time; they start when they are needed.

    Args:
        most: Children; a thread that needs another one waits for it.
        limits: Of a frame; :data:`LIMITS` if not given.
    """

    def __init__(self, most: int, limits: DecoderLimits | None = None) -> None:
        self._limits = limits
        self._turn = threading.Semaphore(most)
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []

    def decode(self, frame: EncodedFrame) -> NDArray[Any]:
        """Decodes a frame: whole numbers, (rows, columns).

        Raises:
            DecodeFault: It cannot be, or not within the limits.
            LumbargradeError: No child can be started.
        """
        with self._turn:
            with suppress(_ChildDied):
                return self._ask(self._take(), frame)
            try:  # an earlier frame may have damaged that child; this one has decoded none
                return self._ask(self._start(), frame)
            except _ChildDied as died:
                raise died.fault from None

    def end(self) -> None:
        """Ends all children."""
        with self._lock:
            for child in self._children:
                child.end()
            self._children.clear()
            self._idle.clear()

    def forget(self) -> None:
        """Lets go of the children, in a process that was forked from theirs."""
        for child in self._children:
            child.forget()

    def _ask(self, child: _Child, frame: EncodedFrame) -> NDArray[Any]:
        try:
            return child.decode(frame)
        finally:
            with self._lock:
                if child.ready:
                    self._idle.append(child)
                else:
                    child.end()
                    self._children.discard(child)

    def _take(self) -> _Child:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _start(self) -> _Child:
        child = _Child(self._limits or LIMITS)
        with self._lock:
            self._children.add(child)
        return child


def decode_guarded(frame: EncodedFrame) -> NDArray[Any]:
    """Decodes a frame in a child of this process; see :meth:`DecoderPool.decode`."""
    return _pool.decode(frame)


def _new_pool() -> DecoderPool:
    return DecoderPool(count_cores())


def _leave_children() -> None:
    global _pool
    _pool.forget()
    _pool = _new_pool()


_pool = _new_pool()
os.register_at_fork(after_in_child=_leave_children)
atexit.register(lambda: _pool.end())


def _not_started(why: str) -> LumbargradeError:
    return LumbargradeError(
        f"no process can be started to decode compressed images ({why})",
        "see that there is memory, and that processes may be started",
        "decoder-not-started",
    )
