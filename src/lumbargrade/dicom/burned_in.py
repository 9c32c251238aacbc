"""Whether an image looks as if text were burned into its margins. A hint for people, no proof either way."""

import numpy as np
from numpy.typing import NDArray

_MARGIN = 0.15
_WHITE = 0.98
_STROKES = 24


def looks_lettered(image: NDArray[np.integer]) -> bool:
    """Tells whether the margins hold many pixels of the image's very highest value beside nearly black ones.

    Letters are drawn at one value with hard edges; anatomy at the margin is grey with soft ones.

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
    """Edges between neighbours in a row that step from nearly black to white."""
    left, right = margin[:, :-1], margin[:, 1:]
    return int(((np.maximum(left, right) >= _WHITE) & (np.minimum(left, right) <= 1 - _WHITE + 0.1)).sum())
