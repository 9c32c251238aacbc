import io
import pickle
from pathlib import Path

import pytest
import torch

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.models.grader import Grader, GraderConfig, load_grader, save_grader

PREPARE = PrepareParams(crop_mm=40.0, pixel_mm=0.5)


@pytest.fixture
def grader(rsna: GradingTask) -> Grader:
    torch.manual_seed(0)
    made = Grader(GraderConfig(task=rsna, prepare=PREPARE, crop_mm=20.0, image_pixels=32, drop_rate=0.2)).eval()
    torch.nn.init.normal_(made.cell_bias.weight)
    return made


def crops(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 80, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_saved_grader_is_the_same_grader(grader: Grader, tmp_path: Path) -> None:
    save_grader(grader, tmp_path / "model.safetensors")
    loaded = load_grader(tmp_path / "model.safetensors")
    cells = torch.arange(25)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(loaded.see(crops(25)), cells), grader(grader.see(crops(25)), cells))
    assert loaded.config == grader.config
    assert not loaded.training


def test_each_group_has_its_own_head_and_each_cell_its_own_bias(grader: Grader, rsna: GradingTask) -> None:
    cells = torch.arange(25)
    same = grader.see(crops(1)).expand(25, -1, -1, -1)
    with torch.inference_mode():
        before = grader(same, cells)
        grader.heads.bias[:3] += 1.0
        after = grader(same, cells)
        grader.cell_bias.weight[7] += 1.0
        last = grader(same, cells)
    changed = (after - before).abs().max(1).values > 0.5
    assert [rsna.cells[place].condition.group for place in torch.nonzero(changed).flatten()] == ["spinal"] * 5
    assert torch.nonzero((last - after).abs().max(1).values > 0.5).flatten().tolist() == [7]


def test_the_grader_sees_the_middle_of_the_crop_normalised(grader: Grader) -> None:
    crop = torch.zeros((1, 3, 80, 80), dtype=torch.uint8)
    crop[:, :, 20:60, 20:60] = 255
    image = grader.see(crop)
    white = (1 - torch.tensor(grader.config.mean)) / torch.tensor(grader.config.std)
    assert image.shape == (1, 3, 32, 32)
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(image[0, :, 2:-2, 2:-2], white.view(3, 1, 1).expand(3, 28, 28), atol=1e-5)
    crop[:, :, 30:50, 30:50] = 0
    assert grader.see(crop)[0, 0, 16, 16] < 0 < grader.see(crop)[0, 0, 3, 3]


def test_a_transform_moves_what_is_seen(grader: Grader) -> None:
    crop = torch.zeros((1, 3, 80, 80), dtype=torch.uint8)
    crop[:, :, :, 40:] = 255
    right = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]])
    still, moved = grader.see(crop), grader.see(crop, right)
    assert (still[0, 0, 16] > 0).sum() == 16
    assert (moved[0, 0, 16] > 0).sum() == 24


class _Evil:
    def __reduce__(self):
        return print, ("this ran",)


@pytest.mark.parametrize("kind", ["text", "pickle", "truncated", "foreign"])
def test_a_file_that_is_no_grader_is_refused(
    kind: str, grader: Grader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.safetensors"
    save_grader(grader, path)
    whole = path.read_bytes()
    foreign = io.BytesIO()
    torch.save({"weight": torch.zeros(1)}, foreign)
    data = {"text": b"hello", "pickle": pickle.dumps(_Evil()), "truncated": whole[:-100], "foreign": foreign.getvalue()}
    path.write_bytes(data[kind])
    with pytest.raises(InputError, match=r"is not a grader of this version of Lumbargrade: .*; train it again"):
        load_grader(path)
    assert "this ran" not in capsys.readouterr().out


def test_a_missing_grader_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_grader(tmp_path / "model.safetensors")
    assert str(caught.value) == f"grader {tmp_path / 'model.safetensors'} does not exist"


def test_a_mirrored_patient_has_slices_in_reverse_in_the_midline_and_sides_as_they_are(rsna: GradingTask) -> None:
    grader = Grader(GraderConfig(task=rsna, prepare=PREPARE, crop_mm=20.0, image_pixels=32))
    crops = torch.arange(3 * 4 * 4, dtype=torch.uint8).reshape(1, 3, 4, 4).expand(len(rsna.cells), -1, -1, -1)
    mirrored = grader.mirror(crops, torch.arange(len(rsna.cells)))
    for crop, seen, cell in zip(crops, mirrored, rsna.cells, strict=True):
        assert torch.equal(seen, crop.flip(0) if cell.condition.side is None else crop)
    assert torch.equal(grader.mirror(mirrored, torch.arange(len(rsna.cells))), crops)
