"""Slices of a series, ordered in space: parallel ones together, one at each position."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
from scipy.spatial import cKDTree

from lumbargrade.dicom.geometry import Orientation
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.variants import kind_rank, kind_words, telling_fields, variant_key, variant_rank

_SAME_PLACE_MM = 0.05
_GAP = 1.5
"""Slices farther apart than so many usual distances are not neighbours: others are missing between them."""
_MOST_PLACES = 0.75
"""Of kinds of images that reach this share of the places the preferred one is taken, else the one with most places."""
_CROWDED = 3
"""As many images as this at one or two places, and none elsewhere, have positions that cannot be."""


Item = TypeVar("Item")

SIZE_FAULT = "the size of a pixel is not known"
EQUAL_POSITIONS = "all claim one position"
DISORDER = "their positions contradict what they show"


@dataclass(frozen=True, eq=False)
class Stack:
    """Parallel slices of one shape and spacing, one at each position.

    They are ordered by position, never by instance number, which rises either way: sagittal slices toward the
    patient's left, axial ones toward the head, coronal ones toward the back.
    """

    slices: tuple[SliceHeader, ...]

    @cached_property
    def orientation(self) -> Orientation:
        """The body plane nearest to the slices."""
        return self.slices[0].plane.orientation

    @cached_property
    def spacing_between(self) -> float:
        """Median distance between neighbouring slices, mm; the thickness (or 1) of a single slice."""
        if len(self.slices) == 1:
            return self.slices[0].thickness or 1.0
        return float(np.median(self._steps))

    @property
    def size_fault(self) -> str | None:
        """Why nothing can be measured in the slices, if so."""
        return None if all(header.spacing_known for header in self.slices) else SIZE_FAULT

    @property
    def placement_fault(self) -> str | None:
        """Why it is not known where in the patient the slices lie, and so which side they show, if so."""
        if not all(header.orientation_known for header in self.slices):
            return "how its slices lie in the patient is not known, so that left and right are not"
        unknown = [header for header in self.slices if not header.position_known]
        if unknown:
            why = unknown[0].position_fault or "their positions are not stated"
            return f"where its slices lie in the patient is not known ({why}), so that their order and side are not"
        return None

    @cached_property
    def missing(self) -> tuple[int, ...]:
        """About how many slices are missing between each slice and the next one, (slices - 1,).

        Axial slices are planned in blocks with gaps between them, and then instance numbers go on from one to the next:
        there slices are missing only where numbers are too. Blocks may also each have their numbers from 1.
        """
        if not all(header.placed for header in self.slices):
            return (0,) * (len(self.slices) - 1)
        gaps = missing_slices(self._steps, self.slices[0])
        if self.orientation == "sagittal":
            return gaps
        numbers = numbers_along(self)
        if numbers is None:
            return (0,) * len(gaps)
        there = sorted(set(numbers))
        skipped = [_absent(there, min(pair), max(pair)) for pair in pairwise(numbers)]
        return tuple(min(gap, skip) for gap, skip in zip(gaps, skipped, strict=True))

    @cached_property
    def _steps(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        axis = self.slices[0].plane.normal
        return np.asarray(np.abs(np.diff([float(header.plane.position @ axis) for header in self.slices])))


@dataclass(frozen=True, eq=False)
class SetAside:
    """Images that lie where others of another kind lie, which are taken in their place.

    Attributes:
        fields: The tags by which they differ, as :data:`lumbargrade.dicom.variants.WORDS` has them.
        taken: What the others are, in words.
    """

    headers: tuple[SliceHeader, ...]
    fields: tuple[str, ...]
    taken: str


def missing_slices(steps: np.ndarray[tuple[int], np.dtype[np.float64]], like: SliceHeader) -> tuple[int, ...]:
    """About how many slices are missing in each of the distances between slices in order.

    Args:
        steps: mm, (slices - 1,).
        like: One of them, whose SpacingBetweenSlices shows it if every second slice is missing.
    """
    if not len(steps):
        return ()
    usual = float(np.median(steps))
    if like.between is not None and like.thickness is not None and like.between >= 0.9 * like.thickness:
        usual = min(usual, like.between)
    return tuple(round(float(step) / usual) - 1 if step > _GAP * usual > 0 else 0 for step in steps)


def group_stacks(headers: Iterable[SliceHeader]) -> list[Stack]:
    """Groups the slices of one series into stacks, the largest first.

    Slices of other orientation (by more than 3 degrees), shape or spacing make another stack; so do slices side by
    side in one plane, and slices whose place is not known. Of several images at the same place, the preferred kind
    stays (:mod:`lumbargrade.dicom.variants`), and of one kind the one with the lowest instance number.
    """
    return choose_stacks(headers)[0]


def choose_stacks(headers: Iterable[SliceHeader]) -> tuple[list[Stack], list[SetAside]]:
    """Groups slices as :func:`group_stacks` does, and says which kinds of images were set aside."""
    ordered = sorted(headers, key=_number)
    aside: list[SetAside] = []
    left: set[int] = set()
    for bucket in bundle_alike(ordered, _parallel):
        unwanted, why = _unwanted(bucket)
        aside += why
        left |= {id(header) for header in unwanted}
    groups: list[list[SliceHeader]] = []
    for header in ordered:
        if id(header) not in left:
            _place(header, groups)
    return sorted(map(_stack, groups), key=lambda stack: -len(stack.slices)), aside


def settle_positions(headers: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Gives slices whose positions cannot be, as they are all equal, an order by their instance numbers instead.

    Such slices are of unknown position. The order of the headers stays.
    """
    changed: dict[int, SliceHeader] = {}
    for bucket in bundle_alike(sorted(headers, key=_number), _parallel):
        crowds = _crowds(bucket)
        for kind in _kinds(bucket, crowds).values() if crowds else ():
            images = len({header.sop_uid or str(id(header)) for header in kind})
            places = len(set(_places(kind)))
            if images >= _CROWDED * places or (images > places and not kind[0].placed):
                changed |= {
                    id(header): number_place(header, place, EQUAL_POSITIONS) for place, header in enumerate(kind)
                }
    return [changed.get(id(header), header) for header in headers]


