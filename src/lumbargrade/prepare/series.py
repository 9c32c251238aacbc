"""The images of one series, decoded when they are asked for, with one grey scale for all of them."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.dicom.stacks import Stack, group_stacks
from lumbargrade.errors import InputError

_WINDOW_SLICES = 5
"""Slices from which the grey scale is taken, evenly spaced: the same ones whatever is asked of the series."""


class SeriesImages:
    """The stacks of one series; each slice is decoded once, and only if it is needed."""

    def __init__(self, headers: Iterable[SliceHeader], percentiles: tuple[float, float]) -> None:
        self.stacks = group_stacks(headers)
        self._percentiles = percentiles
        self._decoded: dict[SliceHeader, NDArray[np.float32]] = {}

    def find(self, instance_number: int) -> tuple[Stack, int]:
        """Returns the stack that holds an instance, and its index there.

        The number is that of the file's name, where RSNA's tables look for it, else that of its header.

        Raises:
            InputError: No slice has this instance number.
        """
        for named_by_file in (True, False):
            for stack in self.stacks:
                for index, header in enumerate(stack.slices):
                    number = header.path.stem if named_by_file else str(header.instance_number)
                    if number == str(instance_number):
                        return stack, index
        raise InputError(f"instance {instance_number} is not among the series' images")

    def pixels(self, header: SliceHeader) -> NDArray[np.float32]:
        """Returns a slice, (rows, columns), in the scanner's units.

        Raises:
            UnreadableFile: The file cannot be decoded.
        """
        if header not in self._decoded:
            self._decoded[header] = read_pixels(header)
        return self._decoded[header]

    @cached_property
    def window(self) -> tuple[float, float]:
        """Intensities of the series that become black and white."""
        slices = [header for stack in self.stacks for header in stack.slices]
        picked = np.linspace(0, len(slices) - 1, min(_WINDOW_SLICES, len(slices))).round().astype(int)
        values = np.concatenate([self.pixels(slices[index])[::2, ::2].ravel() for index in picked])
        low, high = np.percentile(values, self._percentiles)
        return float(low), float(max(high, low + 1e-6))

    def grey(self, header: SliceHeader) -> NDArray[np.float32]:
        """Returns a slice, (rows, columns), in the series' grey scale from 0 (black) to 1 (white)."""
        low, high = self.window
        return np.asarray(np.clip((self.pixels(header) - low) / (high - low), 0, 1), dtype=np.float32)
