"""Localizers that no tag and no name tells: a few slices in several planes, which only an operator plans others by."""

_FEW = 9
"""Slices in each of several body planes, at most, that are no examination."""


def planes_reason(slices: dict[str, int]) -> str | None:
    """Says so if a series has a few slices in several body planes, as only localizers have.

    Args:
        slices: How many slices lie in each body plane.
    """
    if len(slices) > 1 and max(slices.values()) <= _FEW:
        return f"it has a few slices in {len(slices)} planes"
    return None
