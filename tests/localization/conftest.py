"""An oracle in the network's place: maps that show exactly what the phantom's points say."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.localization.heatmaps import SeenStack
from lumbargrade.models.heatmap import STRIDE
from lumbargrade.models.locator import CONTRASTS, marks_of
from lumbargrade.preprocessing.pack_views import PackedViews, pack_views
from lumbargrade.preprocessing.views import StackView
from lumbargrade.training.locator.targets import learn_shape, slice_targets


@pytest.fixture(scope="session")
def packed(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> PackedViews:
    folder = tmp_path_factory.mktemp("oracle") / "views"
    pack_views(open_dataset(phantom, load_task("rsna2024")), folder, PrepareParams(), ViewParams(), workers=1)
    return PackedViews(folder)


@pytest.fixture
def oracle(packed: PackedViews, rsna: GradingTask, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Locators that see what is labelled; ``blur`` lets marks fade, ``blind`` hides stacks from them."""
    truth: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
    for orientation in ("sagittal", "axial"):
        targets = slice_targets(packed, rsna, orientation, packed.studies)
        for row, (stack, index) in enumerate(targets.stacks):
            truth[stack.series, stack.slices[index].instance] = (targets.places[row], targets.present[row])

    def look_at(
        locators: Sequence[Any], stack: StackView, slices: Sequence[int] | None = None, size: float | None = None
    ) -> SeenStack:
        wanted = range(len(stack.slices)) if slices is None else slices
        chosen = tuple(index for index in wanted if stack.readable(index))
        marks = marks_of(rsna, stack.orientation)
        side = ViewParams().pixels // STRIDE
        maps = np.zeros((len(chosen), len(marks), side, side), np.float32)
        for place, index in enumerate(chosen):
            where, present = truth[stack.series, stack.slices[index].instance]
            for mark in range(len(marks)):
                if present[mark] > 0:
                    column, row = np.round((where[mark] + 0.5) / STRIDE - 0.5).astype(int)
                    maps[place, mark, row, column] = 0.95 * present[mark]
        kinds = (
            np.array([0.5, 0.5], np.float32)
            if stack.contrast is None
            else np.eye(2, dtype=np.float32)[CONTRASTS.index(stack.contrast)]
        )
        return SeenStack(stack, chosen, marks, maps, kinds)

    monkeypatch.setattr("lumbargrade.localization.localize.look_at", look_at)
    shape = learn_shape(packed, rsna, packed.studies)
    config = SimpleNamespace(task=rsna, shape=shape, views=ViewParams())
    return [SimpleNamespace(config=config)]
