"""The levels of a spine, decided together: a column of discs in order, not the best place for each level alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from lumbargrade.dicom.geometry import Vector
from lumbargrade.localization.heatmaps import Place, SeenStack
from lumbargrade.models.locator import Offsets, SpineShape

_PEAKS = 2
_CANDIDATES = 12
"""Places of each level that are looked at, and how many of them at most in one slice."""
_FLOOR = 1e-3
"""Probability that a level is granted where nothing is seen of it."""
_FARTHEST = 30.0
_ANCHOR_MM = 8.0
_SIZES = tuple(float(size) for size in np.geomspace(0.68, 2.5, 17))
_SIZE_COST = 3.0
"""Sizes of a spine that are tried, against the usual one, and what a size costs by its logarithm: spacing may be nominal."""
_TALLER, _SMALLER, _SMALLER_THAN_OTHERS = 2.5, 0.68, 0.75
_INDEPENDENT = 0.5
"""How much of each level's evidence for the names is its own: the levels are seen by one network."""
_LEAST_LEVELS = 3
_LEAST_CONFIDENCE = 0.1


@dataclass(frozen=True, eq=False)
class Column:
    """The places of the levels in the midline of one series.

    Attributes:
        places: One a level from the top; nothing where a level is not in the images.
        size: Height of its vertebrae against the usual one.
        naming: Probability that the levels are not named one too high or too low.
        refusal: Why it cannot be a lumbar spine, if so.
    """

    places: tuple[Place | None, ...]
    size: float
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
    series: Sequence[Sequence[SeenStack]],
    group: str,
    levels: Sequence[str],
    shape: SpineShape,
    anchor: Column | None = None,
) -> Column:
    """Finds the column that fits best what is seen and how spines are built.

    Args:
        series: The stacks of a series, or of several whose places in the patient are known: what all of them see there
            decides.
        group: Group of conditions whose places are the column.
        anchor: The column of the study, which this one must agree with.
    """
    stacks = [seen for stacks in series for seen in stacks]
    hints = list(anchor.known.values()) if anchor is not None else []
    found = _candidates(stacks, group, levels, [place.position for place in hints])
    if found is None:
        return Column((None,) * len(levels), 1.0, 0.0, "nothing of a lumbar spine is seen in it")
    logs = np.log(found.evidence + _FLOOR) if len(series) == 1 else _agreed(found, series, group, levels)
    unary = logs.copy()
    if anchor is not None:
        for level, place in anchor.known.items():
            squared = ((found.positions - place.position) ** 2).sum(axis=1) / _ANCHOR_MM**2
            unary[:, level] -= 0.5 * np.minimum(squared, _FARTHEST)
    chains = []
    for size in _SIZES:
        score, chain = _best_chain(unary, _pair_scores(found.positions, shape.steps, size))
        chains.append((score - _SIZE_COST * abs(float(np.log(size))), chain))
    chain = max(chains, key=lambda scored: scored[0])[1]
    places: list[Place | None] = []
    for level, chosen in enumerate(chain):
        if chosen is None:
            places.append(None)
            continue
        seen, index, row, across = found.where[chosen]
        places.append(seen.place(seen.mark(group, levels[level]), index, row, across))
    for level, position in _between(places, shape.steps):
        seen, index, row, across = _nearest(stacks, position)
        places[level] = seen.place(seen.mark(group, levels[level]), index, row, across)
    column = Column(tuple(places), _size(places, shape.steps), _naming(logs, chain), None)
    known = all(seen.stack.known for seen in stacks)
    return replace(column, refusal=_refusal(column, known))


