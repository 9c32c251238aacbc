"""Which images of a study are one series. SeriesInstanceUID decides; names of files and folders never do.

Some anonymisers give each slice a SeriesInstanceUID of its own, or one to all series: then the other tags decide.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lumbargrade.dicom.headers import SliceHeader

_FEWEST = 3
"""Slices by which it is seen that they are regular."""

_SAME_DIRECTION = np.cos(np.deg2rad(3.0))
_SAME_PLACE_MM = 0.05
_IRREGULAR = 0.15
"""Part of the distance between slices by which one of them may lie off its place."""


@dataclass(frozen=True, eq=False)
class SeriesGroup:
    """The images of one series.

    Attributes:
        uid: SeriesInstanceUID, or the first of several that were put together; empty if there is none.
        torn: Whether it is one slice of a series of which it cannot be said what else belongs to it.
    """

    uid: str
    slices: tuple[SliceHeader, ...]
    torn: bool = False


def group_series(headers: Iterable[SliceHeader]) -> list[SeriesGroup]:
    """Groups the images of one study into series; each image is there once.

    Images of one SeriesInstanceUID, and those that have none, are told apart by SeriesNumber, SeriesDescription and
    weighting. Series of one slice are put together where number, description, weighting, times, frame of reference,
    orientation, shape and spacing are the same and the slices lie regularly; so are images without a SeriesInstanceUID
    and the series that they fit.
    """
    by_uid: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in _drop_copies(headers):
        by_uid[header.series_uid].append(header)
    parts = [part for slices in by_uid.values() for part in _split_series(slices)]
    whole, loose = _join_loose(
        [part for part in parts if not _is_loose(part)], [part for part in parts if _is_loose(part)]
    )
    torn = {id(part) for part in _find_torn([part for part in loose if len(part) == 1])}
    groups = [
        SeriesGroup(_first_uid(part), tuple(sorted(part, key=_by_number)), id(part) in torn)
        for part in (*whole, *loose)
    ]
    return sorted(groups, key=lambda group: _by_series(group.slices[0]))


def name_series(slices: Sequence[SliceHeader]) -> str:
    """Names a series by its number and by what it shows; descriptions may name somebody."""
    first = slices[len(slices) // 2]
    plane = ("sagittal", "coronal", "axial")[int(np.abs(first.plane.normal).argmax())] if first.plane_known else ""
    shown = " ".join(part for part in (plane, first.contrast if first.contrast != "other" else "") if part)
    if first.series_number is None:
        return f"the {shown} series" if shown else "a series"
    return f"series {first.series_number}{f' ({shown})' if shown else ''}"


def _drop_copies(headers: Iterable[SliceHeader]) -> list[SliceHeader]:
    """Leaves one file of each SOP instance: the largest, as a copy may have been cut."""
    copies: dict[Hashable, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        plane = header.plane
        where = np.concatenate([plane.position, plane.row_direction, plane.column_direction])
        key = (header.sop_uid, header.frame, header.series_uid, header.instance_number, plane.shape, where.tobytes())
        copies[key if header.sop_uid else id(header)].append(header)
    return [same[0] if len(same) == 1 else min(same, key=_by_worth) for same in copies.values()]


def _by_worth(header: SliceHeader) -> tuple[float, bool, str]:
    numbered = header.path.stem.isdecimal() and header.path.parent.name.isdecimal()
    return -header.path.stat().st_size, not numbered, str(header.path)


def _split_series(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Tells series apart that have one SeriesInstanceUID, or none."""
    parts = [headers]
    for told in (_number_of, _description_of, _contrast_of):
        parts = [piece for part in parts for piece in _split_by(part, told)]
    return parts


