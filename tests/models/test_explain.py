import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.models.explain import explain_crops
from lumbargrade.models.grader import Grader, GraderConfig

PREPARE = PrepareParams(crop_mm=40.0, pixel_mm=0.5)


class Peephole(Grader):
    """Decides by the brightness of one spot of its input, another spot for the cells from the 5th on."""

    def __init__(self, task: GradingTask, crop_mm: float, spots: list[tuple[float, float]], image_pixels: int = 32):
        super().__init__(GraderConfig(task=task, prepare=PREPARE, crop_mm=crop_mm, image_pixels=image_pixels))
        self.spots = spots

    def forward(self, images: Tensor, cells: Tensor, studies: Tensor | None = None) -> Tensor:
        pixels = self.config.image_pixels
        at = [(round(row * pixels), round(column * pixels)) for row, column in self.spots]
        seen = torch.stack(
            [images[:, :, row - 1 : row + 2, column - 1 : column + 2].mean((1, 2, 3)) for row, column in at]
        )
        bright = seen[(cells >= 5).long() % len(at), torch.arange(len(images))]
        return torch.stack([-bright, torch.zeros_like(bright), bright], dim=1)


def white(count: int = 1) -> NDArray[np.uint8]:
    return np.full((count, 3, 80, 80), 255, dtype=np.uint8)


def peak(heat: NDArray[np.float32]) -> NDArray[np.float64]:
    """Middle of the places where the heat is strongest, in pixels."""
    return np.argwhere(heat > 0.99).mean(axis=0)


@pytest.mark.parametrize("crop_mm", [40.0, 28.0, 20.0])
@pytest.mark.parametrize("image_pixels", [32, 36])
def test_the_heat_lies_over_what_decides(crop_mm: float, image_pixels: int, rsna: GradingTask) -> None:
    spot = np.array([3.5, 5.5]) / 8
    grader = Peephole(rsna, crop_mm, [tuple(spot)], image_pixels).eval()
    (heat,) = explain_crops([grader], white(), np.array([0]), np.array([2]))
    assert heat.shape == (80, 80)
    assert heat.dtype == np.float32
    window = crop_mm / PREPARE.pixel_mm
    expected = (80 - window) / 2 + spot * window - 0.5
    patch = -(-image_pixels // 8) / image_pixels * window
    np.testing.assert_allclose(peak(heat), expected, rtol=0, atol=0.6 * patch)
    rows, columns = np.nonzero(heat)
    assert np.abs(rows - expected[0]).max() <= 2 * patch
    assert np.abs(columns - expected[1]).max() <= 2 * patch
    assert heat.max() == 1
    assert heat.min() == 0


def test_outside_of_the_window_there_is_no_heat(rsna: GradingTask) -> None:
    grader = Peephole(rsna, 20.0, [(1 / 16, 15 / 16)]).eval()
    (heat,) = explain_crops([grader], white(), np.array([0]), np.array([2]))
    assert heat[20, 59] > 0.9
    heat[20:60, 20:60] = 0
    assert not heat.any()


def test_what_speaks_against_the_grade_has_no_heat(rsna: GradingTask) -> None:
    grader = Peephole(rsna, 20.0, [(0.5, 0.5)]).eval()
    bright, dark = white(), white() * 0
    assert not explain_crops([grader], bright, np.array([0]), np.array([0])).any()
    assert explain_crops([grader], dark, np.array([0]), np.array([0])).max() == 1


def test_each_crop_is_explained_for_its_own_cell_and_grade(rsna: GradingTask) -> None:
    spots = [(2.5 / 8, 2.5 / 8), (5.5 / 8, 5.5 / 8)]
    grader = Peephole(rsna, 40.0, spots).eval()
    heats = explain_crops([grader], white(3), np.array([0, 5, 0]), np.array([2, 2, 0]))
    np.testing.assert_allclose(peak(heats[0]), [24.5, 24.5], atol=2)
    np.testing.assert_allclose(peak(heats[1]), [54.5, 54.5], atol=2)
    assert not heats[2].any()


def test_the_heat_is_the_mean_of_the_graders(rsna: GradingTask) -> None:
    graders = [Peephole(rsna, 40.0, [spot]).eval() for spot in ((2.5 / 8, 2.5 / 8), (5.5 / 8, 5.5 / 8))]
    (heat,) = explain_crops(graders, white(), np.array([0]), np.array([2]))
    assert heat[24, 24] > 0.9
    assert heat[54, 54] > 0.9
    assert heat[24, 54] == 0


def test_the_same_crops_give_the_same_bytes(rsna: GradingTask) -> None:
    torch.manual_seed(0)
    grader = Grader(GraderConfig(task=rsna, prepare=PREPARE, crop_mm=28.0, image_pixels=32)).eval()
    crops = np.random.default_rng(0).integers(0, 256, (3, 3, 80, 80), dtype=np.uint8)
    codes, grades = np.array([0, 7, 24]), np.array([0, 1, 2])
    once = explain_crops([grader], crops, codes, grades)
    assert once.tobytes() == explain_crops([grader], crops, codes, grades).tobytes()
    assert once.tobytes() != explain_crops([grader], crops, codes, grades[::-1].copy()).tobytes()
    assert np.isfinite(once).all()
