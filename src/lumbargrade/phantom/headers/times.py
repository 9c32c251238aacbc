"""Times of lumbar protocols, drawn within what a maker's scanners are usually run at."""

from dataclasses import dataclass
from typing import NamedTuple

from lumbargrade.phantom.headers.scan import Kind, Scan

Range = tuple[float, float]


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


class Timing(NamedTuple):
    """From which times are drawn; ms."""

    repetition: Range
    echo: Range
    train: int
    inversion: Range | None = None
    flip: float = 90


def draw_times(scan: Scan, timings: dict[Kind, Timing]) -> Times:
    """Draws the times of a series."""
    timing = timings[scan.kind]
    inversion = None if timing.inversion is None else round(scan.draw("inversion", *timing.inversion))
    repetition = round(scan.draw("repetition", *timing.repetition))
    return Times(repetition, round(scan.draw("echo", *timing.echo), 1), inversion, timing.train, timing.flip)
