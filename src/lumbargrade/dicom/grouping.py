"""Which images of a study are one series. SeriesInstanceUID decides; names of files and folders never do.

Some anonymisers give each slice a SeriesInstanceUID of its own, or one to all series: then the other tags decide.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path

import numpy as np
from pydicom import dcmread

from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.joining import description_of, find_torn, join_loose, times_of
from lumbargrade.dicom.parse import bounded_file, parsing


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
    weighting, and by their times where they have neither number nor description. Series of one slice are put together
    where number, description, weighting, times, frame of reference, shape and spacing are the same, if a SeriesNumber
    says so and no slice is there twice, or else if they are parallel and lie regularly; so are images without a
    SeriesInstanceUID and the series that they fit.
    """
    by_uid: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in _drop_copies(headers):
        by_uid[header.series_uid].append(header)
    parts = [part for slices in by_uid.values() for part in _split_series(slices)]
    whole, loose = join_loose(parts)
    torn = {id(part) for part in find_torn(whole, loose)}
    groups = []
    for part in (*whole, *loose):
        uid = min((header.series_uid for header in part if header.series_uid), default="")
        groups.append(SeriesGroup(uid, tuple(sorted(part, key=_by_number)), id(part) in torn))
    return sorted(groups, key=lambda group: _by_series(group.slices[0]))


def name_series(slices: Sequence[SliceHeader]) -> str:
    """Names a series by its number and by what it shows; descriptions may name somebody."""
    number, shown = slices[len(slices) // 2].series_number, shown_words(slices)
    if number is None:
        return f"the {shown} series" if shown else "a series"
    return f"series {number}{f' ({shown})' if shown else ''}"


def shown_words(slices: Sequence[SliceHeader]) -> str:
    """Says what a series shows by its plane and weighting, as "sagittal T2"; empty if neither is known."""
    first = slices[len(slices) // 2]
    plane = first.plane.orientation if first.plane_known else ""
    return " ".join(part for part in (plane, first.contrast if first.contrast != "other" else "") if part)


def _drop_copies(headers: Iterable[SliceHeader]) -> list[SliceHeader]:
    """Leaves one file of each SOP instance: the largest, as a copy may have been cut.

    Files of one SOP instance and place that show something else are no copies: they stay, for what comes to say so.
    Those of another encoding are taken for the same: somebody has compressed one.
    """
    copies: dict[Hashable, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        plane = header.plane
        where = np.concatenate([plane.position, plane.row_direction, plane.column_direction])
        key = (header.sop_uid, header.frame, header.series_uid, header.instance_number, plane.shape, where.tobytes())
        copies[key if header.sop_uid else id(header)].append(header)
    shows_the_same = cache(_shows_the_same)  # of a file with many frames it is asked for each
    kept: list[SliceHeader] = []
    for same in copies.values():
        different: list[SliceHeader] = []
        for header in sorted(same, key=_by_worth) if len(same) > 1 else same:
            syntax, path = header.transfer_syntax, header.path
            if not any(syntax != other.transfer_syntax or shows_the_same(path, other.path) for other in different):
                different.append(header)
        kept += different
    return kept


def _by_worth(header: SliceHeader) -> tuple[float, bool, str]:
    numbered = header.path.stem.isdecimal() and header.path.parent.name.isdecimal()
    return -header.path.stat().st_size, not numbered, str(header.path)


def _shows_the_same(path: Path, larger: Path) -> bool:
    """Whether a file holds the same pixels as another one, or is what is left of it."""
    return larger.read_bytes().startswith(path.read_bytes()) or _pixel_bytes(path) in (None, _pixel_bytes(larger))


def _pixel_bytes(path: Path) -> bytes | None:
    """The encoded pixels of a file; None if they cannot be read."""
    try:
        with parsing(path), bounded_file(path) as file:
            value = dcmread(file, force=True, specific_tags=["PixelData"]).get("PixelData")
            return value if isinstance(value, bytes) else None
    except UnreadableFile:
        return None


def _split_series(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Tells series apart that have one SeriesInstanceUID, or none."""
    parts = [headers]
    for tag in (attrgetter("series_number"), description_of, attrgetter("contrast")):
        parts = [piece for part in parts for piece in _split_by(part, tag)]
    if any(header.series_number is not None or description_of(header) is not None for header in headers):
        return parts
    return [piece for part in parts for piece in _split_by(part, times_of)]


def _split_by(headers: list[SliceHeader], tag: Callable[[SliceHeader], object]) -> list[list[SliceHeader]]:
    """Splits by what a tag says; images that lack it stay with the others if those agree.

    What differs with nearly each slice tells no series apart.
    """
    pieces: dict[object, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        pieces[tag(header)].append(header)
    known = [value for value in pieces if value is not None]
    if len(known) <= 1 or (len(known) > 2 and 2 * len(known) > len(headers)):
        return [headers]
    return list(pieces.values())


def _by_number(header: SliceHeader) -> tuple[float, str, int]:
    number = header.instance_number
    return np.inf if number is None else number, header.sop_uid, header.frame or 0


def _by_series(header: SliceHeader) -> tuple[float, str, float, str, int]:
    number = header.series_number
    return np.inf if number is None else number, header.series_uid, *_by_number(header)
