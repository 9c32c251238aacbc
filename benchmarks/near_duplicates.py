"""Measures how far images are from each other and from themselves, to choose the limit of near-duplicates.

    python benchmarks/near_duplicates.py VIEWS

VIEWS is a folder of packed views, such as prepared/phantom/views. Prints JSON: the nearest images of
different studies, and for each change of an image its distance to itself, in bits.
"""

import argparse
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from lumbargrade.preprocessing.shards import Shards
from lumbargrade.preprocessing.split.duplicates import LIMIT, find_duplicates, middle_slices
from lumbargrade.preprocessing.split.fingerprint import BITS, fingerprint


def main() -> None:
    """Parses the command line and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", type=Path)
    views = parser.parse_args().views
    slices = pd.read_parquet(views / "slices.parquet")
    shards = Shards(views, "views")
    images = np.stack([shards.take(int(place)) for place in middle_slices(slices)])
    own = {name: _spread(_distance(images, changed)) for name, changed in _changes(images).items()}
    others = find_duplicates(views, limit=BITS)["distance"]
    told = {"images": len(images), "limit": LIMIT, "bits": BITS, "same_image": own}
    print(json.dumps({**told, "nearest_of_two_studies": int(others.min())}, indent=2))


def _changes(images: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    grey = images.astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.05 * 255, grey.shape)
    windowed = (grey / 255 - 0.1) / 0.7 * 255
    every = _bytes(np.roll(windowed, 1, axis=2) + noise)
    return {
        "window 10-80 %": _bytes(windowed),
        "noise 5 %": _bytes(grey + noise),
        "shift 1 pixel": np.roll(images, 1, axis=2),
        "shift 1 pixel each way": np.roll(images, (1, 1), axis=(1, 2)),
        "JPEG 50": _jpeg(images),
        "window, noise, shift, JPEG": _jpeg(every),
    }


def _bytes(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(grey, 0, 255).astype(np.uint8)


def _jpeg(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    coded = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=50)
        coded.append(np.array(Image.open(buffer)))
    return np.stack(coded)


def _distance(ones: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.bitwise_count(fingerprint(ones) ^ fingerprint(others)).sum(axis=1, dtype=np.int64)


def _spread(distances: NDArray[np.int64]) -> dict[str, float]:
    return {"median": float(np.median(distances)), "99 %": float(np.quantile(distances, 0.99))}


if __name__ == "__main__":
    main()
