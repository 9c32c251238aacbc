"""What the gate compares: the official score, and the guard rails that a better score must not break."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import isnan

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.params import GateParams
from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.agreement import Interval
from lumbargrade.evaluation.align import GradedCells
from lumbargrade.evaluation.bootstrap_metrics import Measure, calibration_errors, losses, scores, severe_recalls
from lumbargrade.evaluation.compare import compare_cells
from lumbargrade.frozen import Frozen

SCORE, SEVERE_RECALL = "score", "severe recall"


class Check(Frozen):
    """One number of candidate and champion on the same cells.

    Attributes:
        cells: Labelled cells that it is of; for severe recall the severe ones.
        difference: Candidate less champion; its interval is from the same resampled studies for both.
        lower_is_better: For all but severe recall.
        allowed: How much worse the candidate may be.
        passed: Whether it is not worse than allowed, and for the score: whether it is better. None if it was not judged.
        certain: Whether the whole interval says so too; if not, it may be chance.
        note: Why it was not judged.
    """

    name: str
    cells: int
    candidate: float | None = None
    champion: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    lower_is_better: bool
    allowed: float
    passed: bool | None = None
    certain: bool = False
    note: str = ""


@dataclass(frozen=True)
class _Rail:
    name: str
    measure: Measure
    allowed: float
    rows: NDArray[np.bool_]
    cells: int
    least: int
    lower_is_better: bool = True


def compare_on_holdout(
    task: GradingTask,
    ours: GradedCells,
    theirs: GradedCells,
    rules: GateParams,
    subgroups: Mapping[str, Mapping[int, str]],
) -> tuple[Check, list[Check]]:
    """Compares candidate and champion on the same cells.

    Args:
        ours: The candidate's.
        theirs: The champion's, in the same order.
        subgroups: Names of studies' subgroups, by what separates them.

    Returns:
        The check of the score, and those of the guard rails.
    """
    everything = np.ones(len(ours.grade), dtype=bool)
    whole = _Rail(SCORE, scores, 0.0, everything, len(ours.grade), 1)
    score = _check(task, ours, theirs, whole, rules.confidence, strictly=True)
    rails = [_check(task, ours, theirs, rail, rules.confidence) for rail in _rails(task, ours, rules, subgroups)]
    return score, rails


def _rails(
    task: GradingTask, cells: GradedCells, rules: GateParams, subgroups: Mapping[str, Mapping[int, str]]
) -> Iterator[_Rail]:
    everything = np.ones(len(cells.grade), dtype=bool)
    severe = int((cells.grade == len(task.grades) - 1).sum())
    yield _Rail(SEVERE_RECALL, severe_recalls, rules.severe_recall_drop, everything, severe, 1, lower_is_better=False)
    number = len(cells.grade)
    yield _Rail("calibration error", calibration_errors, rules.calibration_error_rise, everything, number, 1)
    for condition in task.conditions:
        rows = cells.condition == condition.name
        yield _loss_rail(f"loss of {condition.label}", rows, rules.condition_loss_rise, rules)
    for kind, of_study in sorted(subgroups.items()):
        names = np.array([of_study.get(int(study), "unknown") for study in cells.study])
        for name in sorted(set(names.tolist())):
            yield _loss_rail(f"loss, {kind.replace('_', ' ')} {name}", names == name, rules.subgroup_loss_rise, rules)


def _loss_rail(name: str, rows: NDArray[np.bool_], allowed: float, rules: GateParams) -> _Rail:
    return _Rail(name, losses, allowed, rows, int(rows.sum()), rules.min_cells)


def _check(
    task: GradingTask, ours: GradedCells, theirs: GradedCells, rail: _Rail, width: float, strictly: bool = False
) -> Check:
    """Judges one number.

    Args:
        strictly: Whether an equal candidate fails, as for the score.
    """
    if rail.cells < rail.least:
        note = f"too few labelled cells: {rail.cells} of {rail.least}" if rail.cells else "no labelled cell"
        return _unjudged(rail, note)
    found = compare_cells(task, _only(ours, rail.rows), _only(theirs, rail.rows), rail.measure, width)
    if isnan(found.first) or isnan(found.second):
        return _unjudged(rail, "not defined by these cells")
    sign = 1 if rail.lower_is_better else -1
    worse = sign * (found.first - found.second)
    passed = worse < 0 if strictly else worse <= rail.allowed
    certain = False
    if found.interval is not None:
        least, most = sorted(sign * bound for bound in found.interval)
        certain = most < 0 if strictly and passed else most <= rail.allowed if passed else least > rail.allowed
    return Check(
        name=rail.name,
        cells=rail.cells,
        candidate=found.first,
        champion=found.second,
        difference=found.first - found.second,
        interval=found.interval,
        lower_is_better=rail.lower_is_better,
        allowed=rail.allowed,
        passed=passed,
        certain=certain,
    )


def _unjudged(rail: _Rail, note: str) -> Check:
    return Check(
        name=rail.name,
        cells=rail.cells,
        lower_is_better=rail.lower_is_better,
        allowed=rail.allowed,
        note=note,
    )


def _only(cells: GradedCells, rows: NDArray[np.bool_]) -> GradedCells:
    return GradedCells(*(getattr(cells, field.name)[rows] for field in fields(cells)))
