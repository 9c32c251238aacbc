"""Keeps the crops of studies that were graded a short while ago, so that a heat map needs no second grading.

Crops alone are kept, in the memory of one process: no file, no header, nothing on disk. Each process that grades has a
cache of its own, so a request may miss because another process graded its study. A miss costs what it did without a
cache: the study is sent again.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from lumbargrade.inference.grade import GradedCrops

MAX_BYTES = 64 << 20
MAX_SECONDS = 600.0

Clock = Callable[[], float]
_Key = tuple[str, str]


class _Entry(NamedTuple):
    graded: GradedCrops
    expires: float


class CropCache:
    """The last studies that were graded, by request id and model version; safe to use from several threads.

    Args:
        max_bytes: Of all studies together. The oldest makes room; a study that is larger by itself is not kept.
        max_seconds: How long a study is kept, whether it is asked for or not.
        clock: Tells seconds that never run backward.
    """

    def __init__(
        self, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS, clock: Clock = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._clock = clock
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def put(self, request_id: str, version: str, graded: GradedCrops) -> None:
        """Keeps a study's crops."""
        if graded.size > self._max_bytes:
            return
        with self._lock:
            self._drop_expired()
            if (before := self._entries.pop((request_id, version), None)) is not None:
                self._bytes -= before.graded.size
            self._bytes += graded.size
            self._entries[request_id, version] = _Entry(graded, self._clock() + self._max_seconds)
            while self._bytes > self._max_bytes:
                self._drop_oldest()
            self._set_timer()

    def get(self, request_id: str, version: str) -> GradedCrops | None:
        """Returns what was kept of a request that this version graded; None if it is not here (any more)."""
        with self._lock:
            self._drop_expired()
            entry = self._entries.get((request_id, version))
            return None if entry is None else entry.graded

    def _drop_oldest(self) -> None:
        _, entry = self._entries.popitem(last=False)
        self._bytes -= entry.graded.size

    def _drop_expired(self) -> None:
        now = self._clock()
        while self._entries and next(iter(self._entries.values())).expires <= now:
            self._drop_oldest()

    def _set_timer(self) -> None:
        """Sees to it that the oldest study is dropped in time, also where nobody asks for anything any more."""
        if self._timer is not None or not self._entries:
            return
        wait = max(0.0, next(iter(self._entries.values())).expires - self._clock())
        self._timer = threading.Timer(wait, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._timer = None
            self._drop_expired()
            self._set_timer()
