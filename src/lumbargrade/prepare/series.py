"""The images of one series, decoded when they are asked for, with one grey scale for all of them."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbargrade.dataset.layout import dicom_files
from lumbargrade.dicom.headers import SliceHeader, UnreadableFile, read_headers
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.dicom.stacks import Stack, group_stacks
from lumbargrade.errors import InputError, QuotingError

_WINDOW_SLICES = 5
"""Slices from which the grey scale is taken, evenly spaced: the same ones whatever is asked of the series."""


class SeriesImages:
    """The stacks of one series; each slice is decoded once, and only if it is needed.

    Attributes:
        stacks: The largest first.
        numbers: The number of each slice, by which it is found; all differ.
    """

    def __init__(self, headers: Iterable[SliceHeader], percentiles: tuple[float, float]) -> None:
        self._headers = list(headers)
        self.stacks = group_stacks(self._headers)
        self.numbers = _numbers(self._headers)
        self._percentiles = percentiles
        self._decoded: dict[SliceHeader, NDArray[np.float32]] = {}
        self._undecodable: dict[SliceHeader, UnreadableFile] = {}

    def find(self, instance_number: int) -> tuple[Stack, int]:
        """Returns the stack that holds an instance, and its index there.

        The number is that of the file's name, where RSNA's tables look for it, else that of its header. An instance
        that lies where another one lies, and gave way to it, is found as the other one.

        Raises:
            InputError: No slice has this instance number.
        """
        by_name = (header for header, number in self.numbers.items() if number == instance_number)
        by_header = (header for header in self._headers if header.instance_number == instance_number)
        wanted = next(by_name, None) or next(by_header, None)
        if wanted is None:
            instance = f"instance {instance_number}"
            raise QuotingError(f"{instance} is not among the series' images", instance, "the point's instance")
        places = [(stack, index) for stack in self.stacks for index in range(len(stack.slices))]
        same = (place for place in places if place[0].slices[place[1]] is wanted)
        return next(same, None) or min(places, key=lambda place: _apart(place[0].slices[place[1]], wanted))

    def pixels(self, header: SliceHeader) -> NDArray[np.float32]:
        """Returns a slice, (rows, columns), in the scanner's units.

        Raises:
            UnreadableFile: The file cannot be decoded.
        """
        if header in self._undecodable:
            raise self._undecodable[header]
        if header not in self._decoded:
            try:
                self._decoded[header] = read_pixels(header)
            except UnreadableFile as error:
                self._undecodable[header] = error
                raise
        return self._decoded[header]

    @property
    def sample(self) -> list[SliceHeader]:
        """The slices from which the grey scale is taken."""
        slices = [header for stack in self.stacks for header in stack.slices]
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
        values, unreadable = [], UnreadableFile("the series holds no image")
        for header in self.sample:
            try:
                values.append(self.pixels(header)[::2, ::2].ravel())
            except UnreadableFile as error:
                unreadable = error
        if not values:
            raise unreadable
        low, high = np.percentile(np.concatenate(values), self._percentiles)
        return float(low), float(max(high, low + 1e-6))

    def grey(self, header: SliceHeader) -> NDArray[np.float32]:
        """Returns a slice, (rows, columns), in the series' grey scale from 0 (black) to 1 (white)."""
        low, high = self.window
        return np.asarray(np.clip((self.pixels(header) - low) / (high - low), 0, 1), dtype=np.float32)


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
        raise InputError("its series has no readable image")
    return SeriesImages(headers, percentiles)


def _numbers(headers: list[SliceHeader]) -> dict[SliceHeader, int]:
    """By what number each slice is called: that of its file or its frame, else its header's, else its place."""
    numbers = {header: _own_number(header) for header in headers}
    if len(set(numbers.values())) == len(headers):
        return {header: number or 0 for header, number in numbers.items()}
    return {header: place for place, header in enumerate(headers, start=1)}


def _own_number(header: SliceHeader) -> int | None:
    if header.frame is not None:
        return header.frame + 1
    return int(header.path.stem) if header.path.stem.isdecimal() else header.instance_number


def _apart(one: SliceHeader, other: SliceHeader) -> tuple[bool, float]:
    """How far two slices lie apart, mm; another orientation is farther than any distance."""
    parallel = bool(np.allclose(one.plane.normal, other.plane.normal, atol=0.05))
    return not parallel, float(np.abs(one.plane.position - other.plane.position).max())
