"""The images of one series, decoded when they are asked for, with one grey scale for all of them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbargrade.data.layout import dicom_files
from lumbargrade.dicom.headers import SliceHeader, UnreadableFile, read_headers
from lumbargrade.dicom.localizer import planes_reason
from lumbargrade.dicom.numbering import number_slices
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.dicom.stacks import DISORDER, Stack, choose_stacks, number_place, numbers_along, settle_positions
from lumbargrade.errors import InputError, QuotingError

_WINDOW_SLICES = 5
"""Slices from which the grey scale is taken, evenly spaced: the same ones whatever is asked of the series."""
_ACROSS = 0.3
"""Cosine of the angle of two planes that are across each other, at most."""
_FEWEST_ORDERED = 5
_LESS_ALIKE = 0.85
"""Slices whose neighbours by number differ by less than this share of what neighbours by position do are in disorder."""
_COARSE = 4
_MOST_COPIES = 100
"""Images that lie where another one lies are compared with it, up to so many."""


class SeriesImages:
    """The stacks of one series; each slice is decoded once, and only if it is needed.

    Attributes:
        stacks: The largest first.
        set_aside: Images that gave way to others of another kind at their places.
        numbers: The number of each slice, by which it is found; all differ.
        unreadable: The slices that were asked for and could not be decoded, with the reason.
    """

    def __init__(self, headers: Iterable[SliceHeader], percentiles: tuple[float, float]) -> None:
        self._percentiles = percentiles
        self._decoded: dict[SliceHeader, NDArray[np.float32]] = {}
        self.unreadable: dict[SliceHeader, UnreadableFile] = {}
        self._headers = settle_positions(list(headers))
        self.stacks, self.set_aside = choose_stacks(self._headers)
        self._settle_disorder()
        self.numbers = number_slices(self._headers)

    @cached_property
    def localizer(self) -> str | None:
        """By what the series is known for a localizer, if it is one."""
        known = [header.localizer for header in self._headers if header.localizer]
        if 2 * len(known) > len(self._headers):
            return known[0]
        oriented = [stack for stack in self.stacks if stack.slices[0].orientation_known]
        normals = [stack.slices[0].plane.normal for stack in oriented]
        if not any(abs(float(one @ other)) < _ACROSS for one, other in combinations(normals, 2)):
            return None
        planes: Counter[str] = Counter()
        for stack in oriented:
            planes[stack.orientation] += len(stack.slices)
        return planes_reason(planes)

    def find(self, instance_number: int) -> tuple[Stack, int]:
        """Returns the stack that holds an instance, and its index there.

        The number is that of the file's name, where RSNA's tables look for it, else that of its header. An instance
        that lies where another one lies, and gave way to it, is found as the other one.

        Raises:
            InputError: No slice has this instance number, or several have it.
        """
        instance = f"instance {instance_number}"
        by_name = [header for header, number in self.numbers.items() if number == instance_number]
        found = by_name or [header for header in self._headers if header.instance_number == instance_number]
        if not found:
            raise QuotingError(
                f"{instance} is not among the series' images", "", "instance-missing", instance, "the point's instance"
            )
        if len(found) > 1:
            several = f"{instance} is the number of {len(found)} of the series' images"
            raise QuotingError(several, "", "instance-ambiguous", instance, "the point's instance")
        return self._nearest(found[0])

    def _nearest(self, wanted: SliceHeader) -> tuple[Stack, int]:
        """The stack that holds a slice, and its index there, or those of the one that lies nearest."""
        places = [(stack, index) for stack in self.stacks for index in range(len(stack.slices))]
        same = (place for place in places if place[0].slices[place[1]] is wanted)
        return next(same, None) or min(places, key=lambda place: _apart(place[0].slices[place[1]], wanted))

    def pixels(self, header: SliceHeader) -> NDArray[np.float32]:
        """Returns a slice, (rows, columns), in the scanner's units.

        Raises:
            UnreadableFile: The file cannot be decoded.
        """
        if header not in self._decoded:
            self._decoded[header] = self._decode(header)
        return self._decoded[header]

    def _decode(self, header: SliceHeader) -> NDArray[np.float32]:
        """Decodes a slice without keeping it; one that could not be is not tried again."""
        if header in self.unreadable:
            raise copy(self.unreadable[header])
        try:
            return read_pixels(header)
        except UnreadableFile as error:
            self.unreadable[header] = copy(error)  # without its traceback, which holds what was decoded
            raise

    def count_unreadable(self) -> int:
        """Counts the slices of the stacks that cannot be decoded or hold one value only; others are not kept decoded."""
        slices = [header for stack in self.stacks for header in stack.slices]
        for header in slices:
            with suppress(UnreadableFile):
                self._refuse_blank(header, self._decoded[header] if header in self._decoded else self._decode(header))
        return sum(header in self.unreadable for header in slices)

    @cached_property
    def emptiness(self) -> str | None:
        """Why none of the slices of the stacks shows anything, if so."""
        slices = [header for stack in self.stacks for header in stack.slices]
        for header in slices:
            with suppress(UnreadableFile):
                self._refuse_blank(header, self.pixels(header))
                return None
        if all(self.unreadable[header].code == "image-in-colour" for header in slices):
            return "its images are in colour, and those of MR are grey"
        return "none of its slices can be decoded"

    def count_differing_copies(self) -> int:
        """Counts the images that gave way to another one at their place, show something else and differ in no tag."""
        used = {header for stack in self.stacks for header in stack.slices}
        used |= {header for aside in self.set_aside for header in aside.headers}
        differing = 0
        for other in [header for header in self._headers if header not in used][:_MOST_COPIES]:
            stack, index = self._nearest(other)
            with suppress(UnreadableFile):
                differing += not np.array_equal(self._decode(other), self._decode(stack.slices[index]))
        return differing

    @property
    def sample(self) -> list[SliceHeader]:
        """The slices from which the grey scale is taken: no screenshots among others, whose pixels are of no size."""
        sized = [stack for stack in self.stacks if not stack.size_fault] or self.stacks
        slices = [header for stack in sized for header in stack.slices]
        picked = np.linspace(0, len(slices) - 1, min(_WINDOW_SLICES, len(slices))).round().astype(int)
        return [slices[index] for index in picked]

    @property
    def decoded(self) -> Collection[SliceHeader]:
        """The slices that have been decoded so far."""
        return self._decoded.keys()

    @cached_property
    def window(self) -> tuple[float, float]:
        """Intensities of the series that become black and white; slices that cannot be decoded are left out.

        Raises:
            UnreadableFile: None of them can.
        """
        values, unreadable = [], UnreadableFile("the series holds no image", "", "series-without-image")
        for header in self.sample:
            try:
                values.append(self.pixels(header)[::2, ::2].ravel())
            except UnreadableFile as error:
                unreadable = error
        if not values:
            raise unreadable
        values = [some for some in values if some.min() < some.max()] or values
        low, high = np.percentile(np.concatenate(values), self._percentiles)
        return float(low), float(max(high, low + 1e-6))

    def grey(self, header: SliceHeader) -> NDArray[np.float32]:
        """Returns a slice, (rows, columns), in the series' grey scale from 0 (black) to 1 (white).

        Raises:
            UnreadableFile: It cannot be decoded, or holds one value only: it shows nothing.
        """
        pixels = self.pixels(header)
        self._refuse_blank(header, pixels)
        low, high = self.window
        return np.asarray(np.clip((pixels - low) / (high - low), 0, 1), dtype=np.float32)

    def neighbour(self, stack: Stack, index: int, step: int) -> SliceHeader:
        """The slice beside one of a stack; the slice itself at the stack's end, at a gap, or if it cannot be decoded.

        Args:
            step: -1, 0 or 1.
        """
        middle = stack.slices[index]
        other = index + step
        if step == 0 or not 0 <= other < len(stack.slices) or stack.missing[min(index, other)]:
            return middle
        try:
            self.grey(stack.slices[other])
        except UnreadableFile:
            return middle
        return stack.slices[other]

    def _refuse_blank(self, header: SliceHeader, pixels: NDArray[np.float32]) -> None:
        if pixels.min() == pixels.max():
            name = header.path.name
            self.unreadable[header] = UnreadableFile(
                f"the pixels of {name} are all of one value", "send it again", "pixels-of-one-value", name
            )
            raise copy(self.unreadable[header])

    def _settle_disorder(self) -> None:
        """Orders stacks by their instance numbers whose positions put unlike slices side by side."""
        disordered = [stack for stack in self.stacks if self._is_disordered(stack)]
        changed: dict[SliceHeader, SliceHeader] = {}
        for stack in disordered:
            ordered = sorted(stack.slices, key=lambda header: (header.instance_number or 0, header.frame or 0))
            changed |= {header: number_place(header, place, DISORDER) for place, header in enumerate(ordered)}
        if changed:
            self._headers = [changed.get(header, header) for header in self._headers]
            self._decoded.clear()
            self.stacks, self.set_aside = choose_stacks(self._headers)

    def _is_disordered(self, stack: Stack) -> bool:
        numbers = numbers_along(stack)
        if numbers is None or len(numbers) < _FEWEST_ORDERED or stack.placement_fault:
            return False
        if len(set(numbers)) < len(numbers):  # they begin anew with each block, and tell no order
            return False
        if len(set(np.sign(np.diff(numbers)).tolist())) == 1:
            return False
        coarse = {}
        for header, number in zip(stack.slices, numbers, strict=True):
            with suppress(UnreadableFile):
                coarse[number] = self._decode(header)[::_COARSE, ::_COARSE]
        along = [number for number in numbers if number in coarse]
        return _difference(coarse, sorted(along)) < _LESS_ALIKE * _difference(coarse, along)


def _difference(images: Mapping[int, NDArray[np.float32]], order: Sequence[int]) -> float:
    """How much images differ from the next ones in an order, on average."""
    pairs = [np.abs(images[one] - images[other]).mean() for one, other in pairwise(order)]
    return float(np.mean(pairs)) if pairs else 0.0


def open_series(folder: Path, percentiles: tuple[float, float]) -> SeriesImages:
    """Opens the readable images of a series' folder.

    Raises:
        InputError: There is none.
    """
    headers: list[SliceHeader] = []
    for path in dicom_files(folder):
        with suppress(UnreadableFile):
            headers += read_headers(path)
    if not headers:
        raise InputError("its series has no readable image", "", "series-without-readable-image")
    return SeriesImages(headers, percentiles)


def _apart(one: SliceHeader, other: SliceHeader) -> tuple[bool, float]:
    """How far two slices lie apart, mm; another orientation is farther than any distance."""
    parallel = bool(np.allclose(one.plane.normal, other.plane.normal, atol=0.05))
    return not parallel, float(np.abs(one.plane.position - other.plane.position).max())
