"""Whether the slices of a series show a place at all: what none of them shows is not graded on a slice beside it."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lumbargrade.dicom.geometry import Vector
from lumbargrade.localization.heatmaps import Place, SeenStack
from lumbargrade.preprocessing.views import StackView

_SLACK_MM = 4.0
"""How far a place may lie from where it usually is, along the slices' normal: about one standard deviation of foramina."""
_CLEARLY_SEEN = 0.3
"""A place that is found with this confidence is seen, even on the last slice of a stack."""
_LEAST_ASIDE = 0.4
"""Of the usual distance from the midline to a side's place, at least; what lies nearer is of no side."""
_LOST_MIDDLE = 3
"""With so many slices missing beside it, a slice need not be the one that shows the midline best."""


def distance_from_slices(stacks: Iterable[SeenStack], position: Vector) -> float:
    """How far the nearest slice lies from a place in the patient, mm; infinite if there is none."""
    found = [
        abs(float(seen.stack.slices[index].view.to_pixel(position)[2])) for seen in stacks for index in seen.slices
    ]
    return min(found, default=float("inf"))


def is_shown(stacks: Sequence[SeenStack], position: Vector) -> bool:
    """Whether a slice passes through a place, as far as it is known where the place is."""
    return distance_from_slices(stacks, position) <= 0.5 * _largest_step(stacks) + _SLACK_MM


def is_cut_off(stacks: Sequence[SeenStack], place: Place, usual: Vector) -> bool:
    """Whether a place may lie beyond the slices: no slice passes through the usual one, and the found one is seen faintly.

    What is seen best on the last slice may be seen better on the next one, which is not there. Spines differ in width, so a
    place that is clearly seen counts wherever it is.

    Args:
        usual: Where such a place usually lies.
    """
    return place.confidence < _CLEARLY_SEEN and distance_from_slices(stacks, usual) > 0.5 * _largest_step(stacks)


def is_lost(stacks: Iterable[StackView], seen: Sequence[SeenStack], position: Vector) -> bool:
    """Whether the slices that would show a place are missing or cannot be decoded, and no other one shows it.

    Args:
        stacks: The stacks as they are.
        seen: What could be seen of them near the place.
    """
    return any(_lacks(stack, position) for stack in stacks) and not is_shown(seen, position)


def _lacks(stack: StackView, position: Vector) -> bool:
    """Whether a place lies in a gap between slices, or the nearest slice cannot be decoded."""
    offsets = np.array([float(piece.view.to_pixel(position)[2]) for piece in stack.slices])
    between = np.flatnonzero(np.diff(np.sign(offsets)))
    return bool(stack.apart & set(between.tolist())) or not stack.readable(int(np.abs(offsets).argmin()))


def is_aside(place: Place, middle: Place, usual: Vector) -> bool:
    """Whether a place lies on the side of the midline that it is of, and not near the midline.

    Args:
        usual: From the middle to where such places usually lie, mm.
    """
    return float((place.position - middle.position)[0]) * float(np.sign(usual[0])) >= _LEAST_ASIDE * abs(
        float(usual[0])
    )


def nearest_level(place: Place, usual: Mapping[int, Vector]) -> int:
    """The level that a place belongs to by its height.

    Args:
        usual: Where such a place usually lies at each level.
    """
    return min(usual, key=lambda level: abs(float((usual[level] - place.position)[2])))


def is_beside_gap(stacks: Sequence[SeenStack], place: Place) -> bool:
    """Whether several slices are missing right beside the one that a place is on."""
    for seen in stacks:
        if seen.stack.series != place.series:
            continue
        for index, piece in enumerate(seen.stack.slices):
            if piece.instance == place.instance:
                return any(_missing_after(seen, index + step) >= _LOST_MIDDLE for step in (-1, 0))
    return False


def _missing_after(seen: SeenStack, index: int) -> int:
    """About how many slices are missing after one, by the distance to the next one that was seen."""
    if not 0 <= index < len(seen.stack.slices) - 1 or index not in seen.stack.apart:
        return 0
    pair = seen.stack.slices[index : index + 2]
    step = abs(float(pair[0].view.to_pixel(pair[1].view.position)[2]))
    return round(step / _slice_step(seen)) - 1


def _largest_step(stacks: Sequence[SeenStack]) -> float:
    return max(map(_slice_step, stacks), default=0.0)


def _slice_step(seen: SeenStack) -> float:
    """The usual distance from slice to slice, mm."""
    pieces = seen.stack.slices
    if len(pieces) < 2:
        return 0.0
    first = pieces[0].view
    return float(np.median(np.abs(np.diff([float(first.to_pixel(piece.view.position)[2]) for piece in pieces]))))
