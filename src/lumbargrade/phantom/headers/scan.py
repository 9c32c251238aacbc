"""A series as whoever writes its headers sees it: what differs from scanner to scanner is drawn here."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID, generate_uid

from lumbargrade.phantom.protocol import AXIAL_T2, SAGITTAL_T1
from lumbargrade.phantom.study import Image, Series, Study

Kind = Literal["T1", "T2", "STIR", "axial"]
Range = tuple[float, float]
Option = TypeVar("Option")
_UID_PREFIX = "1.2.826.0.1.3680043.8.498."


def uid(*parts: object) -> UID:
    """Returns a UID that depends on nothing but its parts."""
    return generate_uid(prefix=_UID_PREFIX, entropy_srcs=["lumbargrade phantom", *(str(part) for part in parts)])


@dataclass(frozen=True, eq=False)
class Scan:
    """A series of a study; the same study always draws the same.

    Attributes:
        number: SeriesNumber.
    """

    study: Study
    series: Series
    number: int

    @property
    def kind(self) -> Kind:
        """What was scanned."""
        if self.series.description == AXIAL_T2:
            return "axial"
        if self.series.description == SAGITTAL_T1:
            return "T1"
        return "STIR" if self.series.protocol.inversion_time else "T2"

    def pick(self, what: str, options: Sequence[Option], each_series: bool = False) -> Option:
        """Draws one of some options for the study, or for each of its series.

        Args:
            what: Drawn anew for each of these.
        """
        return options[int(self._rng(what, each_series).integers(len(options)))]

    def draw(self, what: str, low: float, high: float) -> float:
        """Draws a number for the series."""
        return float(self._rng(what, True).uniform(low, high))

    def instance_uid(self, image: Image) -> UID:
        """SOPInstanceUID of a slice."""
        return uid(self.study.study_id, self.series.series_id, image.instance)

    def _rng(self, what: str, each_series: bool) -> np.random.Generator:
        owner = self.series.series_id if each_series else self.study.study_id
        return np.random.default_rng([owner, zlib.crc32(what.encode())])


@dataclass(frozen=True)
class Times:
    """What a series was scanned with; times in ms, the flip angle in degrees.

    Attributes:
        inversion: None without an inversion pulse.
        train: EchoTrainLength.
    """

    repetition: float
    echo: float
    inversion: float | None
    train: int
    flip: float


class TimeRanges(NamedTuple):
    """From which times are drawn; ms."""

    repetition: Range
    echo: Range
    train: int
    inversion: Range | None = None
    flip: float = 90


def draw_times(scan: Scan, ranges: dict[Kind, TimeRanges]) -> Times:
    """Draws the times of a series."""
    limits = ranges[scan.kind]
    inversion = None if limits.inversion is None else round(scan.draw("inversion", *limits.inversion))
    repetition = round(scan.draw("repetition", *limits.repetition))
    return Times(repetition, round(scan.draw("echo", *limits.echo), 1), inversion, limits.train, limits.flip)


Describe = Callable[[Dataset, Scan, Image], None]
"""Describes one slice in its file."""
Gather = Callable[[Scan], "list[tuple[str, Dataset]]"]
"""Describes a whole series in files with names."""


@dataclass(frozen=True)
class Profile:
    """How the files of a study are written.

    Attributes:
        describe: For a file a slice.
        encodings: Of which each series has one; none leaves each series its own.
        gather: For other files than one a slice; takes the place of ``describe``.
        renumber: Numbers the instances of a study anew, before its points are written.
    """

    describe: Describe
    encodings: tuple[str, ...] = ()
    gather: Gather | None = None
    renumber: Callable[[Study], None] | None = None
