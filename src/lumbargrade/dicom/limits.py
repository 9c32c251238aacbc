"""What a study may hold and take at most: one rule for page, model server, batch and command.

The figures are far above what a real study of the lumbar spine holds. While a study is open (:func:`within_limits`), the
images that are read are counted, and work that goes on for too long ends between two of its steps.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from lumbargrade.errors import InputError, LumbargradeError


@dataclass(frozen=True)
class StudyLimits:
    """Limits of one study.

    Attributes:
        files: In its zip or folder, images or not.
        unpacked_bytes: Of all files of a zip.
        growth: Times that a zip may grow when it is unpacked.
        dictionary_bytes: Memory that a file compressed with LZMA may ask for.
        frames: Slices in all files together.
        pixels: Of all slices together, decoded.
        points_bytes: Of ``points.csv``.
        points_per_cell: Different points of a cell, on average of all cells; a cell may have one in each series.
        seconds: From its opening to its answer.
    """

    files: int = 5_000
    unpacked_bytes: int = 4 << 30
    growth: int = 200
    dictionary_bytes: int = 64 << 20
    frames: int = 5_000
    pixels: int = 1 << 30
    points_bytes: int = 1 << 20
    points_per_cell: int = 4
    seconds: float = 600


LIMITS = StudyLimits()


class StudyTimeoutError(LumbargradeError):
    """A study took longer than it may."""


class _Meter:
    def __init__(self, limits: StudyLimits, seconds: float) -> None:
        self.limits = limits
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.frames = 0
        self.pixels = 0


_meter: ContextVar[_Meter | None] = ContextVar("study_meter", default=None)


@contextmanager
def within_limits(limits: StudyLimits = LIMITS, seconds: float | None = None) -> Iterator[None]:
    """Counts what is read of a study, from nothing, as long as the context lasts.

    Args:
        seconds: ``limits.seconds`` if not given.
    """
    token = _meter.set(_Meter(limits, limits.seconds if seconds is None else seconds))
    try:
        yield
    finally:
        _meter.reset(token)


def count_images(frames: int, rows: int, columns: int) -> None:
    """Counts a file's images toward the open study's limits, before anything is made of them.

    Raises:
        InputError: The study has too many.
    """
    meter = _meter.get()
    if meter is None:
        return
    meter.frames += frames
    meter.pixels += frames * rows * columns
    if meter.frames > meter.limits.frames:
        raise InputError(
            f"the study holds more than {meter.limits.frames:,} images",
            "send the lumbar spine's series alone",
            "study-of-too-many-images",
        )
    if meter.pixels > meter.limits.pixels:
        raise InputError(
            f"the study's images have more than {meter.limits.pixels >> 20} million pixels together",
            "send the lumbar spine's series alone",
            "study-of-too-many-pixels",
        )


def check_time() -> None:
    """Ends the work on the open study if it has taken too long.

    Raises:
        StudyTimeoutError: It has.
    """
    meter = _meter.get()
    if meter is not None and time.monotonic() > meter.end:
        raise StudyTimeoutError(
            f"the study was not graded within {meter.seconds:.0f} s",
            "send fewer series, or send it again when less is going on",
            "study-took-too-long",
        )
