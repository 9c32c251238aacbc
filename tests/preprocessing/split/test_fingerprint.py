"""What changes an image's bytes hardly changes its fingerprint; what changes the image does."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from lumbargrade.preprocessing.split.duplicates import LIMIT
from lumbargrade.preprocessing.split.fingerprint import BITS, fingerprint, near_pairs, shows_something

RNG = np.random.default_rng(0)
GREY = gaussian_filter(RNG.random((40, 128, 128)), (0, 4, 4))
IMAGES = ((GREY - GREY.min()) / np.ptp(GREY) * 255).astype(np.uint8)


def differing(ones: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.bitwise_count(fingerprint(ones) ^ fingerprint(others)).sum(axis=1, dtype=np.int64)


def jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=50)
    return np.array(Image.open(buffer))


@pytest.mark.parametrize(
    "changed",
    [
        (IMAGES * 0.6 + 30).astype(np.uint8),
        np.clip(IMAGES + RNG.normal(0, 5, IMAGES.shape), 0, 255).astype(np.uint8),
        np.roll(IMAGES, 1, axis=2),
        np.stack([jpeg(image) for image in IMAGES]),
    ],
    ids=["window", "noise", "shift", "jpeg"],
)
def test_the_same_image_stays_near(changed: NDArray[np.uint8]) -> None:
    assert np.quantile(differing(IMAGES, changed), 0.9) < LIMIT


def test_other_images_are_far() -> None:
    assert differing(IMAGES[:-1], IMAGES[1:]).min() > LIMIT + 100
    assert differing(IMAGES, 255 - IMAGES).min() > BITS - 50


def test_pairs_are_those_that_a_plain_loop_finds_across_blocks() -> None:
    count = 700
    prints = RNG.integers(0, 2**64, (count, 16), dtype=np.uint64)
    owners = np.arange(count) // 2
    prints[650], prints[1], prints[301] = prints[3] ^ np.uint64(1), prints[0], prints[600]
    first, second, distance = near_pairs(prints, owners, 20)
    assert list(zip(first, second, distance, strict=True)) == [(3, 650, 16), (301, 600, 0)]


def test_what_is_even_shows_nothing() -> None:
    images = np.stack([np.zeros((128, 128)), np.full((128, 128), 90), IMAGES[0]]).astype(np.uint8)
    assert shows_something(images).tolist() == [False, False, True]
