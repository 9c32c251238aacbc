"""Phantoms teach a backbone, and a training takes it up."""

from pathlib import Path

import pytest
import torch

from lumbargrade.config.params import Params, PrepareParams, TrainingParams
from lumbargrade.config.task import load_task
from lumbargrade.errors import InputError
from lumbargrade.models.grader import Grader, GraderConfig
from lumbargrade.models.storage import PRETRAINED_ON, read_metadata
from lumbargrade.models.weights import load_weights
from lumbargrade.pipeline.pretrain import pretrain


@pytest.fixture
def params() -> Params:
    training = TrainingParams(weights="imagenet", epochs=1, epoch_crops=8, batch_size=8, image_pixels=32, threads=1)
    return Params(task="disc_degeneration", training=training, workers=1)


@pytest.mark.slow
def test_phantoms_teach_weights_that_a_training_takes(
    tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, folder = tmp_path / "weights" / "discs.safetensors", tmp_path / "runs"
    first = pretrain(weights, params, 8, folder)
    assert (first.task, first.phantoms, first.epochs) == ("disc_degeneration", 8, 1)
    assert first.lines()[-1] == ("next", f"lumbargrade run --set training.weights={weights}")
    assert not list(folder.rglob("*.dcm")), "the phantoms' images are not kept"
    assert read_metadata(weights)[PRETRAINED_ON] == "synthetic"
    torch.manual_seed(0)
    grader = Grader(GraderConfig.of(load_task(params.task), PrepareParams(), params.training))
    before = grader.features.conv0.weight.clone()
    load_weights(grader, str(weights))
    assert not torch.equal(before, grader.features.conv0.weight)

    (result,) = folder.rglob("result.json")
    ended = result.stat().st_mtime_ns
    weights.unlink()
    assert pretrain(weights, params, 8, folder) == first
    assert result.stat().st_mtime_ns == ended, "what was trained is not trained again"

    monkeypatch.setattr("lumbargrade.pipeline.pretrain.code_digest", lambda *modules: "other code")
    pretrain(weights, params, 8, folder)
    assert len(list(folder.rglob("result.json"))) == 2, "what other code has drawn or trained was taken"


def test_what_cannot_be_pretrained_is_told_before_anything_is_drawn(tmp_path: Path, params: Params) -> None:
    with pytest.raises(InputError, match=r"^discs\.pth cannot hold weights; give a name that ends in \.safetensors$"):
        pretrain(Path("discs.pth"), params, 8, tmp_path / "runs")
    with pytest.raises(InputError, match=r"^3 phantoms are too few to learn from; ask for at least 8$"):
        pretrain(tmp_path / "discs.safetensors", params, 3, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
