from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.models.heatmap import STRIDE
from lumbargrade.models.locator import (
    Locator,
    LocatorConfig,
    Mark,
    Offsets,
    SpineShape,
    column_group,
    load_locator,
    marks_of,
    save_locator,
    see_slices,
)


@pytest.fixture
def locator(rsna: GradingTask) -> Locator:
    torch.manual_seed(0)
    steps = Offsets(mean=[[0.0, 0.0, -35.0]] * 4, precision=[np.eye(3).tolist()] * 4)
    shape = SpineShape(steps=steps, places={})
    config = LocatorConfig(task=rsna, prepare=PrepareParams(), views=ViewParams(pixels=64), width=8, shape=shape)
    return Locator(config).eval()


def test_maps_are_probabilities_with_an_absent_rest(locator: Locator) -> None:
    images = np.random.default_rng(0).integers(0, 255, (3, 3, 64, 64), dtype=np.uint8)
    for orientation, marks in (("sagittal", 10), ("axial", 2)):
        maps = see_slices([locator, locator], images, orientation)
        assert maps.places.shape == (3, marks, 32, 32)
        assert (maps.places.sum(axis=(2, 3)) <= 1 + 1e-5).all()
        assert maps.places.min() >= 0
        np.testing.assert_allclose(maps.contrasts.sum(axis=1), 1, atol=1e-5)


class Bright(torch.nn.Module):
    """A network whose one mark is wherever an image is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor, orientation: str) -> tuple[torch.Tensor, torch.Tensor]:
        bright = images[:, :1] > 0
        self.sizes.append(int(bright.sum()))
        places = 30.0 * torch.nn.functional.avg_pool2d(bright.float(), STRIDE).flatten(2)
        return torch.cat([places, torch.zeros_like(places[:, :, :1])], dim=2), torch.zeros(len(images), 2)


@pytest.mark.parametrize("frame", [(1.0, 1.0), (1.2, 1.5), (0.9, 0.7)])
def test_what_is_seen_at_several_scales_lies_where_it_is(
    locator: Locator, monkeypatch: pytest.MonkeyPatch, frame: tuple[float, float]
) -> None:
    images = np.zeros((1, 3, 64, 64), dtype=np.uint8)
    images[:, :, 40:46, 12:18] = 255
    network = Bright()
    monkeypatch.setattr(locator, "forward", network.forward)
    places = see_slices([locator], images, "sagittal", [(1.0, 1.0), frame]).places[0, 0]
    rows, columns = np.indices(places.shape)
    assert abs((places * rows).sum() / places.sum() - 21) < 0.5
    assert abs((places * columns).sum() / places.sum() - 7) < 0.5
    assert 0.9 < places.sum() <= 1 + 1e-5
    sizes, framed = network.sizes[:3], network.sizes[3:]
    assert sizes[0] > 36 == sizes[1] > sizes[2], "it was not shown larger and smaller"
    assert framed == sizes if frame == (1.0, 1.0) else (framed[1] < 36) == (frame[1] > 1)


def test_a_saved_locator_sees_the_same(locator: Locator, tmp_path: Path) -> None:
    save_locator(locator, tmp_path / "locator.safetensors")
    again = load_locator(tmp_path / "locator.safetensors")
    images = np.random.default_rng(1).integers(0, 255, (2, 3, 64, 64), dtype=np.uint8)
    assert again.config == locator.config
    np.testing.assert_allclose(
        see_slices([again], images, "axial").places, see_slices([locator], images, "axial").places, atol=1e-6
    )


def test_a_locator_of_before_is_read_without_its_third_network(locator: Locator, tmp_path: Path) -> None:
    """It knew the end of the spinal cord: weights, statistics of normalisation, and what is usual."""
    cord = {
        "cord.features.0.0.weight": torch.ones(24, 2, 3, 3),
        "cord.features.0.1.num_batches_tracked": torch.tensor(7),
    }
    weights = {name: tensor.contiguous() for name, tensor in locator.state_dict().items()}
    former = {**weights, **cord, "cord.place.bias": torch.zeros(1), "cord.usual": torch.tensor([0.0, torch.inf])}
    save_file(former, tmp_path / "model.safetensors", {"config": locator.config.model_dump_json()})
    again = load_locator(tmp_path / "model.safetensors")
    assert again.config == locator.config
    assert again.state_dict().keys() == weights.keys()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.state_dict().items())


def test_tensors_that_no_locator_had_are_refused(locator: Locator, tmp_path: Path) -> None:
    weights = {name: tensor.contiguous() for name, tensor in locator.state_dict().items()}
    other = {**weights, "else.weight": torch.zeros(1)}
    save_file(other, tmp_path / "model.safetensors", {"config": locator.config.model_dump_json()})
    with pytest.raises(InputError, match="is not a locator of this version of Lumbargrade"):
        load_locator(tmp_path / "model.safetensors")


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="is not a locator of this version of Lumbargrade"):
        load_locator(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="does not exist"):
        load_locator(tmp_path / "y.safetensors")


def test_marks_follow_from_the_task(rsna: GradingTask, disc: GradingTask) -> None:
    assert len(marks_of(rsna, "sagittal")) == 10
    assert marks_of(rsna, "axial") == (Mark("subarticular", None, "left"), Mark("subarticular", None, "right"))
    assert marks_of(disc, "axial") == ()
    assert column_group(rsna) == "spinal"
    assert column_group(disc) == "disc"
