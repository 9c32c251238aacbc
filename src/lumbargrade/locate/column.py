"""The levels of a spine, decided together: a column of discs in order, not the best place for each level alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lumbargrade.locate.seen import Place, SeenStack
from lumbargrade.models.locator import Offsets, SpineShape

_PEAKS = 2
_CANDIDATES = 48
_FLOOR = 1e-3
"""Probability that a level is granted where nothing is seen of it."""
_FARTHEST = 30.0
_ANCHOR_MM = 8.0
_SIZES = (0.75, 0.87, 1.0, 1.15, 1.32, 1.52)
_SIZE_COST = 3.0
"""Sizes of a spine that are tried, against the usual one, and what a size costs by its logarithm: spacing may be nominal."""
_TALLER, _SMALLER = 1.6, 0.68
_INDEPENDENT = 0.5
"""How much of each level's evidence for the names is its own: the levels are seen by one network."""
_LEAST_LEVELS = 3
_LEAST_CONFIDENCE = 0.1


@dataclass(frozen=True, eq=False)
class Column:
    """The places of the levels in the midline of one series.

    Attributes:
        places: One a level from the top; nothing where a level is not in the images.
        naming: Probability that the levels are not named one too high or too low.
        refusal: Why it cannot be a lumbar spine, if so.
    """

    places: tuple[Place | None, ...]
    naming: float
    refusal: str | None

    @property
    def confidence(self) -> float:
        """Mean confidence of the levels; those that are missing count as 0."""
        return float(np.mean([place.confidence if place else 0.0 for place in self.places]))

    @property
    def known(self) -> dict[int, Place]:
        """The levels that are there, by their number."""
        return {level: place for level, place in enumerate(self.places) if place is not None}


@dataclass(frozen=True, eq=False)
class _Candidates:
    positions: NDArray[np.float64]
    evidence: NDArray[np.float64]
    where: list[tuple[SeenStack, int, int, int]]


def find_column(
    stacks: Sequence[SeenStack], group: str, levels: Sequence[str], shape: SpineShape, anchor: Column | None = None
) -> Column:
    """Finds the column that fits best what is seen and how spines are built.

    Args:
        stacks: Of one series.
        group: Group of conditions whose places are the column.
        anchor: The column of another series of the study in the same place, which this one must agree with.
    """
    found = _candidates(stacks, group, levels)
    if found is None:
        return Column((None,) * len(levels), 0.0, "nothing of a lumbar spine is seen in it")
    unary = np.log(found.evidence + _FLOOR)
    if anchor is not None:
        for level, place in anchor.known.items():
            squared = ((found.positions - place.position) ** 2).sum(axis=1) / _ANCHOR_MM**2
            unary[:, level] -= 0.5 * np.minimum(squared, _FARTHEST)
    chains = []
    for size in _SIZES:
        score, chain = _best_chain(unary, _pair_scores(found.positions, shape.steps, size))
        chains.append((score - _SIZE_COST * abs(float(np.log(size))), chain))
    chain = max(chains, key=lambda scored: scored[0])[1]
    marks = {level: _mark(found.where[0][0], group, name) for level, name in enumerate(levels)}
    places: list[Place | None] = []
    for level, chosen in enumerate(chain):
        if chosen is None:
            places.append(None)
            continue
        seen, index, row, across = found.where[chosen]
        places.append(seen.place(marks[level], index, row, across))
    column = Column(tuple(places), _naming(found.evidence, chain), None)
    known = all(seen.stack.known for seen in stacks)
    return replace(column, refusal=_refusal(column, shape.steps, known))


def _mark(seen: SeenStack, group: str, level: str) -> int:
    return next(number for number, mark in enumerate(seen.marks) if (mark.group, mark.level) == (group, level))


