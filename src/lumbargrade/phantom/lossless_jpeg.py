"""Lossless JPEG of a grey image (ITU-T T.81, annex H: process 14, selection value 1), as numpy can make it."""

import numpy as np
from numpy.typing import NDArray

_CATEGORIES = 17
_CODE_BITS = 5
"""Every category of differences has a code of so many bits: longer than need be, and as valid."""


def encode_lossless_jpeg(pixels: NDArray[np.uint16], precision: int) -> bytes:
    """Encodes an image.

    Args:
        pixels: Stored values, (rows, columns); signed ones as their bits are.
        precision: Bits of a value, 2 to 16.
    """
    values = pixels.astype(np.int64) & ((1 << precision) - 1)
    left = np.empty_like(values)
    left[:, 1:] = values[:, :-1]
    left[1:, 0] = values[:-1, 0]
    left[0, 0] = 1 << (precision - 1)
    differences = (values - left + 32768) % 65536 - 32768
    bits = _code_differences(differences.ravel())
    rows, columns = pixels.shape
    size = bytes([precision, *rows.to_bytes(2, "big"), *columns.to_bytes(2, "big"), 1, 1, 0x11, 0])
    codes = bytes([0, 0, 0, 0, 0, _CATEGORIES, *[0] * 11, *range(_CATEGORIES)])
    data = np.packbits(np.concatenate([bits, np.ones(-len(bits) % 8, np.uint8)])).tobytes()
    return b"".join([
        b"\xff\xd8",
        _segment(0xC3, size),
        _segment(0xC4, codes),
        _segment(0xDA, bytes([1, 1, 0, 1, 0, 0])),
        data.replace(b"\xff", b"\xff\x00"),
        b"\xff\xd9",
    ])  # fmt: skip


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _code_differences(differences: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bits of each difference's category and of its value within it (tables F.1 and H.2), one after the other."""
    category = np.ceil(np.log2(np.abs(differences) + 1)).astype(np.int64)
    value = np.where(differences > 0, differences, differences + (1 << category) - 1)
    more = np.where(category == _CATEGORIES - 1, 0, category)  # the largest one has one value only
    code = (category << more) | np.where(more > 0, value, 0)
    lengths = _CODE_BITS + more
    ends = np.cumsum(lengths)
    within = ends.repeat(lengths) - 1 - np.arange(ends[-1])
    return np.asarray((code.repeat(lengths) >> within) & 1, dtype=np.uint8)