def _split_by(headers: list[SliceHeader], told: Callable[[SliceHeader], object]) -> list[list[SliceHeader]]:
    """Splits by what a tag says; images that lack it stay with the others if those agree.

    What differs with nearly each slice tells no series apart.
    """
    pieces: dict[object, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        pieces[told(header)].append(header)
    known = [value for value in pieces if value is not None]
    if len(known) <= 1 or (len(known) > 2 and 2 * len(known) > len(headers)):
        return [headers]
    return list(pieces.values())


def _number_of(header: SliceHeader) -> object:
    return header.series_number


def _description_of(header: SliceHeader) -> object:
    return " ".join(header.series_description.lower().split()) or None


def _contrast_of(header: SliceHeader) -> object:
    return header.contrast


def _is_loose(part: Sequence[SliceHeader]) -> bool:
    return len(part) == 1 or not part[0].series_uid


def _join_loose(
    whole: list[list[SliceHeader]], loose: list[list[SliceHeader]]
) -> tuple[list[list[SliceHeader]], list[list[SliceHeader]]]:
    """Puts loose parts to the one series that they fit, or single slices together, where the slices then lie regularly."""
    hosts, guests = defaultdict(list), defaultdict(list)
    for part in whole:
        hosts[_kind(part[0])].append(part)
    for part in loose:
        guests[_kind(part[0])].append(part)
    joined, left = list(whole), []
    for kind, parts in guests.items():
        for bundle in _parallel(parts):
            host = hosts[kind][0] if len(hosts[kind]) == 1 else None
            slices = [header for part in bundle for header in part]
            if host is not None and _is_regular([h for h in host if _is_parallel(h, slices[0])] + slices):
                host += slices
            elif all(len(part) == 1 for part in bundle) and _is_regular(slices):
                joined.append(slices)
            else:
                left += bundle
    return joined, left


def _kind(header: SliceHeader) -> Hashable:
    times = tuple(None if time is None else f"{time:.3g}" for time in (header.echo_time, header.repetition_time))
    spacing = tuple(f"{value:.3g}" for value in header.plane.spacing)
    tags = (_number_of(header), _description_of(header), _contrast_of(header), header.frame_of_reference)
    return (*tags, times, spacing, header.plane.shape)


def _parallel(parts: Iterable[list[SliceHeader]]) -> list[list[list[SliceHeader]]]:
    """Bundles parts whose first slices are parallel."""
    bundles: list[list[list[SliceHeader]]] = []
    for part in parts:
        same = (bundle for bundle in bundles if _is_parallel(bundle[0][0], part[0]))
        bundle = next(same, None)
        if bundle is None:
            bundles.append([part])
        else:
            bundle.append(part)
    return bundles


def _is_parallel(one: SliceHeader, other: SliceHeader) -> bool:
    a, b = one.plane, other.plane
    return bool(
        a.row_direction @ b.row_direction > _SAME_DIRECTION
        and a.column_direction @ b.column_direction > _SAME_DIRECTION
    )


def _is_regular(slices: Sequence[SliceHeader]) -> bool:
    """Whether slices are parallel and lie one behind the other, equally far apart; some may be missing."""
    if len(slices) < _FEWEST or not all(h.plane_known and _is_parallel(h, slices[0]) for h in slices):
        return False
    places = np.array([header.plane.position for header in slices])
    depths = places @ slices[0].plane.normal
    places, depths = places[np.argsort(depths)], np.sort(depths)
    gaps = np.diff(depths)
    step = float(np.median(gaps))
    if gaps.min() < _SAME_PLACE_MM or step < _SAME_PLACE_MM:
        return False
    line = places[0] + (depths - depths[0])[:, None] / (depths[-1] - depths[0]) * (places[-1] - places[0])
    steps = gaps / step
    return bool(
        np.abs(steps - steps.round()).max() < _IRREGULAR
        and steps.round().min() >= 1
        and np.abs(places - line).max() < max(1.0, _IRREGULAR * step)
    )


def _find_torn(loose: list[list[SliceHeader]]) -> list[list[SliceHeader]]:
    """Single slices of which there are several alike: slices of a series, and no series of one slice."""
    by_tags, by_look = defaultdict(list), defaultdict(list)
    for part in loose:
        header = part[0]
        look = (_contrast_of(header), int(np.abs(header.plane.normal).argmax()))
        by_look[look].append(part)
        tags = (_number_of(header), _description_of(header))
        if any(tag is not None for tag in tags):
            by_tags[*tags, *look].append(part)
    found = [part for parts in by_look.values() if len(parts) >= _FEWEST for part in parts]
    return found + [part for parts in by_tags.values() if len(parts) > 1 for part in parts]


def _first_uid(part: Sequence[SliceHeader]) -> str:
    return min((header.series_uid for header in part if header.series_uid), default="")


def _by_number(header: SliceHeader) -> tuple[float, str, int]:
    number = header.instance_number
    return np.inf if number is None else number, header.sop_uid, header.frame or 0


def _by_series(header: SliceHeader) -> tuple[float, str, float, str, int]:
    number = header.series_number
    return np.inf if number is None else number, header.series_uid, *_by_number(header)