def _candidates(stacks: Sequence[SeenStack], group: str, levels: Sequence[str]) -> _Candidates | None:
    """The likeliest places of any level, and the probability of each level at each of them."""
    found: list[tuple[float, NDArray[np.float64], NDArray[np.float64], tuple[SeenStack, int, int, int]]] = []
    for seen in stacks:
        numbers = [_mark(seen, group, level) for level in levels]
        masses = seen.masses[:, numbers]
        for index, level in np.ndindex(*masses.shape[:2]):
            rest = masses[index, level].copy()
            for _ in range(_PEAKS):
                row, column = np.unravel_index(int(rest.argmax()), rest.shape)
                if rest[row, column] < _FLOOR:
                    break
                evidence = masses[index, :, row, column].astype(np.float64)
                where = (seen, int(index), int(row), int(column))
                found.append((float(rest[row, column]), seen.positions[index, row, column], evidence, where))
                rest[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = 0
    if not found:
        return None
    found.sort(key=lambda candidate: -candidate[0])
    kept = found[:_CANDIDATES]
    return _Candidates(np.stack([c[1] for c in kept]), np.stack([c[2] for c in kept]), [c[3] for c in kept])


def _pair_scores(positions: NDArray[np.float64], steps: Offsets, size: float) -> NDArray[np.float64]:
    """How well each pair of candidates is two levels that follow each other, (levels - 1, upper, lower)."""
    vectors = (positions[None, :, :] - positions[:, None, :]) / size
    scores = [offset_score(vectors, steps, level) for level in range(len(steps.mean))]
    return np.stack(scores)


def offset_score(vectors: NDArray[np.float64], offsets: Offsets, level: int) -> NDArray[np.float64]:
    """How usual vectors (..., 3) are: 0 for the mean, falling to a floor."""
    off = vectors - np.array(offsets.mean[level])
    squared = np.einsum("...i,ij,...j->...", off, np.array(offsets.precision[level]), off)
    return np.asarray(-0.5 * np.minimum(squared, _FARTHEST))


def _best_chain(unary: NDArray[np.float64], pairs: NDArray[np.float64]) -> tuple[float, list[int | None]]:
    """The best candidate for each level (Viterbi) and the chain's score; levels may be missing at both ends."""
    count, levels = unary.shape
    missing = float(np.log(_FLOOR))
    best = np.full((levels, count), -np.inf)
    came = np.full((levels, count), -1)
    for level in range(levels):
        best[level] = level * missing + unary[:, level]
        if level:
            through = best[level - 1][:, None] + pairs[level - 1]
            before = through.max(axis=0) + unary[:, level]
            better = before > best[level]
            came[level][better] = through.argmax(axis=0)[better]
            best[level] = np.maximum(best[level], before)
    totals = best + missing * (levels - 1 - np.arange(levels))[:, None]
    level, chosen = (int(value) for value in np.unravel_index(int(totals.argmax()), totals.shape))
    score = float(totals.max())
    chain: list[int | None] = [None] * levels
    while chosen >= 0:
        chain[level] = chosen
        level, chosen = level - 1, int(came[level, chosen])
    return score, chain


def _naming(evidence: NDArray[np.float64], chain: Sequence[int | None]) -> float:
    """How much more the names that the levels have are seen than those one higher or lower."""
    totals = []
    for shift in (-1, 0, 1):
        named = [(chosen, level + shift) for level, chosen in enumerate(chain) if chosen is not None]
        seen = [evidence[chosen, level] if 0 <= level < evidence.shape[1] else 0.0 for chosen, level in named]
        totals.append(float(np.log(np.array(seen) + _FLOOR).sum()) * _INDEPENDENT)
    shares = np.exp(np.array(totals) - max(totals))
    return float(shares[1] / shares.sum())


def _refusal(column: Column, steps: Offsets, known: bool) -> str | None:
    places = column.known
    if len(places) < _LEAST_LEVELS or column.confidence < _LEAST_CONFIDENCE:
        return "no lumbar spine can be recognised in it"
    ratios = [
        np.linalg.norm(places[level + 1].position - places[level].position) / np.linalg.norm(steps.mean[level])
        for level in places
        if level + 1 in places
    ]
    ratio = float(np.median(ratios))
    if known and not _SMALLER <= ratio <= _TALLER:
        usual = "small" if ratio < 1 else "large"
        return f"its vertebrae are too {usual} for a lumbar spine ({ratio:.0%} of the usual height)"
    return None
