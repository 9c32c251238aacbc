"""Puts slices back together whose series is not told by a SeriesInstanceUID, as some anonymisers leave them."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from lumbargrade.dicom.geometry import Vector
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.stacks import bundle_alike

Part = list[SliceHeader]

_FEWEST = 3
"""Slices by which it is seen that they are regular."""

_SAME_PLACE_MM = 0.05
_IRREGULAR = 0.15
"""Part of the distance between slices by which one of them may lie off its place."""


def join_loose(parts: Iterable[Part]) -> tuple[list[Part], list[Part]]:
    """Puts loose parts to the one series that they fit, or single slices together.

    Args:
        parts: Of one SeriesInstanceUID each; one without it, or of one slice, is loose.

    Returns:
        The series, and the loose parts that are left.
    """
    whole: list[Part] = []
    loose: list[Part] = []
    for part in parts:
        (loose if len(part) == 1 or not part[0].series_uid else whole).append(part)
    hosts, guests = defaultdict(list), defaultdict(list)
    for part in whole:
        hosts[_kind(part[0])].append(part)
    for part in loose:
        guests[_kind(part[0])].append(part)
    joined, left = list(whole), []
    for kind, alike in guests.items():
        host = hosts[kind][0] if len(hosts[kind]) == 1 else None
        numbered = _is_numbered_series(_flat([host or [], *alike]))
        for bundle in [alike] if numbered else _parallel(alike):
            slices = _flat(bundle)
            fitting = slices + [header for header in host or [] if header.plane.is_parallel(slices[0].plane)]
            if host is not None and (numbered or _is_regular(fitting)):
                host += slices
            elif all(len(part) == 1 for part in bundle) and (numbered or _is_regular(slices)):
                joined.append(slices)
            else:
                left += bundle
    return joined, left


def find_torn(whole: Iterable[Part], loose: Iterable[Part]) -> list[Part]:
    """Finds single slices that are of some series, and no series of their own: others are like them."""
    singles = [part for part in loose if len(part) == 1]
    looks = Counter(_look(part[0]) for part in singles)
    tags = Counter(_tags(part[0]) for part in (*singles, *whole))
    return [part for part in singles if looks[_look(part[0])] >= _FEWEST or tags[_tags(part[0])] > 1]


def _look(header: SliceHeader) -> Hashable:
    return header.contrast, header.plane.orientation


def _tags(header: SliceHeader) -> Hashable:
    """What the header says of its series; if it says nothing, it is like no other one."""
    tags = (header.series_number, description_of(header))
    return (*tags, _look(header)) if any(tag is not None for tag in tags) else id(header)


def _kind(header: SliceHeader) -> Hashable:
    spacing = tuple(f"{value:.3g}" for value in header.plane.spacing)
    tags = (header.series_number, description_of(header), header.contrast, header.frame_of_reference)
    return (*tags, times_of(header), spacing, header.plane.shape)


def _parallel(parts: Iterable[Part]) -> list[list[Part]]:
    """Bundles parts whose first slices are parallel."""
    return bundle_alike(parts, lambda one, other: one[0].plane.is_parallel(other[0].plane))


def _is_regular(slices: Sequence[SliceHeader]) -> bool:
    """Whether slices are parallel and lie one behind the other, equally far apart; some may be missing."""
    if len(slices) < _FEWEST or not all(h.plane_known and h.plane.is_parallel(slices[0].plane) for h in slices):
        return False
    places = np.array([header.plane.position for header in slices])
    depths = places @ slices[0].plane.normal
    places, depths = places[np.argsort(depths)], np.sort(depths)
    gaps = _gaps(slices)
    step = float(np.median(gaps))
    if gaps.min() < _SAME_PLACE_MM:
        return False
    line = places[0] + (depths - depths[0])[:, None] / (depths[-1] - depths[0]) * (places[-1] - places[0])
    steps = gaps / step
    return bool(
        np.abs(steps - steps.round()).max() < _IRREGULAR
        and steps.round().min() >= 1
        and np.abs(places - line).max() < max(1.0, _IRREGULAR * step)
    )


def _is_numbered_series(slices: Sequence[SliceHeader]) -> bool:
    """Whether slices of one kind and SeriesNumber are one series: none is there twice, by its number or its place."""
    numbers = {header.instance_number for header in slices}
    if slices[0].series_number is None or None in numbers or len(numbers) < max(len(slices), _FEWEST):
        return False
    if not all(header.plane_known for header in slices):
        return False
    return all(_gaps(_flat(bundle)).min(initial=np.inf) >= _SAME_PLACE_MM for bundle in _parallel([h] for h in slices))


def _gaps(parallel: Sequence[SliceHeader]) -> Vector:
    """Distances from slice to slice along their normal, mm."""
    normal = parallel[0].plane.normal
    return np.diff(np.sort([float(header.plane.position @ normal) for header in parallel]))


def _flat(parts: Iterable[Part]) -> list[SliceHeader]:
    return [header for part in parts for header in part]


def description_of(header: SliceHeader) -> object:
    """SeriesDescription, but for case and spaces; None if there is none."""
    return " ".join(header.series_description.lower().split()) or None


def times_of(header: SliceHeader) -> object:
    """Echo and repetition time; None if one of them is not known."""
    times = (header.echo_time, header.repetition_time)
    return None if None in times else tuple(f"{time:.3g}" for time in times)
