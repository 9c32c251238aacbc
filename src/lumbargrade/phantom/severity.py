"""How narrow each place is, how degenerate each disc, and what a reader calls it.

Severity is continuous and in units of grades: below 0 is Normal/Mild, above 1 is Severe. Its distribution per condition
and level is chosen so that the labels come at about the rates of the RSNA 2024 training set.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask

MODERATE_RATES = {
    "spinal": (0.025, 0.066, 0.105, 0.130, 0.047),
    "foraminal": (0.035, 0.095, 0.185, 0.315, 0.280),
    "subarticular": (0.065, 0.155, 0.230, 0.310, 0.195),
}
SEVERE_RATES = {
    "spinal": (0.012, 0.033, 0.066, 0.100, 0.028),
    "foraminal": (0.002, 0.008, 0.025, 0.075, 0.092),
    "subarticular": (0.017, 0.055, 0.105, 0.200, 0.100),
}
EMPTY_RATES = {
    "spinal": (0.0005, 0.0005, 0.0005, 0.0005, 0.0005),
    "foraminal": (0.004, 0.002, 0.002, 0.002, 0.003),
    "subarticular": (0.090, 0.020, 0.008, 0.006, 0.008),
}

WORN = (0.36, 0.69)
"""Degeneration from which a disc is called Moderate, and Severe: about 40, 30 and 30 % of the discs."""
READER_NOISE = 0.15
DISC = "disc"
"""The group of conditions that grades how worn discs are."""
_DEGENERATION_OFFSET = (-0.7, -0.4, -0.1, 0.5, 0.4)


@dataclass(frozen=True, eq=False)
class Severity:
    """The truth of one study, before anyone reads it.

    Attributes:
        grade: Continuous severity in grade units, (conditions, levels) in the order of the task.
        degeneration: Of each disc, (levels,), 0 healthy ... 1 black and flat.
        standard: ``grade`` as a standard normal variate.
    """

    grade: NDArray[np.float64]
    degeneration: NDArray[np.float64]
    standard: NDArray[np.float64]


def narrowing(grade: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns how much of the place is lost, 0 ... 1: about a third where Moderate begins, two thirds at Severe."""
    return 1.0 / (1.0 + np.exp(-1.5 * (grade - 0.5)))


def draw_severity(rng: np.random.Generator, task: GradingTask) -> Severity:
    """Draws one study; levels, sides and conditions share what a worn spine has in common."""
    count = len(task.levels)
    study = rng.standard_normal()
    disc = rng.standard_normal(count)
    paired = {group: rng.standard_normal(count) for group in task.groups}
    own = rng.standard_normal((len(task.conditions), count))
    shared = [paired[condition.group] for condition in task.conditions]
    standard = np.sqrt(0.36) * study + np.sqrt(0.20) * disc + np.sqrt(0.14) * np.array(shared) + np.sqrt(0.30) * own
    centre, spread = _scales(task)
    wear = 0.7 * study + 0.7 * disc + 0.4 * rng.standard_normal(count) + np.array(_DEGENERATION_OFFSET)[:count]
    return Severity(grade=centre + spread * standard, degeneration=1.0 / (1.0 + np.exp(-1.4 * wear)), standard=standard)


def draw_labels(rng: np.random.Generator, severity: Severity, task: GradingTask) -> NDArray[np.int64]:
    """Returns what a reader calls each cell: a grade number, or -1 where it was left empty; (conditions, levels).

    Args:
        task: One that grades discs, or that of the severity.
    """
    if task.groups == (DISC,):
        return np.asarray(sum((severity.degeneration > least).astype(np.int64) for least in WORN))[None]
    read = severity.standard + READER_NOISE * rng.standard_normal(severity.standard.shape)
    centre, spread = _scales(task)
    grade = centre + spread * read / np.sqrt(1.0 + READER_NOISE**2)
    labels = (grade > 0.0).astype(np.int64) + (grade > 1.0)
    rates = np.array([EMPTY_RATES[condition.group] for condition in task.conditions])
    labels[rng.random(labels.shape) < rates] = -1
    return np.asarray(labels)


def _scales(task: GradingTask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation that put the wanted share of a normal variate above 0 and above 1."""
    normal = NormalDist()
    centre, spread = [], []
    for condition in task.conditions:
        rates = zip(MODERATE_RATES[condition.group], SEVERE_RATES[condition.group], strict=True)
        cuts = [(normal.inv_cdf(1 - moderate - severe), normal.inv_cdf(1 - severe)) for moderate, severe in rates]
        spread.append([1.0 / (upper - lower) for lower, upper in cuts])
        centre.append([-lower / (upper - lower) for lower, upper in cuts])
    return np.array(centre), np.array(spread)
