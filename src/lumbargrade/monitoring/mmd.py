"""Whether a window of a stream comes from where a reference comes from, asked anew after each study.

The statistic is the unbiased squared maximum mean discrepancy with a Gaussian kernel (Gretton et al. 2012). What it
becomes without drift is measured: replays draw both a reference and a stream from the reference, and the largest value
over all looks and all families (Westfall and Young 1993) says how high it goes by chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel

from lumbargrade.config.params import WatchParams

Array = NDArray[np.float64]

_LEAST_DEVIATION = 0.01
"""Numbers that vary less in the reference count as if they varied so much: logarithms, shares and grey values all do."""
_LEAST_SPREAD = 1e-12
_FAR = 8.0
"""Deviations from the reference's mean; farther is as far."""


@dataclass(frozen=True, eq=False)
class Family:
    """Reference and stream of one family, ready to be compared.

    Attributes:
        kernel: Between all studies, the reference's first, (studies, studies).
        reference: How many are the reference's.
    """

    kernel: Array
    reference: int

    @classmethod
    def of(cls, reference: pd.DataFrame, stream: pd.DataFrame) -> "Family":
        """Scales both by the reference; the kernel's width is the median distance in it."""
        columns = [name for name in reference.columns if reference[name].notna().any()]
        usual, later = reference[columns], stream.reindex(columns=columns)
        middle = usual.median()
        both = pd.concat([usual, later], ignore_index=True).fillna(middle).to_numpy(np.float64)
        known = both[: len(usual)]
        deviation = np.maximum(known.std(axis=0), _LEAST_DEVIATION)
        scaled = np.clip((both - known.mean(axis=0)) / deviation, -_FAR, _FAR)
        width = float(np.median(pdist(scaled[: len(usual)], "sqeuclidean"))) or 1.0
        return cls(np.asarray(rbf_kernel(scaled, gamma=1 / width), dtype=np.float64), len(usual))

    def discrepancy(self, window: int) -> Array:
        """The squared discrepancy of the window that ends with each study of the stream, (studies - window + 1,)."""
        size = self.reference
        among = _among(np.full((1, size), 1 / size), self.kernel[:size, :size])
        stream = np.arange(size, len(self.kernel))[None]
        across = self.kernel[:, :size].mean(axis=1)[stream]
        return np.asarray(_discrepancy(among, across, self.kernel, stream, window)[0])

    def null(self, references: NDArray[np.int64], streams: NDArray[np.int64], window: int) -> Array:
        """The same for replays, (replays, looks).

        Args:
            references: Studies of the reference that make each replay's own, (replays, studies).
            streams: Those that make its stream, (replays, horizon).
        """
        size = self.reference
        kernel = self.kernel[:size, :size]
        shares = np.stack([np.bincount(drawn, minlength=size) / drawn.size for drawn in references])
        across = np.take_along_axis(shares @ kernel, streams, axis=1)
        return _discrepancy(_among(shares, kernel), across, kernel, streams, window)

    def since(self, raised: int, window: int) -> int:
        """The study of the stream from which on studies are more like a raised window than like the reference.

        Args:
            raised: The window's last study.
        """
        size = self.reference
        inside = size + np.arange(raised + 1 - window, raised + 1)
        likeness = self.kernel[:, inside].mean(axis=1) - self.kernel[:, :size].mean(axis=1)
        middle = (likeness[:size].mean() + likeness[inside].mean()) / 2
        first = max(raised + 1 - 2 * window, 0)
        gains = likeness[size + first : size + raised + 1] - middle
        return first + int(np.argmax(np.cumsum(gains[::-1])[::-1]))


@dataclass(frozen=True, eq=False)
class Course:
    """How far a stream was from its reference at each look.

    Attributes:
        heights: Discrepancy of each family in deviations from what chance makes of it, (families, looks).
        chances: Share of the undrifted replays in which any family was ever as high, (families, looks).
        threshold: Height above which drift is raised.
    """

    names: tuple[str, ...]
    heights: Array
    chances: Array
    threshold: float


@dataclass(frozen=True, eq=False)
class Null:
    """What chance makes of the discrepancies.

    Attributes:
        middles, deviations: Of each family's discrepancy at any look.
        highest: The greatest height of any family in each replay, rising.
        threshold: Height that so few replays exceed as ``false_alarms`` allows.
    """

    middles: dict[str, float]
    deviations: dict[str, float]
    highest: Array
    threshold: float


def measure_null(families: Mapping[str, Family], params: WatchParams, seed: int = 0) -> Null:
    """Replays undrifted stretches; only the references of the families count."""
    size = next(iter(families.values())).reference
    rng = np.random.default_rng(seed)
    references = rng.integers(size, size=(params.replays, size))
    streams = rng.integers(size, size=(params.replays, params.horizon))
    middles, deviations, highest = {}, {}, np.full(params.replays, -np.inf)
    for name, family in families.items():
        null = family.null(references, streams, params.window)
        middles[name], deviations[name] = float(null.mean()), max(float(null.std()), _LEAST_SPREAD)
        highest = np.maximum(highest, (null.max(axis=1) - middles[name]) / deviations[name])
    threshold = float(np.quantile(highest, 1 - params.false_alarms, method="higher"))
    return Null(middles, deviations, np.sort(highest), threshold)


def follow(families: Mapping[str, Family], null: Null, window: int) -> Course:
    """Looks at a stream after each of its studies, from the first whole window on."""
    heights = np.stack([
        (family.discrepancy(window) - null.middles[name]) / null.deviations[name] for name, family in families.items()
    ])  # fmt: skip
    above = len(null.highest) - np.searchsorted(null.highest, heights, side="left")
    return Course(tuple(families), heights, (above + 1) / (len(null.highest) + 1), null.threshold)


def _among(shares: Array, kernel: Array) -> Array:
    """Mean kernel between two different studies of a reference in which each study has its share, (replays,)."""
    size = kernel.shape[0]
    whole = ((shares @ kernel) * shares).sum(axis=1)
    return np.asarray((whole * size - 1) / (size - 1))


def _discrepancy(among: Array, across: Array, kernel: Array, streams: NDArray[np.int64], window: int) -> Array:
    """Squared discrepancies, (replays, looks).

    Args:
        among: Mean kernel in each replay's reference, (replays,).
        across: Mean kernel between each study of the stream and the reference, (replays, studies).
    """
    studies = streams.shape[1]
    looks = max(studies - window + 1, 0)
    pairs = np.zeros((len(streams), looks))
    if not looks:
        return pairs
    for lag in range(1, window):
        pairs += _rolling(kernel[streams[:, lag:], streams[:, :-lag]], window - lag)
    inside = 2 * pairs / (window * (window - 1))
    return np.asarray(inside + among[:, None] - 2 * _rolling(across, window) / window)


def _rolling(values: Array, size: int) -> Array:
    """Sums of so many neighbours, (rows, columns - size + 1)."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return np.asarray(sums[:, size:] - sums[:, :-size])