def number_place(header: SliceHeader, place: int, fault: str) -> SliceHeader:
    """The slice at a stand-in position, its own not being believed.

    Args:
        place: Its place in the order of the instance numbers.
        fault: Why.
    """
    step = header.between or header.thickness or 1.0
    plane = replace(header.plane, position=place * step * header.plane.rising_normal)
    why = fault if header.position_known else header.position_fault
    return replace(header, position_known=False, position_fault=why, plane=plane)


def numbers_along(stack: Stack) -> list[int] | None:
    """The slices' numbers in the order of the stack; None if one has none."""
    numbers = [header.instance_number if header.frame is None else header.frame for header in stack.slices]
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(numbers) else None


def _absent(there: Sequence[int], low: int, high: int) -> int:
    """Counts the numbers between two that none of ``there``, which are sorted, is."""
    return max(high - low - 1, 0) - max(bisect_left(there, high) - bisect_right(there, low), 0)


def bundle_alike(items: Iterable[Item], alike: Callable[[Item, Item], bool]) -> list[list[Item]]:
    """Bundles items, each with the first bundle whose first item it is like."""
    bundles: list[list[Item]] = []
    for item in items:
        bundle = next((bundle for bundle in bundles if alike(bundle[0], item)), None)
        if bundle is None:
            bundles.append([item])
        else:
            bundle.append(item)
    return bundles


def _unwanted(bucket: list[SliceHeader]) -> tuple[list[SliceHeader], list[SetAside]]:
    """The slices that give way to those of a preferred kind at their places, and what is said of them."""
    crowds = _crowds(bucket)
    kinds = _kinds(bucket, crowds)
    if len(kinds) < 2:
        return [], []
    place_of = dict(zip(map(id, bucket), _places(bucket), strict=True))
    reach = {key: {place_of[id(header)] for header in kind} for key, kind in kinds.items()}
    order = sorted(
        kinds, key=lambda key: (variant_rank(kinds[key][0].variant, kinds[key][0].contrast), -len(reach[key]))
    )
    enough = _MOST_PLACES * len(set(place_of.values()))
    best = next((key for key in order if len(reach[key]) >= enough), max(order, key=lambda key: len(reach[key])))
    fields = _telling(crowds)
    alike = kind_rank(kinds[best][0].variant)
    kept, filled = list(kinds[best]), set(reach[best])
    for key in order:  # where the taken kind has no image, another one of its sort stands in
        if key != best and kind_rank(kinds[key][0].variant) == alike:
            kept += [header for header in kinds[key] if place_of[id(header)] not in filled]
            filled |= reach[key]
    stay = {id(header) for header in kept}
    left = [header for header in bucket if id(header) not in stay]
    return left, [SetAside(tuple(left), fields, kind_words(kinds[best][0].variant, fields))] if left else []


def _kinds(
    bucket: Sequence[SliceHeader], crowds: Sequence[Sequence[SliceHeader]]
) -> dict[tuple[object, ...], list[SliceHeader]]:
    """The slices by the tags that tell images at one place from each other; one kind if no tag does."""
    fields = _telling(crowds)
    kinds: dict[tuple[object, ...], list[SliceHeader]] = {}
    for header in bucket:
        kinds.setdefault(variant_key(header.variant, fields), []).append(header)
    return kinds


def _telling(crowds: Sequence[Sequence[SliceHeader]]) -> tuple[str, ...]:
    return telling_fields([[header.variant for header in crowd] for crowd in crowds])


def _crowds(headers: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """The images at each place that has several."""
    places: dict[int, list[SliceHeader]] = {}
    for header, place in zip(headers, _places(headers), strict=True):
        places.setdefault(place, []).append(header)
    return [place for place in places.values() if len(place) > 1]


def _places(headers: Sequence[SliceHeader]) -> list[int]:
    """A number for the place of each slice; those at one place have the same."""
    positions = np.array([header.plane.position for header in headers])
    places = list(range(len(headers)))
    for one, other in sorted(cKDTree(positions).query_pairs(_SAME_PLACE_MM, p=np.inf)):
        places[other] = min(places[one], places[other])
    return places


def _place(header: SliceHeader, groups: list[list[SliceHeader]]) -> None:
    for group in groups:
        if not _parallel(group[0], header):
            continue
        offsets = np.array([other.plane.position for other in group]) - header.plane.position
        if (np.abs(offsets).max(axis=1) < _SAME_PLACE_MM).any():
            return
        if (np.abs(offsets @ group[0].plane.normal) >= _SAME_PLACE_MM).all():
            group.append(header)
            return
    groups.append([header])


def _stack(group: list[SliceHeader]) -> Stack:
    axis = group[0].plane.rising_normal
    return Stack(tuple(sorted(group, key=lambda header: float(header.plane.position @ axis))))


def _number(header: SliceHeader) -> tuple[float, str, int]:
    number = header.instance_number
    return (np.inf if number is None else number, str(header.path), header.frame or 0)


def _parallel(one: SliceHeader, other: SliceHeader) -> bool:
    a, b = one.plane, other.plane
    return (
        a.shape == b.shape
        and (one.spacing_known, one.orientation_known, one.position_known)
        == (other.spacing_known, other.orientation_known, other.position_known)
        and all(abs(p - q) <= 1e-3 * q for p, q in zip(a.spacing, b.spacing, strict=True))
        and a.is_parallel(b)
    )
