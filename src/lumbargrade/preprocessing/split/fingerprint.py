"""Fingerprints of images that windowing, noise, JPEG and a shift by a pixel hardly change.

A fingerprint is the signs of an image's lowest cosine waves (DCT), without its mean.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

_WAVES = 32
BITS = _WAVES * _WAVES - 1
_FLAT = 2.0
"""Spread of grey values below which an image shows nothing that could be told from another's noise."""
_ROWS, _COLUMNS = 256, 4096
"""Fingerprints that are compared at a time, so that what is held stays within the processor's cache."""

Fingerprints = NDArray[np.uint64]


def fingerprint(images: NDArray[np.uint8]) -> Fingerprints:
    """Returns the fingerprints of images.

    Args:
        images: (images, rows, columns), at least 32 pixels each way.

    Returns:
        (images, 16); the Hamming distance of two rows is from 0 to :data:`BITS`.
    """
    waves = dctn(images.astype(np.float32), axes=(1, 2), norm="ortho")[:, :_WAVES, :_WAVES]
    signs = waves.reshape(len(images), -1) > 0
    signs[:, 0] = False
    return np.packbits(signs, axis=1).view(np.uint64)


def shows_something(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tells which images are more than an even area; a slice that could not be read is black, and like any other."""
    return np.asarray(images.std(axis=(1, 2)) > _FLAT)


def near_pairs(
    fingerprints: Fingerprints, owners: NDArray[np.int64], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Finds images of different owners whose fingerprints are near each other.

    Args:
        fingerprints: (images, 16).
        owners: (images,).
        limit: Largest Hamming distance.

    Returns:
        Places of the first and of the second image, the first one's lower, and the distance; (pairs,) each.
    """
    firsts, seconds, distances = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for top in range(0, len(fingerprints), _ROWS):
        for left in range(top, len(fingerprints), _COLUMNS):
            rows, columns = slice(top, top + _ROWS), slice(left, left + _COLUMNS)
            distance = _distances(fingerprints[rows], fingerprints[columns])
            first, second = np.nonzero((distance <= limit) & (owners[rows, None] != owners[None, columns]))
            upper = first + top < second + left
            firsts.append(first[upper] + top)
            seconds.append(second[upper] + left)
            distances.append(distance[first[upper], second[upper]].astype(np.int64))
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(distances)


def _distances(ones: Fingerprints, others: Fingerprints) -> NDArray[np.uint16]:
    distance = np.zeros((len(ones), len(others)), np.uint16)
    for word in range(ones.shape[1]):
        distance += np.bitwise_count(ones[:, word, None] ^ others[None, :, word])
    return distance
