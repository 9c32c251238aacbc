"""Strips of the canal: they show what lies at the place that is asked for, straightened, and nothing beyond the image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lumbargrade.models.conus_net import COLUMNS, ROWS, CordNet, StripChanges, canal_strips

STEP = 16.0
"""Distance of two levels, pixels."""


def column(lean: float, x: float = 60.0, y: float = 50.0) -> Tensor:
    """Five levels in a straight line that leans by an angle."""
    along = torch.tensor([np.sin(lean), np.cos(lean)], dtype=torch.float32) * STEP
    return torch.tensor([x, y]) + torch.arange(5)[:, None] * along


def dot(at: Tensor) -> Tensor:
    """An image with a bright spot."""
    down, across = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    return 255 * torch.exp(-((across - at[0]) ** 2 + (down - at[1]) ** 2) / 4)


def strip(image: Tensor, levels: Tensor, place: float, changes: StripChanges | None = None) -> Tensor:
    return canal_strips(image[None], torch.tensor([1]), levels[None], torch.tensor([place]), changes)[0]


@given(lean=st.floats(-0.5, 0.5), level=st.floats(-1.5, 1.5), place=st.floats(-0.8, 0.8), aside=st.floats(-0.1, 0.1))
@settings(max_examples=40, deadline=None)
def test_a_spot_beside_the_line_is_at_its_level_and_side(lean: float, level: float, place: float, aside: float) -> None:
    levels = column(lean)
    along = (levels[1] - levels[0]) / STEP
    spot = levels[0] + level * STEP * along + aside * STEP * torch.stack([along[1], -along[0]])
    shown = strip(dot(spot), levels, place)[0]
    if abs(level - place) > 0.9:
        return
    row, across = divmod(int(shown.argmax()), COLUMNS)
    assert (row + 0.5) / ROWS * 2 - 1 + place == pytest.approx(level, abs=0.07)  # a pixel is a 16th of a level
    assert ((across + 0.5) / COLUMNS * 2 - 1) * 0.22 == pytest.approx(aside, abs=0.06)


def test_strips_are_normalised_and_tell_the_contrast() -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (128, 128), dtype=np.uint8))
    shown = strip(image, column(0.1), 0.0)
    assert shown.shape == (2, ROWS, COLUMNS)
    assert float(shown[0].mean()) == pytest.approx(0, abs=1e-4)
    assert float(shown[0].std()) == pytest.approx(1, abs=0.05)
    assert (shown[1] == 1).all()


def test_beyond_the_image_and_above_a_cut_all_is_black() -> None:
    white = torch.full((128, 128), 200.0)
    outside = strip(white, column(0.0, y=8.0), 0.0)[0, :, 5]
    assert (outside[:10] == outside[0]).all()
    assert outside[0] < outside[-1]
    changes = StripChanges(*(torch.tensor([value]) for value in (1.0, 0.0, 0.0, 0.25, 0, 0.0, 0.5)))
    cut = strip(white, column(0.0), 0.0, changes)[0, :, 5]
    assert int((cut < 0).sum()) == ROWS // 4
    torch.testing.assert_close(cut[ROWS // 4 :], cut[-1].expand(ROWS * 3 // 4))


def test_spines_are_judged_by_nothing_until_it_is_known_what_is_usual() -> None:
    network = CordNet().eval()
    assert network.usual.tolist() == [0.0, float("inf")]
    with torch.inference_mode():
        assert network(torch.zeros(3, 2, ROWS, COLUMNS)).shape == (3,)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_above_what_is_known_the_line_goes_on(known: int) -> None:
    levels = column(0.2)
    levels[:known] += 5.0
    changes = StripChanges(*(torch.tensor([value]) for value in (1.0, 0.0, 0.0, 0.0, known, 0.0, 0.5)))
    torch.testing.assert_close(
        strip(dot(column(0.2)[0]), levels, 0.0, changes),
        strip(dot(column(0.2)[0]), column(0.2), 0.0),
        atol=1e-3,
        rtol=0,
    )


def test_a_bent_line_leaves_the_canal_upwards() -> None:
    levels, places = column(0.0), [-0.5, 0.5]
    straight, bent = (
        StripChanges(*(torch.tensor([value]) for value in (1.0, 0.0, 0.0, 0.0, 0, bend, 0.5))) for bend in (0.0, 0.2)
    )
    above, below = (dot(levels[0] + torch.tensor([0.0, place * STEP])) for place in places)
    torch.testing.assert_close(strip(below, levels, 0.0, straight)[0, 24:], strip(below, levels, 0.0, bent)[0, 24:])
    columns = [int(strip(above, levels, 0.0, changes)[0].argmax()) % COLUMNS for changes in (straight, bent)]
    assert columns[0] - columns[1] == pytest.approx(0.2 * 0.5 / 0.44 * COLUMNS, abs=1)
