"""Whether an image looks as if text were burned into its margins. A hint for people, no proof either way."""

import numpy as np
from numpy.typing import NDArray

_MARGIN = 0.15
_WHITE, _BLACK = 0.97, 0.15
_WIDEST = 5
_STROKES = 24


def looks_lettered(image: NDArray[np.integer]) -> bool:
    """Tells whether the margins hold many thin strokes of the image's highest value on nearly black ground.

    Letters are drawn at one value with hard edges on both sides; anatomy at the margin is grey, broad or soft.

    Args:
        image: Stored values, (rows, columns).
    """
    low, high = float(image.min()), float(image.max())
    if high <= low:
        return False
    grey = (image - low) / (high - low)
    rows, columns = (max(int(size * _MARGIN), 1) for size in image.shape)
    margins = (grey[:rows], grey[-rows:], grey[rows:-rows, :columns], grey[rows:-rows, -columns:])
    return sum(_strokes(margin) for margin in margins) >= _STROKES


def _strokes(margin: NDArray[np.floating]) -> int:
    """Runs of white pixels in a row, at most five, between nearly black ones."""
    found = 0
    for width in range(1, _WIDEST + 1):
        if margin.shape[1] < width + 2:
            break
        stroke = (margin[:, : -width - 1] <= _BLACK) & (margin[:, width + 1 :] <= _BLACK)
        for place in range(1, width + 1):
            stroke &= margin[:, place : place - width - 1] >= _WHITE
        found += int(stroke.sum())
    return found
