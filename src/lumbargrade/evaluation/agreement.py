"""How well decided grades agree with true ones: all from confusion matrices, so that resampled studies cost little."""

import numpy as np
from numpy.typing import NDArray

from lumbargrade.frozen import Frozen

RESAMPLES = 2000

Interval = tuple[float, float]
Confusion = tuple[tuple[int, ...], ...]


class Agreement(Frozen):
    """How well decided grades agree with the true ones of some cells. What the cells do not define is None.

    Attributes:
        accuracy_majority: Accuracy of always answering the commonest of the true grades.
        balanced_accuracy: Mean recall of the grades that occur.
        quadratic_kappa: Cohen's kappa with quadratic weights.
        macro_f1: Mean F1 of the grades that occur.
        recall: By grade, from the best to the worst.
        intervals: 95 % intervals of the first four, from resampled studies (percentile bootstrap: cells of one study are
            not independent); empty for a single study.
        confusion: Rows are true grades, columns decided ones.
    """

    studies: int
    cells: int
    accuracy: float
    accuracy_majority: float
    balanced_accuracy: float | None
    quadratic_kappa: float | None
    macro_f1: float | None
    recall: tuple[float | None, ...]
    intervals: dict[str, Interval]
    confusion: Confusion


def agree(study: NDArray[np.int64], true: NDArray[np.int64], decided: NDArray[np.int64], grades: int) -> Agreement:
    """Compares the grades of some cells, of which there must be one.

    Args:
        study: Study ids, (cells,).
        true: True grades, 0 is the best, (cells,).
        decided: (cells,).
        grades: How many there are.
    """
    studies, owner = np.unique(study, return_inverse=True)
    by_study = np.zeros((len(studies), grades, grades))
    np.add.at(by_study, (owner, true, decided), 1)
    matrix = by_study.sum(axis=0)
    point = _measures(matrix[None])
    intervals: dict[str, Interval] = {}
    if len(studies) > 1:
        resampled = _measures(np.tensordot(draw_studies(len(studies)), by_study, axes=1))
        drawn = {name: interval(values) for name, values in resampled.items() if np.isfinite(point[name][0])}
        intervals = {name: bounds for name, bounds in drawn.items() if bounds is not None}
    counts = matrix.sum(axis=1)
    recall = [float(matrix[grade, grade] / counts[grade]) if counts[grade] else None for grade in range(grades)]
    found = {name: float(value[0]) if np.isfinite(value[0]) else None for name, value in point.items()}
    return Agreement(
        studies=len(studies),
        cells=len(true),
        accuracy=found["accuracy"] or 0.0,
        accuracy_majority=float(counts.max() / len(true)),
        balanced_accuracy=found["balanced_accuracy"],
        quadratic_kappa=found["quadratic_kappa"],
        macro_f1=found["macro_f1"],
        recall=tuple(recall),
        intervals=intervals,
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
    )


def draw_studies(studies: int) -> NDArray[np.float64]:
    """How often each study counts in each of many draws, (draws, studies); the same for the same number of studies."""
    shares = np.full(studies, 1 / studies)
    return np.random.default_rng(0).multinomial(studies, shares, RESAMPLES).astype(np.float64)


def interval(drawn: NDArray[np.float64], width: float = 0.95) -> Interval | None:
    """The interval that holds this share of what draws gave; those without a number do not count."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return None
    low, high = np.quantile(known, ((1 - width) / 2, (1 + width) / 2))
    return float(low), float(high)


def _measures(matrices: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Of each confusion matrix, (matrices, grades, grades); no numbers where it does not define one."""
    grades = matrices.shape[1]
    total = matrices.sum(axis=(1, 2))
    right = np.diagonal(matrices, axis1=1, axis2=2)
    true, decided = matrices.sum(axis=2), matrices.sum(axis=1)
    occurs = true > 0
    several = occurs.sum(axis=1) > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(occurs, right / true, 0.0).sum(axis=1) / occurs.sum(axis=1)
        f1 = np.where(occurs, 2 * right / (true + decided), 0.0).sum(axis=1) / occurs.sum(axis=1)
        apart = (np.arange(grades)[:, None] - np.arange(grades)) ** 2
        chance = np.einsum("mi,mj->mij", true, decided) / total[:, None, None]
        kappa = 1 - (matrices * apart).sum(axis=(1, 2)) / (chance * apart).sum(axis=(1, 2))
    return {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": np.where(several, recall, np.nan),
        "quadratic_kappa": np.where(several, kappa, np.nan),
        "macro_f1": np.where(several, f1, np.nan),
    }
