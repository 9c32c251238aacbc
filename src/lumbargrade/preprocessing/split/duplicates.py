"""Finds studies that go by different ids and show the same images: a second opinion on leakage.

Two such studies in different folds, or one in the holdout, would let a network be scored on what it has learned by heart.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.preprocessing.shards import Shards
from lumbargrade.preprocessing.split.fingerprint import fingerprint, near_pairs, shows_something

DUPLICATES = "duplicates.csv"
LIMIT = 224
"""Bits of :data:`~lumbargrade.preprocessing.split.fingerprint.BITS` in which two views of one image may differ.

Measured on views of 128 pixels: an image re-windowed, noised, turned into JPEG and shifted by a pixel at once differs from
itself by 140 bits typically (SPIDER), and no two of 64 real studies came closer than 394, no two of 60 phantoms than 281:
``python benchmarks/near_duplicates.py VIEWS``.
"""
COLUMNS = ["study_id", "series_id", "other_study_id", "other_series_id", "distance"]
_CHUNK = 1024


def find_duplicates(views: Path, limit: int = LIMIT) -> pd.DataFrame:
    """Finds the series of different studies that have a near-duplicate image in the middle of a stack.

    Args:
        views: Folder of packed views (:mod:`lumbargrade.preprocessing.pack_views`).
        limit: Largest Hamming distance of two fingerprints.

    Returns:
        A row a pair of series, with the ids of both, the lower study's first, and the distance of their nearest images in
        bits; by study and series.
    """
    slices = pd.read_parquet(views / "slices.parquet")
    middle = slices.loc[middle_slices(slices)]
    found = [_near_series(kin, Shards(views, "views"), limit) for _, kin in middle.groupby("orientation", sort=True)]
    pairs = pd.concat(found, ignore_index=True)
    nearest = pairs.sort_values(COLUMNS, ignore_index=True).drop_duplicates(COLUMNS[:-1])
    return nearest.reset_index(drop=True)


def middle_slices(slices: pd.DataFrame) -> NDArray[np.int64]:
    """Places of the slice in the middle of each stack and of its neighbours: copies may count a slice more or less."""
    stacks = slices.groupby(["study_id", "series_id", "stack"])
    off = stacks.cumcount() - stacks["instance_number"].transform("size") // 2
    return np.flatnonzero(off.abs() <= 1)


def _near_series(slices: pd.DataFrame, shards: Shards, limit: int) -> pd.DataFrame:
    """Pairs of near images among slices of one orientation; they are packed by study, so the lower study comes first."""
    prints, shown = [], []
    for start in range(0, len(slices), _CHUNK):
        images = np.stack([shards.take(int(place)) for place in slices.index[start : start + _CHUNK]])
        prints.append(fingerprint(images))
        shown.append(shows_something(images))
    kept = np.concatenate(shown)
    ids = slices[["study_id", "series_id"]].to_numpy(np.int64)[kept]
    first, second, distance = near_pairs(np.concatenate(prints)[kept], ids[:, 0], limit)
    return pd.DataFrame(np.column_stack([ids[first], ids[second], distance]), columns=COLUMNS)
