"""A locator that knows the anatomy: it sees each true place wherever a slice passes through it, whatever the file is called.

It stands in for trained networks, whose faults would hide those of the reading. Like them it sees a little where nothing
is: a side that no slice shows is seen faintly on the slices that there are, so that whoever believes faint places is found
out.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask
from lumbargrade.localization.heatmaps import SeenStack
from lumbargrade.models.heatmap import STRIDE
from lumbargrade.models.locator import CONTRASTS, SpineShape, marks_of
from lumbargrade.preprocessing.views import StackView

from .exports import CellKey, Export

_SURE, _FAINT = 0.95, 0.03
_HALF_STEP_MM = 3.0


class AnatomyOracle:
    """What a perfect locator would see of a study in any of its stacks."""

    def __init__(self, task: GradingTask, shape: SpineShape) -> None:
        self.task = task
        self.truth: Mapping[CellKey, Any] = {}
        config = SimpleNamespace(task=task, shape=shape, views=ViewParams(), prepare=PrepareParams())
        self.locators: list[Any] = [SimpleNamespace(config=config, to=lambda device: None)]

    def know(self, export: Export) -> None:
        """Learns where the cells of a study are."""
        self.truth = export.truth

    def look_at(
        self,
        locators: Sequence[Any],
        stack: StackView,
        slices: Sequence[int] | None = None,
        size: float | None = None,
    ) -> SeenStack | None:
        """As :func:`lumbargrade.localization.heatmaps.look_at`."""
        wanted = range(len(stack.slices)) if slices is None else slices
        chosen = tuple(index for index in wanted if stack.readable(index))
        if not chosen:
            return None
        marks = marks_of(self.task, stack.orientation)
        side = ViewParams().pixels // STRIDE
        maps = np.zeros((len(chosen), len(marks), side, side), np.float32)
        for key, place in self.truth.items():
            condition = self.task.condition(key[0])
            if condition.orientation != stack.orientation:
                continue
            lateral = condition.side if stack.orientation == "axial" else None
            level = None if stack.orientation == "axial" else key[1]
            mark = marks.index((condition.group, level, lateral))
            found = np.stack([stack.slices[index].view.to_pixel(place) for index in chosen])
            nearest = int(np.abs(found[:, 2]).argmin())
            for number, (x, y, apart) in enumerate(found):
                column, row = np.round((np.array([x, y]) + 0.5) / STRIDE - 0.5).astype(int)
                if 0 <= row < side and 0 <= column < side:
                    shows = number == nearest and abs(apart) <= _HALF_STEP_MM + 1
                    maps[number, mark, row, column] = max(maps[number, mark, row, column], _SURE if shows else _FAINT)
        contrast = stack.contrast or self._see_contrast(stack)
        kinds = np.full(2, 0.5, np.float32)
        if contrast is not None:
            kinds = np.eye(2, dtype=np.float32)[CONTRASTS.index(contrast)]
        return SeenStack(stack, chosen, marks, maps, kinds)

    def _see_contrast(self, stack: StackView) -> str | None:
        """The weighting as the images show it: the canal is brighter than the fat of the foramina in a T2 only."""
        if stack.orientation != "sagittal":
            return None
        seen: dict[str, list[float]] = {"spinal": [], "foraminal": []}
        for key, place in self.truth.items():
            group = self.task.condition(key[0]).group
            index = int(np.argmin(stack.distances(place)))
            if group in seen and stack.readable(index):
                x, y, _ = np.round(stack.slices[index].view.to_pixel(place)).astype(int)
                seen[group].append(float(stack.grey(index)[y - 1 : y + 2, x - 1 : x + 2].mean()))
        if not all(seen.values()):
            return None
        return "T2" if np.mean(seen["spinal"]) > np.mean(seen["foraminal"]) else "T1"