def _between(places: Sequence[Place | None], steps: Offsets) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Where the levels lie that are not seen but must be there, between others."""
    known = [level for level, place in enumerate(places) if place is not None]
    usual = np.concatenate([np.zeros((1, 3)), np.cumsum(np.array(steps.mean), axis=0)])
    for upper, lower in pairwise(known):
        first, last = places[upper], places[lower]
        assert first is not None and last is not None
        off = (last.position - first.position) - (usual[lower] - usual[upper])
        for level in range(upper + 1, lower):
            share = (level - upper) / (lower - upper)
            yield level, first.position + (usual[level] - usual[upper]) + share * off


def _agreed(
    found: _Candidates, series: Sequence[Sequence[SeenStack]], group: str, levels: Sequence[str]
) -> NDArray[np.float64]:
    """Logarithm of the evidence for each level at each candidate, on the average of the series that show the place."""
    logs = []
    for stacks in series:
        masses = [seen.masses_at(found.positions, [seen.mark(group, name) for name in levels]) for seen in stacks]
        logs.append(np.log(np.fmax.reduce(masses) + _FLOOR))
    return np.asarray(np.nanmean(np.stack(logs), axis=0))


def _candidates(
    stacks: Sequence[SeenStack], group: str, levels: Sequence[str], hints: Sequence[Vector]
) -> _Candidates | None:
    """The likeliest places of each level and those hinted at, and the probability of every level there."""
    where: list[tuple[SeenStack, int, int, int]] = []
    for name in levels:
        peaks = [
            (value, (seen, index, row, column))
            for seen in stacks
            for index, masses in enumerate(seen.masses[:, seen.mark(group, name)])
            for value, row, column in _peaks(masses)
        ]
        where += [place for _, place in sorted(peaks, key=lambda peak: -peak[0])[:_CANDIDATES]]
    where += [_nearest(stacks, hint) for hint in hints]
    if not where:
        return None
    positions = [seen.positions[index, row, column] for seen, index, row, column in where]
    evidence = [
        seen.masses[index, [seen.mark(group, name) for name in levels], row, column]
        for seen, index, row, column in where
    ]
    return _Candidates(np.stack(positions), np.stack(evidence).astype(np.float64), where)


def _nearest(stacks: Sequence[SeenStack], position: Vector) -> tuple[SeenStack, int, int, int]:
    """The place on a map nearest to one in the patient: stack, slice, row, column."""
    found = [(seen, *seen.nearest(position)) for seen in stacks]
    seen, cell, _ = min(found, key=lambda candidate: candidate[2])
    return seen, *cell


def _peaks(masses: NDArray[np.float32]) -> Iterator[tuple[float, int, int]]:
    """The highest places of a map, apart from each other: value, row, column."""
    rest = masses.copy()
    for _ in range(_PEAKS):
        row, column = (int(value) for value in np.unravel_index(int(rest.argmax()), rest.shape))
        if rest[row, column] < _FLOOR:
            return
        yield float(rest[row, column]), row, column
        rest[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = 0


def _pair_scores(
    positions: NDArray[np.float64], steps: Offsets, size: float
) -> dict[tuple[int, int], NDArray[np.float64]]:
    """How well each pair of candidates is two levels of a spine, by the levels: (upper candidate, lower candidate).

    What is no spine at all is minus infinity.
    """
    vectors = (positions[None, :, :] - positions[:, None, :]) / size
    means = np.array(steps.mean)
    covariances = np.linalg.inv(np.array(steps.precision))
    scores = {}
    for upper, lower in combinations(range(len(means) + 1), 2):
        mean, covariance = means[upper:lower].sum(axis=0), covariances[upper:lower].sum(axis=0)
        off = vectors - mean
        squared = np.einsum("...i,ij,...j->...", off, np.linalg.inv(covariance), off)
        scores[upper, lower] = np.where(squared <= _FARTHEST, -0.5 * squared, -np.inf)
    return scores


def offset_score(vectors: NDArray[np.float64], offsets: Offsets, level: int) -> NDArray[np.float64]:
    """How usual vectors (..., 3) are: 0 for the mean, falling to a floor."""
    off = vectors - np.array(offsets.mean[level])
    squared = np.einsum("...i,ij,...j->...", off, np.array(offsets.precision[level]), off)
    return np.asarray(-0.5 * np.minimum(squared, _FARTHEST))


def _best_chain(
    unary: NDArray[np.float64], pairs: Mapping[tuple[int, int], NDArray[np.float64]]
) -> tuple[float, list[int | None]]:
    """The best candidate for each level (Viterbi) and the chain's score; levels may be missing."""
    count, levels = unary.shape
    missing = float(np.log(_FLOOR))
    best = np.empty((levels, count))
    previous = np.full((levels, count, 2), -1)
    for level in range(levels):
        best[level] = level * missing + unary[:, level]
        for upper in range(level):
            skipped = (level - upper - 1) * missing
            through = best[upper][:, None] + pairs[upper, level] + skipped
            before = through.max(axis=0) + unary[:, level]
            better = before > best[level]
            previous[level, better] = np.stack([np.full(count, upper), through.argmax(axis=0)], axis=1)[better]
            best[level] = np.maximum(best[level], before)
    totals = best + missing * (levels - 1 - np.arange(levels))[:, None]
    level, chosen = (int(value) for value in np.unravel_index(int(totals.argmax()), totals.shape))
    chain: list[int | None] = [None] * levels
    while level >= 0:
        chain[level] = chosen
        level, chosen = (int(value) for value in previous[level, chosen])
    return float(totals.max()), chain


def _naming(logs: NDArray[np.float64], chain: Sequence[int | None]) -> float:
    """How much more the names that the levels have are seen than those one higher or lower."""
    totals = []
    for shift in (-1, 0, 1):
        named = [(chosen, level + shift) for level, chosen in enumerate(chain) if chosen is not None]
        seen = [logs[chosen, level] if 0 <= level < logs.shape[1] else np.log(_FLOOR) for chosen, level in named]
        totals.append(float(np.sum(seen)) * _INDEPENDENT)
    shares = np.exp(np.array(totals) - max(totals))
    return float(shares[1] / shares.sum())


def _size(places: Sequence[Place | None], steps: Offsets) -> float:
    lengths = np.linalg.norm(np.array(steps.mean), axis=1)
    ratios = [
        float(np.linalg.norm(lower.position - upper.position) / length)
        for (upper, lower), length in zip(pairwise(places), lengths, strict=True)
        if upper is not None and lower is not None
    ]
    return float(np.median(ratios)) if ratios else 1.0


def _refusal(column: Column, known: bool) -> str | None:
    if len(column.known) < _LEAST_LEVELS or column.confidence < _LEAST_CONFIDENCE:
        return "the model could not find the spine in it; the images may be fine"
    if known and not _SMALLER <= column.size <= _TALLER:
        usual = "small" if column.size < 1 else "large"
        return f"its vertebrae are too {usual} for a lumbar spine ({column.size:.0%} of the usual height)"
    return None


def refuse_smaller(column: Column, others: Sequence[Column]) -> Column:
    """Refuses a column whose vertebrae are much smaller than those of the study's other series: it is of another part."""
    share = column.size / max((other.size for other in others if other.refusal is None), default=column.size)
    if column.refusal is not None or share >= _SMALLER_THAN_OTHERS:
        return column
    return replace(column, refusal=f"its vertebrae have {share:.0%} of the height of those in the study's other series")
